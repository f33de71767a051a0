package command

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newLogout(e *Environment) *cobra.Command {
	var name string
	var all bool
	cmd := &cobra.Command{
		Use:   "logout [-p PROFILE | --idp NAME | --all]",
		Short: "Revoke the login and delete what was kept of it",
		Long: `Revokes the refresh token at the provider and deletes the login and all that was
made from it, in every place where it was kept. If one of them cannot be
reached or is locked, nothing is deleted, and daypass ends with 7. It acts on the
login, so on every profile that names the same [daypass-idp] section.`,
		Example: "  daypass logout --profile dev\n  daypass logout --all",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all && (cmd.Flags().Changed("profile") || cmd.Flags().Changed("idp")) {
				return errors.New("--all takes every login: leave out --profile and --idp")
			}
			src := e.source(cmd)
			p, err := profile.Profile{}, error(nil)
			if !all {
				p, err = loadLogin(src, name)
			}
			if err != nil {
				return err
			}
			return e.withSession(p, func(s *session) error {
				s.typed = true
				outs, err := make([]process.LoggedOut, 1), error(nil)
				if all {
					outs, err = s.LogoutAll(cmd.Context())
				} else {
					outs[0], err = s.Logout(cmd.Context())
				}
				if err != nil && (!all || len(outs) == 0) {
					return err
				}
				return cmp.Or(e.print([]byte(loggedOut(src, outs, e.Now()))), err)
			})
		},
	}
	loginFlags(cmd, &name)
	cmd.Flags().BoolVar(&all, "all", false, "every login on this machine; needs no configuration")
	return cmd
}

// loggedOut says what was revoked, which profiles that affects, and which AWS
// credentials remain valid.
func loggedOut(src profile.Source, outs []process.LoggedOut, now time.Time) string {
	var text strings.Builder
	var until time.Time
	for _, out := range outs {
		name := cmp.Or(out.IDP, "the provider")
		if !out.Found {
			fmt.Fprintf(&text, "You were not logged in to %s.\n", prompt.Clean(name))
			continue
		}
		revoked := "no refresh token to revoke"
		switch {
		case out.NotRevoked != "":
			revoked = "refresh token not revoked: " + out.NotRevoked
		case out.Revoked:
			revoked = "refresh token revoked"
		}
		fmt.Fprintf(&text, "Logged out of %s (%s)", prompt.Clean(name), prompt.Clean(revoked))
		switch profiles := prompt.Clean(strings.Join(profilesOf(src, out), ", ")); {
		case strings.Contains(profiles, ", "):
			text.WriteString(": profiles " + profiles)
		case profiles != "":
			text.WriteString(": profile " + profiles)
		}
		text.WriteString(".\n")
		if out.CredentialsUntil.After(until) {
			until = out.CredentialsUntil
		}
	}
	if len(outs) == 0 {
		text.WriteString("No login on this machine is known.\n")
	}
	if until.After(now) {
		fmt.Fprintf(&text, "AWS credentials already given out stay valid until %s; browser sessions stay open.\n", failure.Clock(until, now))
	}
	return text.String()
}

// profilesOf are the profiles that use the login according to the file, and those that
// had credentials from it.
func profilesOf(src profile.Source, out process.LoggedOut) []string {
	var profiles []string
	if file, err := profile.Open(src); err == nil && out.IDP != "" {
		profiles = file.NamesUsing(out.IDP)
	}
	for _, name := range out.Profiles {
		if !slices.Contains(profiles, name) {
			profiles = append(profiles, name)
		}
	}
	return profiles
}
