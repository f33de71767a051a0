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
	"syscall"
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
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no command was given")
			}
			path, err := exec.LookPath(args[0])
			switch {
			case cmd.ArgsLenAtDash() < 0 && len(args) > 1 && args[1] == "--", err != nil && e.isProfile(args[0]):
				return meantProfile(args[0])
			case err != nil:
				return cannotRun(args[0], err)
			}
			p, err := loadAny(e.source(cmd), x.profile)
			if x.serve {
				err = withRole(p, err)
			}
			if err != nil {
				return err
			}
			environ, err := x.read(e.Environ())
			if err != nil {
				return err
			}
			e.CatchSignals() // not before: a file can be a pipe that nobody writes to
			return e.withSession(p, func(s *session) (err error) {
				ctx := cmd.Context()
				if x.azure {
					if x.assertion, err = s.newAssertion(); err != nil {
						return err
					}
					defer x.assertion.close()
				}
				if x.serve {
					if x.server, err = e.startServer(ctx, p); err != nil {
						return err
					}
					defer x.server.close()
				}
				environ, credentials, err := x.environment(ctx, s, environ)
				if err == nil && x.azure {
					err = s.keepAssertion(ctx, x.assertion, credentials)
				}
				if err != nil {
					return err
				}
				return runChild(ctx, x.serve || x.azure, path, args, environ)
			})
		},
	}
	profileFlag(cmd, &x.profile)
	cmd.Flags().BoolVar(&x.serve, "serve", false, "give the command credentials that are renewed while it runs")
	cmd.Flags().BoolVar(&x.azure, "azure", false, "also sign in to Azure")
	cmd.Flags().StringArrayVar(&x.files, "env-file", nil, "file of NAME=VALUE lines; may be repeated, later ones win")
	cmd.Flags().StringArrayVar(&x.env, "env", nil, "NAME=VALUE, which wins over everything; may be repeated")
	cmd.Flags().SetInterspersed(false)
	addSettings(cmd, "region")
	return cmd
}

// execution is what the flags of exec say, and what the command has of them.
type execution struct {
	profile    string
	serve      bool
	azure      bool
	files, env []string

	assertion *assertion        // with --azure
	server    *credentialServer // with --serve
}

// read is the environment with the variables of the files and of --env.
func (x *execution) read(environ []string) ([]string, error) {
	for _, name := range x.files {
		var all []string
		form := "Each line is NAME=VALUE, empty, or a comment that begins with #."
		f, err := os.Open(name)
		if err == nil {
			all, err = reference.EnvFile(f)
			_ = f.Close()
		}
		if unread, ok := errors.AsType[*fs.PathError](err); ok {
			err, form = unread.Err, ""
		}
		if err != nil {
			return nil, failure.New(failure.ExitUsage, err, fmt.Sprintf("the file %q of --env-file cannot be used: %v.", name, err), form)
		}
		environ = put(environ, all...)
	}
	for i, assignment := range x.env {
		if name, _, assigned := strings.Cut(assignment, "="); !assigned || !reference.IsName(name) {
			return nil, fmt.Errorf("--env number %d is not NAME=VALUE", i+1)
		}
	}
	return put(environ, x.env...), nil
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
		environ = put(drop(environ, azureShadows()...), x.assertion.variables(p.Azure)...)
	}
	switch {
	case x.server != nil:
		environ = x.server.environment(environ)
	case p.RoleARN != "":
		environ = put(drop(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"), append(accountVariables(p),
			"AWS_ACCESS_KEY_ID="+c.AccessKeyID,
			"AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey.Reveal(),
			"AWS_SESSION_TOKEN="+c.SessionToken.Reveal(),
			"AWS_CREDENTIAL_EXPIRATION="+c.Expires.UTC().Format(time.RFC3339))...)
	}
	return put(environ, x.env...)
}

// accountVariables are the profile's account, of which newer SDKs make endpoints, and
// its region. Without one the environment's is left, and that has none.
func accountVariables(p profile.Profile) []string {
	if p.Region == "" {
		return []string{"AWS_ACCOUNT_ID=" + p.AccountID}
	}
	return []string{"AWS_ACCOUNT_ID=" + p.AccountID, "AWS_REGION=" + p.Region, "AWS_DEFAULT_REGION=" + p.Region}
}

// put is the environment with these variables, in place of others of their names: the
// last of a name stays.
func put(environ []string, set ...string) []string {
	return (&exec.Cmd{Env: append(slices.Clone(environ), set...)}).Environ()
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

// endOf is how daypass ends after the command that it has waited for.
func endOf(name string, err error) error {
	exit, ended := errors.AsType[*exec.ExitError](err)
	if !ended {
		return cannotRun(name, err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &childExit{128 + int(status.Signal())} // as shells count
	}
	return &childExit{exit.ExitCode()}
}

// cannotRun is the answer to a command that cannot be started, with the exit
// codes that shells use: 127 not found, 126 found but not to be run.
func cannotRun(name string, err error) error {
	if err == nil {
		return nil
	}
	code := 126
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = 127
	}
	return failure.New(code, err, fmt.Sprintf("the command %q cannot be run: %v.", name, failure.Bare(err)))
}
