package command

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/workload"
)

func newLogin(e *Environment) *cobra.Command {
	var name string
	var anew, noBrowser bool
	cmd := &cobra.Command{
		Use:   "login [-p PROFILE | --idp NAME]",
		Short: "Log in at the identity provider",
		Long: `Logs in now: shows a code and an address to approve it at, or opens a browser
tab, and waits as long as that is good. Every profile that names the same
[daypass-idp] section then works. A login that still renews by itself is kept.
Ctrl-C keeps a code: the next login or command goes on waiting for it.

With --no-browser no tab is opened. Where there is no code, it prints an address
for a browser on any machine, and asks for the address at which that browser
ends up.`,
		Example: "  daypass login --profile dev\n  daypass login --idp corp --force",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := loadLogin(e.source(cmd), name)
			if err != nil {
				return err
			}
			if p.IDP.Source != "" {
				return e.print([]byte(fmt.Sprintf("daypass: no login is needed: the tokens of %s come from %s.\n",
					cmp.Or(p.IDP.Name, "this profile"), prompt.Clean(workload.Describe(p.IDP.Source)))))
			}
			return e.withSession(p, func(s *session) error {
				s.typed, s.noBrowser = true, noBrowser
				if noBrowser && s.tty() != nil {
					s.Paste = s.paste
				}
				for _, warning := range p.IDP.Warnings {
					s.tell("daypass: " + warning)
				}
				in, err := s.Login(cmd.Context(), anew)
				if err != nil {
					return err
				}
				return e.print([]byte(loggedIn(s.Profile, in, e.Now())))
			})
		},
	}
	loginFlags(cmd, &name)
	cmd.Flags().BoolVar(&anew, "force", false, "start anew even if the login still renews")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "open no browser tab; without a code, take the answer of a browser elsewhere")
	return cmd
}

// loggedIn says who is logged in, until when, and whether it renews by itself.
func loggedIn(p profile.Profile, in process.LoggedIn, now time.Time) string {
	at, verb := cmp.Or(p.IDP.Name, p.IDP.Issuer), "logged in"
	if in.Kept {
		verb = "still logged in"
	}
	who := prompt.Clean(in.Who)
	if in.Renews {
		return fmt.Sprintf("daypass: %s to %s as %s; renews by itself.\n", verb, at, who)
	}
	text := fmt.Sprintf("daypass: %s to %s as %s until %s, then asks again\n", verb, at, who, failure.Clock(in.Until, now))
	why := "daypass doctor"
	if p.Name != "" {
		why += " --profile " + profile.Word(p.Name)
	}
	return text + "  (no refresh token came; why: " + prompt.Clean(why) + ").\n"
}
