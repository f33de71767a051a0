package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
)

func newExec(e *Environment) *cobra.Command {
	var name string
	var serve bool
	cmd := &cobra.Command{
		Use:   "exec [-p PROFILE] [--serve] -- COMMAND [ARGUMENT ...]",
		Short: "Run a command with credentials in its environment",
		Long: `Runs a command with the profile's credentials in AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION and
AWS_ACCOUNT_ID, and the region, if there is one, in AWS_REGION and
AWS_DEFAULT_REGION. It is for programs that cannot run a credential_process: the
credentials are not renewed while the command runs. daypass ends with the
command's exit status.

With --serve, the command gets no credentials but an address of this machine
where its AWS SDK asks for them: AWS_CONTAINER_CREDENTIALS_FULL_URI, with
AWS_CONTAINER_AUTHORIZATION_TOKEN. They are renewed for as long as the command
runs.`,
		Example: "  daypass exec --profile dev -- terraform plan\n" +
			"  daypass exec --profile dev --serve -- ./train.py",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := exec.LookPath(args[0])
			switch {
			case len(args) > 1 && args[1] == "--", err != nil && e.isProfile(args[0]):
				return meantProfile(args[0])
			case err != nil:
				return cannotRun(args[0], err)
			}
			p, err := loadProfile(e.source(cmd), name)
			if err != nil {
				return err
			}
			return e.withSession(p, func(s *session) error {
				credentials, err := s.Credentials(cmd.Context(), process.ForSession)
				if err != nil {
					return err
				}
				if err := cmd.Context().Err(); err != nil {
					return failure.Interrupted(err)
				}
				if serve {
					server, err := e.startServer(cmd.Context(), p)
					if err != nil {
						return err
					}
					defer server.close()
					return superviseChild(cmd.Context(), path, args, server.environment(e.Environ()))
				}
				return runChild(path, args, childEnvironment(e.Environ(), credentials, s.Profile.Region))
			})
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().BoolVar(&serve, "serve", false, "give the command credentials that are renewed while it runs")
	cmd.Flags().SetInterspersed(false)
	addSettings(cmd)
	cmd.Flags().Lookup("region").Hidden = false
	return cmd
}

// childEnvironment is the environment with the credentials in place of whatever
// else names some. A region of "" leaves the environment's, of which there is none.
func childEnvironment(environ []string, c process.Credentials, region string) []string {
	set := []string{
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey.Reveal(),
		"AWS_SESSION_TOKEN=" + c.SessionToken.Reveal(),
		"AWS_CREDENTIAL_EXPIRATION=" + c.Expires.UTC().Format(time.RFC3339),
		"AWS_ACCOUNT_ID=" + c.AccountID, // newer SDKs make endpoints of it
	}
	if region != "" {
		set = append(set, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
	}
	dropped := []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"}
	for _, assignment := range set {
		name, _, _ := strings.Cut(assignment, "=")
		dropped = append(dropped, name)
	}
	return append(without(environ, dropped), set...)
}

// without is the environment without those variables. Their case does not count, for
// Windows compares variables so.
func without(environ, dropped []string) []string {
	var result []string
	for _, assignment := range environ {
		name, _, _ := strings.Cut(assignment, "=")
		if !slices.ContainsFunc(dropped, func(d string) bool { return strings.EqualFold(d, name) }) {
			result = append(result, assignment)
		}
	}
	return result
}

// childExit carries the exit status of the command that exec ran.
type childExit struct{ code int }

func (e *childExit) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }

// cannotRun is the answer to a command that cannot be started, with the exit
// codes that shells use: 127 not found, 126 found but not to be run.
func cannotRun(name string, err error) error {
	code := 126
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = 127
	}
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return failure.New(code, err, fmt.Sprintf("the command %q cannot be run: %v.", name, err))
}
