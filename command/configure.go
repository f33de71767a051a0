package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/secret"
)

func newConfigure(e *Environment) *cobra.Command {
	c := configurer{env: e}
	var name, importFile string
	cmd := &cobra.Command{
		Use:   "configure",
		Short: "Set up a profile, with questions and answers",
		Long: `Asks for the identity provider, the client and the role, asks the provider
whether people can log in with that client, and how, shows the lines for
~/.aws/config and writes them. Everything else in that file stays as it is.

A setting that is given as a flag is not asked for (all of them: daypass help
settings). With --yes nothing is asked and nobody is needed at the terminal. A
further role with the same login takes --idp NAME and --role-arn.

--import takes the sections [daypass-idp NAME] and [profile NAME] from a file
that your company hands out (or from standard input, -), and writes
credential_process for this machine. Whatever could do harm in it needs a yes of
its own, or --force.`,
		Example: `  daypass configure
  daypass configure --idp corp --profile prod \
    --role-arn arn:aws:iam::111122223333:role/Admin
  daypass configure --issuer https://corp.eu.auth0.com/ --client-id J1oXg0 \
    --role-arn arn:aws:iam::111122223333:role/Developer --profile dev --yes
  daypass configure --import company.ini`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.answers = e.source(cmd).Flags
			if name != "" {
				c.answers["profile"] = name
			}
			if importFile != "" && len(c.answers) > 0 {
				return errors.New("--import takes every setting from the file: leave out the other flags but --yes, --force and --dry-run")
			}
			return c.run(cmd.Context(), importFile)
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "`NAME` of the profile to write")
	addSettings(cmd, "issuer", "client-id", "role-arn", "region", "idp")
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "ask nothing, and write")
	cmd.Flags().BoolVar(&c.force, "force", false, "accept the warnings about an imported file")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "print the lines, and write nothing")
	cmd.Flags().StringVar(&importFile, "import", "", "take over the sections of a `FILE`, or of standard input (-)")
	return cmd
}

// configurer is one run of configure. Each answer is kept under the name of the flag
// that gives it, as if it had come on the command line.
type configurer struct {
	env                *Environment
	answers            map[string]string
	yes, force, dryRun bool

	register string          // redirect addresses to register at the provider
	program  string          // the path for credential_process
	config   *profile.Config // as it was read
	secret   secret.String
	talk     *prompt.Terminal // nil until something is asked
}

// run sets up the profile of the answers, or with a path the sections of the file
// that is to be imported.
func (c *configurer) run(ctx context.Context, imported string) (err error) {
	defer func() {
		if c.talk != nil {
			_ = c.talk.Close()
		}
	}()
	if c.program, err = c.env.programPath(); err != nil {
		return err
	}
	if c.config, err = profile.OpenToEdit(c.env.fileSource()); err != nil {
		return err
	}
	_, err = cache.StateDir(c.env.Getenv, c.env.Home)
	if _, foreign := errors.AsType[*cache.ForeignError](err); foreign && c.config.IsNew { // it would be root's
		return err
	}
	var settings []profile.Setting
	if imported != "" {
		settings, err = c.readImport(ctx, imported)
	} else if err = c.askAll(ctx); err == nil {
		if same := c.sameLogin(); same.Name == c.answers["idp"] && !same.ClientSecret.Empty() {
			c.secret = secret.String{} // the section has it, perhaps from the company's file
		}
		settings = profile.Compose(c.answers["profile"], c.program, c.answers, c.secret)
	}
	if err != nil {
		return ended(ctx, err)
	}
	edited, changes, err := c.config.Edit(settings)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if !change.IDP {
			continue
		}
		before, _ := c.config.LoadIDP(change.Name)
		login, _ := edited.LoadIDP(change.Name) // Edit has checked it
		switch {
		// Profiles that share the login would use the other provider, which would also
		// get the client secret of the section.
		case change.Key == "issuer" && change.Old != "":
			return failure.New(failure.ExitUsage, nil,
				fmt.Sprintf("[daypass-idp %s] is the login at %s.", change.Name, change.Old), "Choose another name, or remove that section first.")
		case change.Key == "client_id" && change.Old != "" && !login.ClientSecret.Empty() && login.ClientSecret.Equal(before.ClientSecret):
			return failure.New(failure.ExitUsage, nil, fmt.Sprintf("[daypass-idp %s] has the client secret of another client, %s.", change.Name, change.Old),
				"Choose another name, or remove client_secret from that section first.")
		case change.Key == "browser_command":
			if err := (prompt.Browser{Command: login.BrowserCommand}).Find(); err != nil {
				return failure.New(failure.ExitUsage, err, fmt.Sprintf("browser_command of [daypass-idp %s] would not start: %v.", change.Name, err),
					"Install the program, or correct or leave out browser_command.")
			}
		}
	}
	var harm []string
	if imported != "" {
		harm = warnings(c.config, changes)
	}
	return c.finish(ctx, edited, changes, harm)
}

// readImport reads the sections of a file that a company hands out. The first profile
// with a role is the one that a login is offered to.
func (c *configurer) readImport(ctx context.Context, path string) ([]profile.Setting, error) {
	settings, err := prompt.UntilDone(ctx, func() ([]profile.Setting, error) {
		return profile.ReadImport(path, c.env.Stdin, c.program)
	})
	for _, set := range settings {
		switch {
		case set.IDP:
			c.answers["idp"] = cmp.Or(c.answers["idp"], set.Name)
		case set.Key == "credential_process": // each profile has one
			err = cmp.Or(err, c.checkProfile(set.Name))
		case set.Key == "daypass_role_arn":
			c.answers["profile"] = cmp.Or(c.answers["profile"], set.Name)
		}
	}
	return settings, err
}

// warnings are about the changes with which a file from outside could do harm.
func warnings(config *profile.Config, changes []profile.Setting) []string {
	harm := map[string]string{
		"browser_command":               "runs this program on your machine",
		"daypass_sts_endpoint":          "gets your ID token",
		"daypass_signin_endpoint":       "gets your AWS credentials",
		"device_authorization_endpoint": "says where you log in",
		"ca_bundle":                     "is trusted for connections",
		"source":                        "names what goes to AWS as your ID token",
		"daypass_azure_tenant":          "is where your commands sign in to Azure",
	}
	var all []string
	for _, c := range changes {
		said := fmt.Sprintf("%s %s = %s", c.Header(), c.Key, shownValue(c.Key, c.Value))
		switch {
		case harm[c.Key] != "":
			all = append(all, said+", which "+harm[c.Key])
		case c.Key == "credential_process": // ours
		case c.Key == "storage" && c.Value == "file":
			all = append(all, said+", which keeps logins outside the keyring")
		case c.Old != "":
			all = append(all, said+", which was "+shownValue(c.Key, c.Old))
		case !c.New:
			all = append(all, said+", in a section that you already have")
		case c.IDP && (slices.Contains(config.CompanyIDPNames(), c.Name) || config.NamesUsing(c.Name) != nil):
			all = append(all, said+", for a login that you already have")
		case !c.IDP && c.Name == "default" && c.Key == "daypass_role_arn":
			all = append(all, said+", which every AWS tool uses where no profile is named")
		}
	}
	return all
}

// finish shows the lines, writes them, and offers a login if there is a profile.
// First, each warning must be accepted by itself.
func (c *configurer) finish(ctx context.Context, edited *profile.Config, changes []profile.Setting, warnings []string) error {
	path, name := c.env.fileSource().ConfigFile(), c.answers["profile"]
	shown := fmt.Sprintf("%s already has these settings.\n", path)
	if len(changes) > 0 {
		shown = fmt.Sprintf("For %s:\n\n%s\n", path, difference(changes))
	}
	if c.register != "" {
		shown += "People log in with a browser there. At the provider, the client needs the\nredirect address " + strings.ReplaceAll(c.register, " ", " and ") + "\n\n"
	}
	if c.force || c.dryRun {
		for _, warning := range warnings {
			shown += "Warning: " + warning + ".\n"
		}
	}
	if c.force {
		warnings = nil
	}
	switch {
	case c.yes && len(warnings) > 0:
		return failure.New(failure.ExitUsage, nil, warnings[0]+".",
			fmt.Sprintf("--yes does not answer the warnings about this file (%d); nothing was written.", len(warnings)),
			"Run it without --yes, or read them with --dry-run and add --force.")
	case c.dryRun:
		return c.env.print([]byte(prompt.CleanLines(shown)))
	case !c.yes && len(changes) > 0:
		if err := c.confirm(ctx, shown, warnings); err != nil {
			return ended(ctx, err)
		}
		shown = ""
	}
	if len(changes) > 0 {
		if err := c.config.Replace(edited); err != nil {
			return err
		}
		shown += fmt.Sprintf("daypass: wrote %s.\n", path)
	}
	if c.talk != nil && name != "" {
		if err := c.env.print([]byte(prompt.CleanLines(shown))); err != nil {
			return err
		}
		// The file is written, so the end of the input means no.
		if yes, err := c.talk.Confirm(ctx, "Log in and try the role now?", true); err == nil && yes {
			return c.try(ctx, name)
		}
		shown = ""
	}
	if login := c.answers["idp"]; name != "" {
		shown += "Next: daypass login --profile " + name + "\n"
	} else if login != "" { // else the profiles are for Azure alone
		shown += "Next: daypass configure --idp " + login + "\n"
	}
	err := c.env.print([]byte(prompt.CleanLines(shown)))
	if err == nil && ctx.Err() != nil {
		err = failure.Interrupted(ctx.Err())
	}
	return err
}

// difference shows changes as lines that begin with + and -.
func difference(changes []profile.Setting) string {
	var text strings.Builder
	header := ""
	for _, c := range changes {
		if c.Header() != header {
			header = c.Header()
			sign := "  "
			if c.New {
				sign = "+ "
			}
			text.WriteString(sign + header + "\n")
		}
		if c.Old != "" {
			text.WriteString("- " + c.Key + " = " + shownValue(c.Key, c.Old) + "\n")
		}
		text.WriteString("+ " + c.Key + " = " + shownValue(c.Key, c.Value) + "\n")
	}
	return text.String()
}

func shownValue(key, value string) string {
	if key == "client_secret" {
		return "(hidden)"
	}
	return value
}

// confirm shows the lines. It returns an error unless the person accepts them.
func (c *configurer) confirm(ctx context.Context, shown string, warnings []string) error {
	talk, err := c.conversation()
	if err != nil {
		return err
	}
	if err := talk.Say("\n" + shown); err != nil {
		return err
	}
	var questions []string
	for _, warning := range warnings {
		questions = append(questions, "Warning: "+warning+". Accept?")
	}
	for _, question := range append(questions, "Write this?") {
		if yes, err := talk.Confirm(ctx, question, questions == nil); err != nil || !yes {
			return cmp.Or[error](err, failure.New(failure.ExitRefused, nil, "nothing was written."))
		}
	}
	return nil
}

// try logs in and assumes the role.
func (c *configurer) try(ctx context.Context, name string) error {
	p, err := profile.Load(c.env.fileSource(), name)
	if err != nil {
		return err
	}
	return c.env.withSession(p, func(s *session) error {
		s.typed = true
		if p.IDP.Source == "" { // else nobody logs in
			in, err := s.Login(ctx, false)
			if err != nil {
				return err
			}
			if err := c.env.print([]byte(loggedIn(p, in, c.env.Now()))); err != nil {
				return err
			}
		}
		credentials, err := s.Credentials(ctx, process.ForSession)
		if err != nil {
			return err
		}
		use := "aws sts get-caller-identity"
		if name != "default" {
			use += " --profile " + name
		}
		return c.env.print(fmt.Appendf(nil, "daypass: AWS gives you role %s in account %s until %s. Try: %s\n",
			p.RoleName, p.AccountID, failure.Clock(credentials.Expires, c.env.Now()), use))
	})
}
