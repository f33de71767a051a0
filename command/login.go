package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newLogin(e *Environment) *cobra.Command {
	var target target
	var anew, noBrowser bool
	cmd := &cobra.Command{
		Use:   "login [-p PROFILE | --idp NAME]",
		Short: "Log in at the identity provider",
		Long: `Logs in now: shows a code and an address to approve it at, and waits as long as
the code is good. Every profile that names the same [daypass-idp] section then
works. A login that still renews by itself is kept. Ctrl-C keeps the code: the
next login or command goes on waiting for it.`,
		Example: "  daypass login --profile dev\n  daypass login --idp corp --force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := target.load(e.source(cmd))
			if err != nil {
				return err
			}
			s, err := e.session(p)
			if err != nil {
				return err
			}
			defer s.close()
			s.typed, s.noBrowser = true, noBrowser
			in, err := s.Login(cmd.Context(), anew)
			if err != nil {
				return err
			}
			return e.print([]byte(loggedIn(p, in, e.Now())))
		},
	}
	target.addFlags(cmd)
	cmd.Flags().BoolVar(&anew, "force", false, "start anew even if the login still renews")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "open no browser tab")
	return cmd
}

// loggedIn says who is logged in, until when, and whether it renews by itself.
func loggedIn(p profile.Profile, in process.LoggedIn, now time.Time) string {
	at := p.IDP.Name
	if at == "" {
		at = p.IDP.Issuer
	}
	verb := "logged in"
	if in.Kept {
		verb = "still logged in"
	}
	who := prompt.Clean(in.Who)
	if in.Renews {
		return fmt.Sprintf("daypass: %s to %s as %s; renews by itself.\n", verb, at, who)
	}
	text := fmt.Sprintf("daypass: %s to %s as %s until %s, then asks again\n", verb, at, who, clock(in.Until, now))
	return text + "  (no refresh token came: the client may not get one, or scopes lack offline_access).\n"
}

// clock is a time of today, or a date with it.
func clock(t, now time.Time) string {
	t = t.Local()
	if d := t.Sub(now); d > 20*time.Hour || d < -20*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// target names what a command that a person types is about: a profile, or with
// --idp alone a login.
type target struct{ profile string }

func (t *target) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&t.profile, "profile", "p", "", "the profile (default: AWS_PROFILE, else default, else the only one)")
	addSettings(cmd)
	cmd.Flags().Lookup("idp").Hidden = false
}

// load reads the settings of the target; for a section alone, the profile holds
// only its IDP.
func (t *target) load(src profile.Source) (profile.Profile, error) {
	if section := src.Flags["idp"]; section != "" && t.profile == "" {
		idp, err := profile.LoadIDP(src, section)
		return profile.Profile{IDP: idp}, err
	}
	return loadProfile(src, t.profile)
}

// loadProfile reads the profile that a person named or meant.
func loadProfile(src profile.Source, name string) (profile.Profile, error) {
	_, issuer := src.Flags["issuer"]
	if name == "" && !issuer {
		chosen, err := src.Choose(name)
		if err != nil {
			return profile.Profile{}, err
		}
		name = chosen
	}
	return profile.Load(src, name)
}
