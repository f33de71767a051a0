package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// askAll asks what no flag says, in the order in which one answer helps to the
// next.
func (c *configurer) askAll(ctx context.Context) error {
	for _, step := range []func(context.Context) error{c.askLogin, c.askRole, c.askProfile, c.askRegion, c.askSection} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// The flags that nobody is asked for.
	_, err := c.settings("", "")
	return err
}

// askLogin settles how to log in: by a section that exists, or a new one.
func (c *configurer) askLogin(ctx context.Context) error {
	known, wanted, issuer := c.config.IDPNames(), c.src.Flags["idp"], c.src.Flags["issuer"]
	exists := func(name string) bool { return slices.Contains(known, name) }
	if issuer == "" && wanted != "" && !exists(wanted) && c.yes {
		lines := []string{fmt.Sprintf("there is no section [daypass-idp %s] in %s.", wanted, c.file().ConfigFile())}
		if known != nil {
			lines = append(lines, "There are: "+strings.Join(known, ", ")+".")
		}
		return failure.New(failure.ExitUsage, nil, append(lines, "A new one needs --issuer and --client-id.")...)
	}
	if issuer == "" && exists(wanted) {
		return c.useSection(ctx, wanted)
	}
	text := "Issuer URL of your company's login, such as https://corp.eu.auth0.com/"
	if known != nil {
		text += ",\nor a login that you have already (" + strings.Join(known, ", ") + ")"
	}
	answer, err := c.ask(ctx, question{flag: "issuer", text: text, check: func(ctx context.Context, answer string) (string, error) {
		if exists(answer) {
			return answer, c.useSection(ctx, answer)
		}
		return c.checkIssuer(ctx, answer)
	}}, issuer)
	if err != nil || exists(answer) {
		return err
	}
	c.src.Flags["issuer"] = answer
	if err := c.askSetting(ctx, "client-id", "Client id"); err != nil {
		return err
	}
	return c.askClientSecret(ctx, issuer == "")
}

// useSection uses a login that other profiles have too.
func (c *configurer) useSection(ctx context.Context, name string) error {
	c.src.Flags["idp"] = name
	login, err := c.config.LoadIDP(name)
	if err != nil {
		return err
	}
	_, err = c.discover(ctx, login)
	return err
}

// checkIssuer asks the provider how it spells itself, and whether it has the device
// flow.
func (c *configurer) checkIssuer(ctx context.Context, issuer string) (string, error) {
	issuer = strings.TrimSuffix(issuer, "/.well-known/openid-configuration")
	if !strings.Contains(issuer, "://") {
		issuer = "https://" + issuer
	}
	checked, err := c.settings("issuer", issuer)
	if err != nil {
		return "", err
	}
	endpoint, err := c.discover(ctx, checked.IDP)
	var misspelt *idp.DiscoveryError
	if errors.As(err, &misspelt) && misspelt.Discovered != "" {
		use, asked := c.acceptsSpelling(ctx, issuer, misspelt.Discovered)
		if asked != nil {
			return "", c.ended(ctx, asked)
		}
		if use {
			checked.IDP.Issuer = misspelt.Discovered
			endpoint, err = c.discover(ctx, checked.IDP)
		}
	}
	if err == nil && endpoint != "" {
		c.src.Flags["device-authorization-endpoint"] = endpoint
	}
	return checked.IDP.Issuer, err
}

// acceptsSpelling decides whether the provider's own name for itself is used.
// Whoever can make us use another issuer could sign our tokens, so it has to be the
// same host, and but for a slash at the end a person has to agree.
func (c *configurer) acceptsSpelling(ctx context.Context, issuer, discovered string) (bool, error) {
	ours, err := url.Parse(issuer)
	theirs, wrong := url.Parse(discovered)
	if err != nil || wrong != nil || ours.Scheme != theirs.Scheme || !strings.EqualFold(ours.Host, theirs.Host) || strings.Contains(discovered, "{") {
		return false, nil
	}
	if c.yes {
		return strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(discovered, "/"), nil
	}
	talk, err := c.conversation()
	if err != nil {
		return false, err
	}
	return talk.Confirm(ctx, "  The provider spells itself "+discovered+", and AWS compares each letter. Use that?", true)
}

// discover asks the provider. It returns the device endpoint if that has to be
// written, because GitLab has one and does not name it.
func (c *configurer) discover(ctx context.Context, login profile.IDP) (endpoint string, err error) {
	if c.talk != nil {
		_ = c.talk.Say("  asking " + login.Issuer + " ...")
	}
	s, err := c.env.session(profile.Profile{IDP: login})
	if err != nil {
		return "", err
	}
	defer s.close()
	published, err := s.Diagnose(ctx)
	var failed *failure.Error
	switch {
	case ctx.Err() != nil:
		return "", c.ended(ctx, ctx.Err())
	case errors.As(err, &failed) && failed.Exit == failure.ExitNetwork:
		return "", failure.New(failed.Exit, err, failed.Lines[0], "Is the address right, and does it open in a browser on this machine?")
	case err != nil:
		return "", err
	case published.DeviceAuthorizationEndpoint != "" || login.DeviceAuthorizationEndpoint != "":
		return "", nil
	}
	gitlab := strings.TrimSuffix(login.Issuer, "/") + "/oauth/authorize_device"
	if login.Issuer == "https://gitlab.com" {
		return gitlab, nil
	}
	if !c.yes {
		talk, err := c.conversation()
		if err != nil {
			return "", err
		}
		yes, err := talk.Confirm(ctx, "  It names no device_authorization_endpoint. Is it a GitLab, whose is "+gitlab+"?", false)
		if err != nil {
			return "", c.ended(ctx, err)
		}
		if yes {
			return gitlab, nil
		}
	}
	return "", failure.New(failure.ExitUsage, nil,
		login.Issuer+" names no device_authorization_endpoint: nobody can log in with a code there.",
		"Turn the device grant on for the client, at the provider.",
		"If it is on, give --device-authorization-endpoint (GitLab: "+gitlab+").")
}

// askSetting asks for one setting and accepts what package profile accepts.
func (c *configurer) askSetting(ctx context.Context, flag, text string) error {
	answer, err := c.ask(ctx, question{flag: flag, text: text, check: func(_ context.Context, answer string) (string, error) {
		_, err := c.settings(flag, answer)
		return answer, err
	}}, c.src.Flags[flag])
	c.src.Flags[flag] = answer
	return err
}

// askClientSecret asks for a secret where the login is new. Google demands one.
func (c *configurer) askClientSecret(ctx context.Context, asked bool) error {
	demanded := c.src.Flags["issuer"] == "https://accounts.google.com"
	if _, has := c.sameLogin(); has || !demanded && (c.yes || !asked) {
		return nil
	}
	if c.yes {
		return failure.New(failure.ExitUsage, nil, "Google demands a client secret, and no flag accepts one: argument lists are public.",
			"Run daypass configure without --yes, or with --import FILE.")
	}
	talk, err := c.conversation()
	if err != nil {
		return err
	}
	text := "Client secret, Enter if the client has none"
	if demanded {
		text = "Client secret, which Google demands"
	}
	if c.secret, err = talk.AskSecret(ctx, text); err == nil && demanded && c.secret.Empty() {
		err = errors.New("no client secret was given")
	}
	if err != nil {
		return c.ended(ctx, err)
	}
	return nil
}

// sameLogin returns the section of the login that is being set up, "" if it is new,
// and whether it has a client secret.
func (c *configurer) sameLogin() (name string, hasSecret bool) {
	for _, name := range c.config.IDPNames() {
		idp, err := c.config.LoadIDP(name)
		if err == nil && idp.Issuer == c.src.Flags["issuer"] && idp.ClientID == c.src.Flags["client-id"] {
			return name, !idp.ClientSecret.Empty()
		}
	}
	return "", false
}

func (c *configurer) askRole(ctx context.Context) error {
	return c.askSetting(ctx, "role-arn", "Role, as arn:aws:iam::ACCOUNT:role/NAME")
}

func (c *configurer) askProfile(ctx context.Context) (err error) {
	free := ""
	p, err := c.settings("", "")
	for _, name := range []string{strings.ToLower(p.RoleName), "default"} {
		// Without a question only default will do, and only if it is new.
		if (name == "default" || !c.yes) && err == nil && !c.config.Has(name) && c.acceptProfile(name) == nil {
			free = name
		}
	}
	c.profile, err = c.ask(ctx, question{flag: "profile", text: "Name of the profile", byDefault: free,
		check: func(_ context.Context, answer string) (string, error) { return answer, c.acceptProfile(answer) }}, c.profile)
	return err
}

// acceptProfile refuses a profile that gets credentials in another way already.
func (c *configurer) acceptProfile(name string) error {
	if err := profile.CheckName(name); err != nil {
		return err
	}
	shadows, err := c.config.Shadows(name)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range shadows {
		others = append(others, strings.Join(s.Keys, ", ")+" in "+s.Where)
	}
	if line := c.config.CredentialProcess(name); line != "" && !runsDaypass(line) {
		others = append(others, "its credential_process runs another program")
	}
	if others == nil {
		return nil
	}
	return failure.New(failure.ExitUsage, nil,
		fmt.Sprintf("profile %s gets other credentials already: %s.", name, strings.Join(others, "; ")),
		"Choose another name, or remove these settings first.")
}

// runsDaypass recognizes a line of ours, also one that was written for another
// path.
func runsDaypass(line string) bool {
	program, _, _ := strings.Cut(strings.ReplaceAll(line, `\`, "/"), " process")
	return strings.HasPrefix(path.Base(program), "daypass")
}

// askRegion offers the region that the profile has, else the environment's, else
// that of [default], else none.
func (c *configurer) askRegion(ctx context.Context) error {
	offered := ""
	for _, region := range []string{
		c.config.Region(c.profile), c.env.Getenv("AWS_REGION"), c.env.Getenv("AWS_DEFAULT_REGION"), c.config.Region("default"),
	} {
		if _, err := c.settings("region", region); offered == "" && err == nil {
			offered = region
		}
	}
	text := "Region"
	if offered == "" {
		text = "Region, such as eu-west-1, Enter for none"
	}
	region, err := c.ask(ctx, question{flag: "region", text: text, byDefault: offered, optional: true, check: func(_ context.Context, answer string) (string, error) {
		_, err := c.settings("region", answer)
		return answer, err
	}}, c.src.Flags["region"])
	c.src.Flags["region"] = region
	return err
}

// askSection asks for the name of the login.
func (c *configurer) askSection(ctx context.Context) error {
	if c.src.Flags["issuer"] == "" {
		return nil // it exists already
	}
	free, _ := c.sameLogin()
	if free == "" {
		base := sectionName(c.src.Flags["issuer"])
		free = base
		for i := 2; slices.Contains(c.config.IDPNames(), free); i++ {
			free = fmt.Sprintf("%s-%d", base, i)
		}
	}
	name, err := c.ask(ctx, question{flag: "idp", text: "Name of the login, which profiles can share", byDefault: free,
		check: func(_ context.Context, answer string) (string, error) { return answer, profile.CheckName(answer) }}, c.src.Flags["idp"])
	c.src.Flags["idp"] = name
	return err
}

// sectionName makes a name for [daypass-idp NAME] of an issuer: the first part of
// its host that says whose it is.
func sectionName(issuer string) string {
	usual := []string{"login", "sso", "auth", "id", "idp", "accounts", "account", "www", "identity", "keycloak", "oidc", "signin"}
	u, err := url.Parse(issuer)
	if err == nil && strings.Trim(u.Host, "0123456789.:[]") != "" {
		labels := strings.Split(strings.ToLower(u.Hostname()), ".")
		for _, label := range labels[:len(labels)-1] {
			if !slices.Contains(usual, label) && profile.CheckName(label) == nil {
				return label
			}
		}
	}
	return "company"
}

// settings are what the answers so far amount to with one more flag. What is not
// answered yet has a stand-in.
func (c *configurer) settings(flag, value string) (profile.Profile, error) {
	flags := maps.Clone(c.src.Flags)
	delete(flags, "idp")
	if flag != "" {
		flags[flag] = value
	}
	if flags["role-arn"] == "" { // they depend on it
		delete(flags, "region")
		delete(flags, "policy-arns")
	}
	for name, standIn := range map[string]string{
		"issuer": "https://issuer.example", "client-id": "client", "role-arn": "arn:aws:iam::111122223333:role/name",
	} {
		if flags[name] == "" {
			flags[name] = standIn
		}
	}
	return profile.Load(profile.Source{Home: c.env.Home, Flags: flags}, "")
}

// question is one question of configure.
type question struct {
	flag      string // that answers it, without dashes
	text      string
	byDefault string
	optional  bool // an empty answer is one
	// check checks an answer, and returns it as it is to be written.
	check func(ctx context.Context, answer string) (string, error)
}

// ask returns the answer to a question: what its flag says, else with --yes the
// default, else what the person types. A bad answer is explained, and the question
// asked again, three times in all.
func (c *configurer) ask(ctx context.Context, q question, given string) (string, error) {
	switch {
	case given != "":
		return q.check(ctx, given)
	case c.yes && q.byDefault != "":
		return q.check(ctx, q.byDefault)
	case c.yes && q.optional:
		return "", nil
	case c.yes:
		return "", failure.New(failure.ExitUsage, nil, "--"+q.flag+" is missing, and with --yes nothing is asked.", "Run: daypass configure --help")
	}
	talk, err := c.conversation()
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		answer, err := talk.Ask(ctx, q.text, q.byDefault)
		if err != nil {
			return "", c.ended(ctx, err)
		}
		wrong := errors.New("this needs an answer")
		switch {
		case answer == "" && q.optional:
			return "", nil
		case answer != "":
			if answer, wrong = q.check(ctx, answer); wrong == nil {
				return answer, nil
			}
		}
		if ctx.Err() != nil || try == 3 {
			return "", c.ended(ctx, wrong)
		}
		said := strings.TrimPrefix(strings.ReplaceAll(wrong.Error(), "\n", "\n  "), "--"+q.flag+" ")
		if err := talk.Say("  " + said + "\n"); err != nil {
			return "", c.ended(ctx, err)
		}
	}
}

// ended is the error of a conversation that ended too early.
func (c *configurer) ended(ctx context.Context, err error) error {
	var failed *failure.Error
	switch {
	case ctx.Err() != nil:
		return failure.New(failure.ExitInterrupt, err, "interrupted; nothing was written.")
	case errors.Is(err, io.EOF):
		return failure.New(failure.ExitUsage, err, "input ended; nothing was written.")
	case errors.As(err, &failed):
		return err
	}
	return failure.New(failure.ExitUsage, err, err.Error()+"; nothing was written.")
}

// conversation opens the terminal, when something is asked for the first time.
func (c *configurer) conversation() (*prompt.Terminal, error) {
	if c.talk != nil {
		return c.talk, nil
	}
	here := prompt.Look("auto", c.env.Getenv)
	why := here.Why
	if here.Terminal {
		talk, err := prompt.OpenTerminal()
		if err == nil {
			c.talk = talk
			return talk, talk.Say("daypass configure: Enter accepts the answer in brackets, Ctrl-C ends it.\n")
		}
		why = err.Error()
	}
	if why == "" {
		why = "there is no terminal to ask on"
	}
	return nil, failure.New(failure.ExitUsage, nil, "configure has questions, and "+why+".", "Give the answers as flags, and --yes: daypass configure --help")
}
