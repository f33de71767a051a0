package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/profile"
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

// openBrowser opens an address for a profile.
func (e *Environment) openBrowser(ctx context.Context, p profile.Profile, address string) error {
	b, err := e.browser(p)
	if err == nil {
		err = b.Open(ctx, address)
	}
	return err
}

// browser is what opens addresses for a profile: its browser_command, else BROWSER,
// else the system's browser.
func (e *Environment) browser(p profile.Profile) (prompt.Browser, error) {
	command := p.IDP.BrowserCommand
	if list := e.Getenv("BROWSER"); len(command) == 0 && list != "" {
		command = firstBrowser(list)
		if len(command) > 0 && filepath.Base(command[0]) == "wslview" {
			command = nil // what it opens, the system opens without its PowerShell
		}
		// Without %s the address is put at the end.
		if err := profile.CheckBrowserCommand(append(slices.Clone(command), "{url}")); err != nil {
			return prompt.Browser{}, fmt.Errorf("BROWSER: %w; name the browser alone", err)
		}
	}
	return prompt.Browser{Command: command, Profile: p.Name, Self: e.Executable, Getenv: e.Getenv, Sleep: e.Sleep}, nil
}

// firstBrowser returns the words of the first command that exists in a list of the
// form of BROWSER, or else of the last one: commands with or without %s for the
// address, separated as in PATH.
func firstBrowser(list string) (command []string) {
	for entry := range strings.SplitSeq(list, string(os.PathListSeparator)) {
		words, _ := profile.Words(strings.NewReplacer("%s", "{url}", "%%", "%").Replace(entry))
		if _, err := exec.LookPath(entry); err == nil { // a path may hold spaces
			words = []string{entry}
		}
		if len(words) == 0 {
			continue
		}
		command = words
		if _, err := exec.LookPath(command[0]); err == nil {
			break
		}
	}
	return command
}
