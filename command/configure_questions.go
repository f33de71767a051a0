package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// askAll asks what no flag says, in the order in which one answer helps with the
// next.
func (c *configurer) askAll(ctx context.Context) error {
	if _, err := c.settings(); err != nil {
		return err // of a flag: no answer mends it
	}
	if err := c.askLogin(ctx); err != nil {
		return err
	}
	for _, q := range []question{
		{flag: "role-arn", text: "Role, as arn:aws:iam::ACCOUNT:role/NAME"},
		{flag: "profile", text: "Name of the profile", offer: c.freeProfile, check: c.checkProfile},
		{flag: "region", text: "Region", offer: c.usualRegion, orNone: ", such as eu-west-1, Enter for none"},
		{flag: "idp", text: "Name of the login, which profiles can share", offer: c.freeSection, check: profile.CheckName},
	} {
		if q.flag == "idp" && c.answers["issuer"] == "" && !c.isWorkload() {
			continue // the login exists already
		}
		if err := c.ask(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// askLogin settles how to log in: with a section that exists, or with a new one.
func (c *configurer) askLogin(ctx context.Context) error {
	if c.answers["source-profile"] != "" || c.isWorkload() {
		return nil // its login is that of the other profile, or nobody logs in
	}
	known, wanted, issuer := c.config.IDPNames(), c.answers["idp"], c.answers["issuer"]
	text := "Issuer URL of your company's login, such as https://corp.eu.auth0.com/"
	if known != nil {
		text = "Issuer URL of your company's login, or a login that you already have (" + strings.Join(known, ", ") + ")"
	}
	if issuer == "" && (slices.Contains(known, wanted) || c.yes) {
		c.answers["issuer"] = wanted
	}
	company := func() string { // its first login, if it has one
		return append(c.config.CompanyIDPNames(), "")[0]
	}
	check := func(answer string) error {
		if answer != wanted && !slices.Contains(known, answer) {
			return c.checkIssuer(ctx)
		}
		login, err := c.config.LoadIDP(answer)
		if err == nil && login.Source == "" { // else nobody logs in
			err = c.discover(ctx, login)
		}
		if err == nil {
			c.answers["idp"] = answer
			delete(c.answers, "issuer")
		}
		return err
	}
	err := c.ask(ctx, question{flag: "issuer", text: text, offer: company, check: check})
	if err != nil || c.answers["issuer"] == "" {
		return err
	}
	return c.askClient(ctx, issuer == "")
}

// askClient settles the client, which the provider has to accept. Whoever gives flags
// is asked for a secret (withSecret) only after the provider has refused the client.
func (c *configurer) askClient(ctx context.Context, withSecret bool) error {
	for {
		if err := c.ask(ctx, question{flag: "client-id", text: "Client id"}); err != nil {
			return err
		}
		c.secret = c.sameLogin().ClientSecret
		// No flag accepts a secret: argument lists are public.
		if withSecret && c.talk != nil && c.secret.Empty() {
			var err error
			if c.secret, err = c.talk.AskSecret(ctx, "Client secret, Enter if the client has none"); err != nil {
				return err
			}
		}
		err := c.tryClient(ctx)
		if err == nil || c.yes || failure.From(err).Exit != failure.ExitRefused {
			return err
		}
		if _, nobody := c.conversation(); nobody != nil {
			return err
		}
		if err := c.explain(err.Error()); err != nil {
			return err
		}
		withSecret = true
		delete(c.answers, "client-id")
	}
}

// tryClient asks the provider for a code, which is shown to nobody and expires. If
// people log in with a browser there, it settles the redirect addresses.
func (c *configurer) tryClient(ctx context.Context) error {
	p, err := c.settings()
	if err != nil {
		return err
	}
	p.IDP.ClientSecret = c.secret
	return c.env.withSession(profile.Profile{IDP: p.IDP}, func(s *session) error {
		flow, err := s.TryClient(ctx)
		if flow == process.BrowserFlow && err == nil {
			if c.answers["redirect-uri"] == "" {
				c.answers["redirect-uri"] = idp.ProviderOf(p.IDP.Issuer).RedirectURIs
			}
			c.register = cmp.Or(c.answers["redirect-uri"], strings.Join(p.IDP.RedirectURIs, " "))
		}
		return err
	})
}

// checkIssuer asks the provider what it calls itself.
func (c *configurer) checkIssuer(ctx context.Context) error {
	checked, err := c.settings()
	if err != nil {
		return err
	}
	err = c.discover(ctx, checked.IDP)
	misspelt, ok := errors.AsType[*idp.DiscoveryError](err)
	if !ok || misspelt.Discovered == "" {
		return err
	}
	use, asked := c.acceptsSpelling(ctx, checked.IDP.Issuer, misspelt.Discovered)
	if !use {
		return cmp.Or(asked, err)
	}
	checked.IDP.Issuer, c.answers["issuer"] = misspelt.Discovered, misspelt.Discovered
	return c.discover(ctx, checked.IDP)
}

// acceptsSpelling decides whether the provider's own name for itself is used. Another
// issuer could sign our tokens, so the host has to be the same, and a person has to
// agree to any difference but a slash at the end.
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
	return talk.Confirm(ctx, "  The provider calls itself "+discovered+", and AWS compares each letter. Use that?", true)
}

// discover asks the provider what it publishes.
func (c *configurer) discover(ctx context.Context, login profile.IDP) error {
	if c.talk != nil {
		_ = c.talk.Say("  asking " + login.Issuer + " ...")
	}
	return c.env.withSession(profile.Profile{IDP: login}, func(s *session) error {
		_, err := s.Diagnose(ctx)
		if document, ok := errors.AsType[*idp.DiscoveryError](err); ok && document.Discovered == "" {
			return failure.New(failure.ExitUsage, err, failure.From(err).Lines[0], "Is the address right, and does it open in a browser on this machine?")
		}
		return err
	})
}

// sameLogin returns the file's login with the same issuer and client, or the zero value.
func (c *configurer) sameLogin() profile.IDP {
	for _, name := range c.config.IDPNames() {
		login, err := c.config.LoadIDP(name)
		if err == nil && login.Source == "" && login.Issuer == c.answers["issuer"] && login.ClientID == c.answers["client-id"] {
			return login
		}
	}
	return profile.IDP{}
}

// freeProfile offers [default] if it is new, else the role's name if somebody can
// confirm it.
func (c *configurer) freeProfile() string {
	p, _ := c.settings()
	for _, name := range []string{"default", strings.ToLower(p.RoleName)} {
		if c.checkProfile(name) == nil && !c.config.Has(name) && (name == "default" || !c.yes) {
			return name
		}
	}
	return ""
}

// checkProfile refuses a profile that already gets credentials in another way.
func (c *configurer) checkProfile(name string) error {
	if err := profile.CheckName(name); err != nil {
		return err
	}
	others, err := c.config.Shadows(name)
	if err != nil {
		return err
	}
	if line := c.config.Value(name, "credential_process"); line != "" && !runsDaypass(line) {
		others = append(others, "its credential_process runs another program")
	}
	if others == nil {
		return nil
	}
	return failure.New(failure.ExitUsage, nil, fmt.Sprintf("profile %s gets other credentials already: %s.", name, strings.Join(others, "; ")),
		"Choose another name, or remove these settings first.")
}

// runsDaypass recognizes a line of ours, also one with another path.
func runsDaypass(line string) bool {
	program, _, _ := strings.Cut(strings.ReplaceAll(line, `\`, "/"), " process")
	return strings.HasPrefix(path.Base(program), "daypass")
}

// usualRegion offers the region of the profile, else of the environment, else of
// [default].
func (c *configurer) usualRegion() string {
	defer delete(c.answers, "region")
	for _, region := range []string{
		c.config.Value(c.answers["profile"], "region"), c.env.Getenv("AWS_REGION"), c.env.Getenv("AWS_DEFAULT_REGION"), c.config.Value("default", "region"),
	} {
		c.answers["region"] = region
		if _, err := c.settings(); region != "" && err == nil {
			return region
		}
	}
	return ""
}

// freeSection offers a name for [daypass-idp NAME]: that of the same login, or a new
// one.
func (c *configurer) freeSection() string {
	if name := c.sameLogin().Name; name != "" {
		return name
	}
	free := "company"
	for i := 2; slices.Contains(c.config.IDPNames(), free); i++ {
		free = fmt.Sprintf("company-%d", i)
	}
	return free
}

// isWorkload reports whether a flag names a source of ID tokens: then nobody logs in.
func (c *configurer) isWorkload() bool {
	return c.answers["source"] != "" && c.answers["source"] != "device"
}

// settings are what the answers so far amount to, with stand-ins for those that are
// still missing.
func (c *configurer) settings() (profile.Profile, error) {
	flags := map[string]string{"issuer": "https://issuer.example", "client-id": "client", "role-arn": "arn:aws:iam::111122223333:role/name"}
	if c.isWorkload() {
		delete(flags, "client-id")
	}
	for flag, answer := range c.answers {
		switch {
		case answer == "":
		case flag == "idp", flag == "profile", flag == "source-profile", flag == "external-id": // [profile.Config.Edit] checks them
		case c.answers["role-arn"] == "" && (flag == "region" || flag == "policy-arns"): // they depend on it
		default:
			flags[flag] = answer
		}
	}
	return profile.Load(profile.Source{Home: c.env.Home, Flags: flags}, "")
}

// question is one question of configure.
type question struct {
	flag   string // that answers it, without dashes
	text   string
	offer  func() string // what Enter answers, or ""; nil: nothing
	orNone string        // set if Enter can also mean none: the end of text that says so
	// check checks the answer, and may correct it in configurer.answers; nil: package
	// profile checks it.
	check func(answer string) error
}

// ask settles the answer to a question: what its flag says, else with --yes what is
// offered, else what the person types. After a bad answer it says why, and asks again.
func (c *configurer) ask(ctx context.Context, q question) error {
	accept := func(answer string) error {
		c.answers[q.flag] = answer
		if q.check != nil {
			return q.check(answer)
		}
		_, err := c.settings()
		return err
	}
	given, offered := c.answers[q.flag], ""
	if given == "" && q.offer != nil {
		offered = q.offer()
	}
	switch {
	case given != "":
		return accept(given)
	case c.yes && offered != "":
		return accept(offered)
	case c.yes && q.orNone != "":
		return nil
	case c.yes:
		return failure.New(failure.ExitUsage, nil, "--"+q.flag+" is missing, and with --yes nothing is asked.", "Run: daypass configure --help")
	case offered == "":
		q.text += q.orNone
	}
	talk, err := c.conversation()
	if err != nil {
		return err
	}
	for {
		answer, err := talk.Ask(ctx, q.text, offered)
		if err != nil || answer == "" && q.orNone != "" {
			return err
		}
		wrong := errors.New("this needs an answer")
		if answer != "" {
			wrong = accept(answer)
		}
		if wrong == nil || ctx.Err() != nil || wrong == io.EOF { // a provider can hang up, which wraps it
			return wrong
		}
		delete(c.answers, q.flag)
		if err := c.explain(strings.TrimLeft(strings.TrimPrefix(wrong.Error(), "--"+q.flag), ": ")); err != nil {
			return err
		}
	}
}

func (c *configurer) explain(wrong string) error {
	return c.talk.Say("  " + strings.ReplaceAll(wrong, "\n", "\n  ") + "\n")
}

// ended explains the error of a run that wrote nothing.
func ended(ctx context.Context, err error) error {
	var failed *failure.Error
	switch {
	case ctx.Err() != nil:
		return failure.New(failure.ExitInterrupt, err, "interrupted; nothing was written.")
	case errors.As(err, &failed):
		return err
	case err == io.EOF:
		return failure.New(failure.ExitUsage, err, "input ended; nothing was written.")
	}
	return failure.New(failure.ExitUsage, err, err.Error()+"; nothing was written.")
}

// conversation opens the terminal when something is asked for the first time.
func (c *configurer) conversation() (*prompt.Terminal, error) {
	if c.talk != nil {
		return c.talk, nil
	}
	here := prompt.Look("auto", c.env.Getenv)
	why := cmp.Or(here.Why, "there is no terminal to ask on")
	if here.Terminal {
		talk, err := prompt.OpenTerminal()
		if err == nil {
			c.talk = talk
			return talk, talk.Say("daypass configure: Enter accepts the answer in brackets, Ctrl-C quits.\n")
		}
		why = err.Error()
	}
	return nil, failure.New(failure.ExitUsage, nil, "configure has questions, and "+why+".", "Give the answers as flags, and --yes: daypass configure --help")
}
