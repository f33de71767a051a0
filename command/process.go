package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
)

func newProcess(e *Environment) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "process --profile NAME",
		Short: "Print credentials for an SDK (credential_process)",
		Long: `Prints the profile's role credentials as the Version-1 JSON that the AWS CLI and
SDKs read from a credential_process: from the cache while they are fresh, else
renewed, else after a login. It asks on the terminal device or in a browser,
never on stdin, stdout or stderr.

The profile is taken from --profile alone: an SDK does not say which profile it
resolves, and AWS_PROFILE may name another.`,
		Example: "  credential_process = /usr/local/bin/daypass process --profile dev",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := profile.Load(e.source(cmd), name)
			if err = withRole(p, err); err != nil {
				return err
			}
			return e.withSession(p, func(s *session) error {
				// A cached answer needs neither, and both take longer than it does.
				ends, cancel := e.Now().Add(p.IDP.ProcessTimeout), context.CancelFunc(func() {})
				s.Missed = func(ctx context.Context) context.Context {
					e.CatchSignals()
					ctx, cancel = context.WithDeadline(ctx, ends)
					return ctx
				}
				defer func() { cancel() }()
				credentials, err := s.Credentials(cmd.Context(), process.ForSDK)
				if err != nil {
					return err
				}
				document, err := credentials.Version1()
				if err != nil {
					return err
				}
				return e.print(document)
			})
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "the profile to serve")
	// Making the flags that override settings takes longer than reading the credentials.
	if slices.ContainsFunc(e.Args, func(arg string) bool { return strings.HasPrefix(arg, "--") && !strings.HasPrefix(arg, "--profile") }) {
		addSettings(cmd)
	}
	return cmd
}
