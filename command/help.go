package command

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// asFailure makes a failure of what cobra says of the command line: an unknown
// command, flag or argument. Any other error is one already.
func asFailure(cmd *cobra.Command, err error, args []string) *failure.Error {
	if failed, ok := errors.AsType[*failure.Error](err); ok {
		return failed
	}
	if cmd.Name() == "help" {
		cmd = cmd.Root()
	}
	says := strings.Replace(err.Error(), "arg(s)", "argument", 1)
	if !cmd.HasParent() && len(args) > 0 {
		typed := args[0]
		if typed == "help" && len(args) > 1 {
			typed = args[1]
		}
		cmd.SuggestionsMinimumDistance = 2 // edits
		if near := cmd.SuggestionsFor(typed); len(near) > 0 && typed != "" {
			says += "; did you mean " + strings.Join(near, " or ") + "?"
		}
	}
	return failure.New(failure.ExitUsage, err, says, "Run: "+cmd.CommandPath()+" --help")
}

// noArguments is for a command that takes flags alone.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.Flags().Lookup("profile") != nil:
		return meantProfile(args[0])
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

func meantProfile(argument string) error {
	return fmt.Errorf("unexpected argument %q; did you mean --profile %s?", argument, argument)
}

// isProfile reports whether daypass serves a profile of that name.
func (e *Environment) isProfile(name string) bool {
	file, err := profile.Open(e.fileSource())
	return err == nil && slices.Contains(file.Names(), name)
}

// fileSource is the source of settings without flags.
func (e *Environment) fileSource() profile.Source {
	return profile.Source{Getenv: e.Getenv, Home: e.Home}
}

func newSettings(*Environment) *cobra.Command {
	var text strings.Builder
	text.WriteString("Every setting of a profile and its [daypass-idp] section, but client_secret, has\n" +
		"a flag of the same name, which wins. With --issuer, --client-id and --role-arn no\n" +
		"file is needed.\n\n")
	for _, flag := range profile.Flags() {
		fmt.Fprintf(&text, "  --%s\n        %s\n", flag.Name, flag.Usage)
	}
	// A command that does nothing is a help topic: daypass help settings.
	return &cobra.Command{Use: "settings", Short: "The settings of a profile, as flags", Long: text.String()}
}

// plainBash is what the completion script needs of bash-completion, for machines on
// which that is not installed.
const plainBash = `
declare -F _get_comp_words_by_ref >/dev/null || __daypass_init_completion()
{
    COMPREPLY=() words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    cur=${words[cword]} prev=${words[cword-1]}
}
`

// finish makes help end with an error if it does not know a command, and completion
// offer names, and files only where a file is wanted. It needs all subcommands.
func finish(e *Environment, root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				_, _, err := root.Find(args)
				return err
			}
		case "completion":
			cmd.RunE = func(*cobra.Command, []string) error { return errors.New("completion for which shell?") }
			for _, shell := range cmd.Commands() {
				if shell.Name() == "bash" {
					shell.PostRunE = func(*cobra.Command, []string) error { return e.print([]byte(plainBash)) }
				}
			}
		}
		profiles, logins := e.completion((*profile.Config).Names), e.completion((*profile.Config).IDPNames)
		for flag, offer := range map[string]cobra.CompletionFunc{
			"profile": profiles, "source-profile": profiles, "idp": logins, "ca-bundle": files, "import": files,
		} {
			_ = cmd.RegisterFlagCompletionFunc(flag, offer) // the error is that the command lacks the flag
		}
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
}

func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// formatFlag gives a command the flag --format with these values, the default first.
func formatFlag(cmd *cobra.Command, format *string, names ...string) {
	last := len(names) - 1
	all := strings.Join(names[:last], ", ") + " or " + names[last]
	cmd.Flags().StringVar(format, "format", names[0], all)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(names, *format) {
			return fmt.Errorf("--format %q is not %s", *format, all)
		}
		return nil
	}
}

// completion offers the names that begin with what was typed. From a file that
// cannot be read there are none: this is not the place for errors.
func (e *Environment) completion(list func(*profile.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if file, err := profile.Open(e.fileSource()); err == nil {
			// To the shell a line is one name, and what follows a tab describes it.
			names = slices.DeleteFunc(list(file), func(name string) bool {
				return !strings.HasPrefix(name, typed) || strings.ContainsFunc(name, unicode.IsControl)
			})
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// built is "VERSION COMMIT DATE", from whoever links the program: go itself stamps no
// version in a git worktree, nor with -buildvcs=false in GOFLAGS. It is empty after
// go install, which knows the version.
var built string

func newVersion(e *Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: "Prints the version, and the commit that it was built from with its date, if they\n" +
			"were recorded; then Go's version and the system.",
		Example: "  daypass version",
		Args:    noArguments,
		RunE:    func(*cobra.Command, []string) error { return e.printVersion() },
	}
}

func (e *Environment) printVersion() error {
	version, commit, date := "(devel)", "not recorded", "date not recorded"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				commit = setting.Value
			case "vcs.time":
				date = setting.Value
			}
		}
	}
	_, _ = fmt.Sscan(built, &version, &commit, &date) // it is empty or holds all three
	return e.print(fmt.Appendf(nil, "daypass %s (commit %s, %s) %s %s/%s\n",
		version, commit, date, runtime.Version(), runtime.GOOS, runtime.GOARCH))
}
