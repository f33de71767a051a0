package command

import (
	"bytes"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

func newCompletion(e *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes commands and profile names",
		Long: `Prints a script with which the shell completes daypass's commands, flags and the
names of your profiles. Load it where your shell starts:

  bash        source <(daypass completion bash)      in ~/.bashrc
  zsh         source <(daypass completion zsh)       in ~/.zshrc, below compinit
  fish        daypass completion fish | source       in config.fish
  PowerShell  daypass completion powershell | Out-String | Invoke-Expression
              in $PROFILE`,
		Example:   "  source <(daypass completion bash)",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var script bytes.Buffer
			root := cmd.Root()
			write := map[string]func() error{
				"bash":       func() error { return root.GenBashCompletionV2(&script, true) },
				"zsh":        func() error { return root.GenZshCompletion(&script) },
				"fish":       func() error { return root.GenFishCompletion(&script, true) },
				"powershell": func() error { return root.GenPowerShellCompletionWithDesc(&script) },
			}
			if err := write[args[0]](); err != nil {
				return &failure.Error{Exit: failure.ExitUnexpected, Err: err, Lines: []string{err.Error()}}
			}
			return e.print(script.Bytes())
		},
	}
}

// completeNames has the shell complete the names of profiles and of logins in
// every command that takes one.
func completeNames(e *Environment, root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("profile") != nil {
			_ = cmd.RegisterFlagCompletionFunc("profile", e.completion((*profile.Config).Names))
		}
		if cmd.Flags().Lookup("idp") != nil {
			_ = cmd.RegisterFlagCompletionFunc("idp", e.completion((*profile.Config).IDPNames))
		}
	}
}

// completion offers the names that begin with what was typed. A file that cannot
// be read offers none: this is no place for errors.
func (e *Environment) completion(list func(*profile.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		file, err := profile.Open(profile.Source{Getenv: e.Getenv, Home: e.Home})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var fit []string
		for _, name := range list(file) {
			// A line of the answer is one name; behind a tab is its description.
			if strings.HasPrefix(name, typed) && !strings.ContainsFunc(name, unicode.IsControl) {
				fit = append(fit, name)
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}
