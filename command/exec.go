package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/reference"
)

func newExec(e *Environment) *cobra.Command {
	var x execution
	cmd := &cobra.Command{
		Use:   "exec [-p PROFILE] [--serve] [--azure] [--env-file FILE] [--env NAME=VALUE] -- COMMAND [ARGUMENT ...]",
		Short: "Run a command with credentials and secrets in its environment",
		Long: `Runs a command with the profile's credentials in AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CREDENTIAL_EXPIRATION and
AWS_ACCOUNT_ID, and the region, if there is one, in AWS_REGION and
AWS_DEFAULT_REGION. It is for programs that cannot run a credential_process: the
credentials are not renewed while the command runs. daypass ends with the
command's exit status.

With --serve, the command gets no credentials but an address of this machine
where its AWS SDK asks for them: AWS_CONTAINER_CREDENTIALS_FULL_URI, with
AWS_CONTAINER_AUTHORIZATION_TOKEN. They are renewed for as long as the command
runs.

Values that are references to secrets are replaced by the secrets, in the
environment, in the files of --env-file and in --env:

    awssecrets://NAME      a secret of Secrets Manager, by its name or ARN
    awsssm://PATH          a parameter of SSM's Parameter Store
    azurekeyvault://VAULT/NAME[/VERSION]
                           a secret of Key Vault

#KEY at the end takes one key of a secret that is a JSON object, and #/A/B follows
a JSON pointer. If a secret cannot be fetched, the command is not started.

With --azure, the command also has what Azure's own libraries and Terraform sign in
with: the profile's application, and a file with a token that daypass renews while
the command runs.`,
		Example: "  daypass exec --profile dev -- terraform plan\n" +
			"  daypass exec --profile dev --serve -- ./train.py\n" +
			"  DB_PASSWORD=awssecrets://dev/db#password daypass exec --profile dev -- ./server\n" +
			"  daypass exec --profile dev --azure --env-file app.env -- ./server",
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
			p, err := loadAny(e.source(cmd), x.profile)
			if err != nil {
				return err
			}
			environ, err := x.read(e.Environ())
			if err != nil {
				return err
			}
			return e.withSession(p, func(s *session) error {
				if x.azure {
					if err := s.CheckAssertion(); err != nil {
						return err
					}
				}
				if x.serve {
					if err := withRole(p, nil); err != nil {
						return err
					}
					server, err := e.startServer(cmd.Context(), p)
					if err != nil {
						return err
					}
					defer server.close()
					x.served = server.environment
				}
				environ, credentials, err := x.environment(cmd.Context(), s, environ)
				if err != nil {
					return err
				}
				if x.azure {
					return x.runWithAssertion(cmd.Context(), s, credentials, path, args, environ)
				}
				if err := cmd.Context().Err(); err != nil {
					return failure.Interrupted(err)
				}
				if x.serve {
					return superviseChild(cmd.Context(), path, args, environ)
				}
				return runChild(path, args, environ)
			})
		},
	}
	profileFlag(cmd, &x.profile)
	cmd.Flags().BoolVar(&x.serve, "serve", false, "give the command credentials that are renewed while it runs")
	cmd.Flags().BoolVar(&x.azure, "azure", false, "also sign in to Azure")
	cmd.Flags().StringArrayVar(&x.files, "env-file", nil, "file of NAME=VALUE lines; may be repeated, later ones win")
	cmd.Flags().StringArrayVar(&x.env, "env", nil, "NAME=VALUE, which wins over everything; may be repeated")
	cmd.Flags().SetInterspersed(false)
	addSettings(cmd)
	cmd.Flags().Lookup("region").Hidden = false
	return cmd
}

// execution is what the flags of exec say.
type execution struct {
	profile    string
	serve      bool
	azure      bool
	files, env []string

	served func(environ []string) []string // adds the server of --serve; nil: there is none
}

// read is the environment with the variables of the files and of --env.
func (x *execution) read(environ []string) ([]string, error) {
	for _, name := range x.files {
		all, err := readEnvFile(name)
		if err != nil {
			return nil, failure.New(failure.ExitUsage, err, fmt.Sprintf("the file %q of --env-file cannot be used: %v.", name, err), "Each line is NAME=VALUE, empty, or a comment that begins with #.")
		}
		environ = put(environ, all...)
	}
	for i, assignment := range x.env {
		if name, _, assigned := strings.Cut(assignment, "="); !assigned || !reference.IsName(name) {
			return nil, fmt.Errorf("--env %d of the command line is not NAME=VALUE", i+1)
		}
	}
	return put(environ, x.env...), nil
}

func readEnvFile(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	return reference.EnvFile(f)
}

// environment is what the command gets: the variables with the secrets that they
// refer to, and the role's credentials, if the profile has a role.
func (x *execution) environment(ctx context.Context, s *session, environ []string) ([]string, process.Credentials, error) {
	var credentials process.Credentials
	wanted, err := s.References(x.with(s.Profile, environ, credentials))
	if err == nil && s.Profile.RoleARN != "" {
		credentials, err = s.Credentials(ctx, process.ForSession)
	}
	if err != nil {
		return nil, credentials, err
	}
	secrets, err := s.Secrets(ctx, wanted, credentials)
	return put(x.with(s.Profile, environ, credentials), secrets...), credentials, err
}

// with is the environment with the credentials, without what would win over them.
// Only --env does.
func (x *execution) with(p profile.Profile, environ []string, c process.Credentials) []string {
	if x.azure {
		environ = drop(environ, azureShadows()...)
	}
	switch {
	case x.served != nil:
		environ = x.served(environ)
	case p.RoleARN != "":
		environ = childEnvironment(environ, c, p.Region)
	}
	return put(environ, x.env...)
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
	return put(drop(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"), set...)
}

// put is the environment with these variables, in place of others of their names.
func put(environ []string, set ...string) []string {
	for _, assignment := range set {
		name, _, _ := strings.Cut(assignment, "=")
		environ = append(drop(environ, name), assignment)
	}
	return environ
}

// drop is the environment without these variables. Windows compares names without
// case.
func drop(environ []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(assignment string) bool {
		own, _, _ := strings.Cut(assignment, "=")
		return slices.ContainsFunc(names, func(name string) bool {
			return own == name || runtime.GOOS == "windows" && strings.EqualFold(own, name)
		})
	})
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
