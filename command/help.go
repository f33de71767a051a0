package command

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/profile"
)

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
