package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/profile"
)

// addSettings gives a command the flags that override the profile's settings.
// They are many and rarely needed, so they have a help page of their own.
func addSettings(cmd *cobra.Command) {
	for _, flag := range profile.Flags() {
		cmd.Flags().String(flag.Name, "", flag.Usage)
		_ = cmd.Flags().MarkHidden(flag.Name)
	}
}

// source is where the settings of a command line come from.
func (e *Environment) source(cmd *cobra.Command) profile.Source {
	src := profile.Source{Getenv: e.Getenv, Home: e.Home, Flags: map[string]string{}}
	for _, flag := range profile.Flags() {
		if f := cmd.Flags().Lookup(flag.Name); f != nil && f.Changed {
			src.Flags[flag.Name] = f.Value.String()
		}
	}
	return src
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
