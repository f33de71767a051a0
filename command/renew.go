package command

import (
	"github.com/spf13/cobra"

	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// newRenew is what daypass runs itself again as, to renew a profile while its old
// credentials still serve: they are printed within seconds, and the exchange with
// the provider, which must not be cut off, has its time here.
func newRenew(e *Environment) *cobra.Command {
	var name string
	var forSession bool
	cmd := &cobra.Command{
		Use:    "renew --profile NAME",
		Short:  "Renew a profile silently",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := profile.Load(e.source(cmd), name)
			if err != nil {
				return err
			}
			s, err := e.session(p)
			if err != nil {
				return err
			}
			defer s.close()
			// Its session has no terminal, and it opens no tab behind anybody's back.
			s.Person, s.Show, s.Waiting, s.Tell = nil, nil, nil, nil
			ctx, cancel := e.withTimeout(cmd.Context(), p.IDP.ProcessTimeout)
			defer cancel()
			fresh := process.ForSDK
			if forSession {
				fresh = process.ForSession
			}
			_, err = s.Credentials(ctx, fresh)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "profile", "", "the profile to renew")
	cmd.Flags().BoolVar(&forSession, "for-session", false, "renew as console and exec do")
	addSettings(cmd)
	return cmd
}

// aside starts newRenew's command for the session's profile, with the settings
// that this command line was given. No secret is among them: client_secret has no
// flag.
func (s *session) aside(cmd *cobra.Command, forSession bool) func() (<-chan struct{}, error) {
	if s.env.Executable == "" {
		return nil
	}
	return func() (<-chan struct{}, error) {
		argv := []string{s.env.Executable, "renew", "--profile=" + s.Profile.Name}
		for flag, value := range s.env.source(cmd).Flags {
			argv = append(argv, "--"+flag+"="+value)
		}
		if forSession {
			argv = append(argv, "--for-session")
		}
		return prompt.StartDetached(argv)
	}
}
