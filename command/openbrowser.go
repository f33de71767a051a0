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

// newOpenBrowser is the command with which daypass starts itself to open a browser:
// the opener waits for what it starts, and nobody's command may wait with it.
func newOpenBrowser(*Environment) *cobra.Command {
	return &cobra.Command{
		Use:    "open-browser URL",
		Short:  "Open an address in the browser",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return prompt.RunOpener(args[0]) },
	}
}

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
			command = nil // the system's opener does the same without PowerShell
		}
		// Without %s the address is put at the end.
		if err := profile.CheckBrowserCommand(append(slices.Clone(command), "{url}")); err != nil {
			return prompt.Browser{}, fmt.Errorf("BROWSER: %w; name the browser alone", err)
		}
	}
	return prompt.Browser{Command: command, Profile: p.Name, Self: e.Executable, Getenv: e.Getenv, Sleep: e.Sleep}, nil
}

// firstBrowser splits the value of BROWSER: commands with or without %s for the
// address, separated as in PATH. It returns the words of the first command that
// exists, else of the last one.
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
