package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/secret"
)

func newConfigure(e *Environment) *cobra.Command {
	c := configurer{env: e}
	var importFile string
	cmd := &cobra.Command{
		Use:   "configure",
		Short: "Set up a profile, with questions and answers",
		Long: `Asks for the identity provider, the client and the role, checks them with the
provider, shows the lines for ~/.aws/config and writes them. Everything else in
that file stays as it is.

A setting that is given as a flag is not asked for (all of them: daypass help
settings). With --yes nothing is asked and nobody is needed at the terminal. A
further role with the same login takes --idp NAME and --role-arn.

--import takes the sections [daypass-idp NAME] and [profile NAME] from a file
that your company hands out, and writes credential_process for this machine.`,
		Example: `  daypass configure
  daypass configure --idp corp --profile prod \
    --role-arn arn:aws:iam::111122223333:role/Admin
  daypass configure --issuer https://corp.eu.auth0.com/ --client-id J1oXg0 \
    --role-arn arn:aws:iam::111122223333:role/Developer --profile dev --yes
  daypass configure --import company.ini`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.src = e.source(cmd)
			defer c.close()
			if importFile == "" {
				return c.run(cmd.Context())
			}
			if len(c.src.Flags) > 0 || c.profile != "" {
				return errors.New("--import takes every setting from the file: leave out the other flags but --yes and --dry-run")
			}
			return c.runImport(cmd.Context(), importFile)
		},
	}
	cmd.Flags().StringVarP(&c.profile, "profile", "p", "", "the profile to write: a `NAME`")
	addSettings(cmd)
	for _, usual := range []string{"issuer", "client-id", "role-arn", "region", "idp"} {
		cmd.Flags().Lookup(usual).Hidden = false
	}
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "ask nothing, and write")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "print the lines, and write nothing")
	cmd.Flags().StringVar(&importFile, "import", "", "take over the sections of a `FILE`")
	return cmd
}

// configurer is one run of configure. The answers so far are flags, as if they had
// been given on the command line.
type configurer struct {
	env         *Environment
	src         profile.Source
	yes, dryRun bool

	program string // the path for credential_process
	text    []byte // the config file as it was read
	profile string
	secret  secret.String
	talk    *prompt.Conversation // nil until something is asked
}

// begin finds out what can be known before anything is asked.
func (c *configurer) begin() (err error) {
	if c.program, err = c.env.programPath(); err != nil {
		return err
	}
	c.text, err = c.src.ReadConfig()
	return err
}

func (c *configurer) run(ctx context.Context) error {
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.askAll(ctx); err != nil {
		return err
	}
	blocks := profile.Compose(c.profile, c.commandLine(c.profile), c.src.Flags, c.secret)
	return c.finish(ctx, blocks, nil)
}

// commandLine is the credential_process of a profile: words that need no quotes,
// see programFault.
func (c *configurer) commandLine(name string) string {
	return c.program + " process --profile " + name
}

// finish shows the lines, writes them, and offers a login. warnings are shown with
// them, and then want a yes of their own.
func (c *configurer) finish(ctx context.Context, blocks []profile.Block, warnings []string) error {
	made, changes, err := profile.Edit(c.text, blocks)
	if err != nil {
		return err
	}
	path := c.file().ConfigFile()
	shown := fmt.Sprintf("%s says all of this already.\n", path)
	if len(changes) > 0 {
		shown = fmt.Sprintf("For %s:\n\n%s\n", path, profile.Diff(changes))
	}
	for _, warning := range warnings {
		shown += "Mind: " + warning + "\n"
	}
	if c.dryRun {
		return c.env.print([]byte(cleaned(shown)))
	}
	if !c.yes && len(changes) > 0 {
		if err := c.confirm(ctx, shown, len(warnings) == 0); err != nil {
			return err
		}
		shown = "" // once is enough
	}
	names := profileNames(blocks)
	next := "Next: daypass configure --idp " + blocks[0].Name + "\n" // there may be no profile in what was imported
	if len(names) > 0 {
		next = "Next: daypass login --profile " + names[0] + "\n"
	}
	if len(changes) > 0 {
		if err := c.file().ReplaceConfig(c.text, made, names); err != nil {
			return err
		}
		shown += fmt.Sprintf("daypass: wrote %s.\n", path)
	}
	if c.talk == nil || len(names) == 0 {
		return c.env.print([]byte(cleaned(shown + next)))
	}
	if err := c.env.print([]byte(cleaned(shown))); err != nil {
		return err
	}
	// It is written: from here on the end of the answers is a no.
	if yes, err := c.talk.Confirm(ctx, "Log in and try the role now?", true); err != nil || !yes {
		return c.env.print([]byte(next))
	}
	return c.try(ctx, names[0])
}

// confirm shows the lines, and is an error unless the person wants them.
func (c *configurer) confirm(ctx context.Context, shown string, byDefault bool) error {
	talk, err := c.conversation()
	if err != nil {
		return err
	}
	if err := talk.Say("\n" + shown); err != nil {
		return c.ended(ctx, err)
	}
	yes, err := talk.Confirm(ctx, "Write this?", byDefault)
	if err != nil {
		return c.ended(ctx, err)
	}
	if !yes {
		return &failure.Error{Exit: failure.ExitRefused, Lines: []string{"nothing was written."}}
	}
	return nil
}

// try logs in and takes the role.
func (c *configurer) try(ctx context.Context, name string) error {
	p, err := profile.Load(c.file(), name)
	if err != nil {
		return err
	}
	s, err := c.env.session(p)
	if err != nil {
		return err
	}
	defer s.close()
	s.typed = true
	in, err := s.Login(ctx, false)
	if err != nil {
		return err
	}
	if err := c.env.print([]byte(loggedIn(p, in, c.env.Now()))); err != nil {
		return err
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
		p.RoleName, p.AccountID, clock(credentials.Expires, c.env.Now()), use))
}

// file is where settings come from once they are written: no flag counts.
func (c *configurer) file() profile.Source {
	return profile.Source{Getenv: c.env.Getenv, Home: c.env.Home}
}

func profileNames(blocks []profile.Block) []string {
	var names []string
	for _, b := range blocks {
		if !b.IDP {
			names = append(names, b.Name)
		}
	}
	return names
}

// cleaned is text of which some stands in files.
func cleaned(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(prompt.Clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

func (c *configurer) close() {
	if c.talk != nil {
		_ = c.talk.Close()
	}
}
