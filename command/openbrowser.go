package command

import (
	"github.com/spf13/cobra"

	"github.com/daypass/daypass/prompt"
)

// newOpenBrowser is what daypass runs itself again as, to open a browser: the
// opener waits for what it starts, which must hold up nobody's command.
func newOpenBrowser(*Environment) *cobra.Command {
	return &cobra.Command{
		Use:    "open-browser URL",
		Short:  "Open an address in the browser",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return prompt.RunOpener(args[0]) },
	}
}
