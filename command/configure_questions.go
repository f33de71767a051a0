package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
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

// askLogin settles how to log in: by a section that is there, or a new one.
func (c *configurer) askLogin(ctx context.Context) error {
	known := profile.IDPNames(c.text)
	if c.src.Flags["issuer"] == "" && slices.Contains(known, c.src.Flags["idp"]) {
		return c.useSection(ctx)
	}
	all := presets()
	chosen := all[len(all)-1]
	switch {
	case c.src.Flags["issuer"] != "":
		chosen = presetOf(c.src.Flags["issuer"])
	case c.yes: // the question for the issuer says what is missing
	default:
		var names []string
		for _, name := range known {
			issuer, _ := profile.Value(c.text, true, name, "issuer")
			names = append(names, name+" ("+issuer+"), which is set up already")
		}
		for _, p := range all {
			names = append(names, p.name)
		}
		place, err := c.choose(ctx, "Where does your company log in?", names)
		if err != nil {
			return err
		}
		if place < len(known) {
			c.src.Flags["idp"] = known[place]
			return c.useSection(ctx)
		}
		chosen = all[place-len(known)]
	}
	return c.askProvider(ctx, chosen)
}

// useSection takes up a login that other profiles have too.
func (c *configurer) useSection(ctx context.Context) error {
	idp, err := profile.LoadIDP(c.src, c.src.Flags["idp"])
	if err != nil {
		return err
	}
	_, err = c.discover(ctx, idp, presetOf(idp.Issuer))
	return err
}

// askProvider asks for the issuer, the client id and, where there is one, its
// secret.
func (c *configurer) askProvider(ctx context.Context, p preset) error {
	given := c.src.Flags["issuer"]
	asked := given == ""
	if p.fixed != "" {
		given = p.fixed
	}
	text := p.question
	if p.example != "" {
		text += ", such as " + p.example
	}
	issuer, err := c.ask(ctx, question{flag: "issuer", text: text, byDefault: p.usual, take: func(ctx context.Context, answer string) (string, error) {
		return c.takeIssuer(ctx, p, answer)
	}}, given)
	if err != nil {
		return err
	}
	c.src.Flags["issuer"] = issuer
	if err := c.askSetting(ctx, "client-id", "Client id"); err != nil {
		return err
	}
	return c.askClientSecret(ctx, p, asked)
}

// takeIssuer asks the provider how it spells itself, and whether it has the device
// flow.
func (c *configurer) takeIssuer(ctx context.Context, p preset, answer string) (string, error) {
	issuer, err := p.issuer(answer)
	if err != nil {
		return "", &failure.Error{Exit: failure.ExitUsage, Err: err, Lines: []string{err.Error() + "."}}
	}
	checked, err := c.settings("issuer", issuer)
	if err != nil {
		return "", err
	}
	endpoint, err := c.discover(ctx, checked.IDP, p)
	var misspelt *deviceflow.DiscoveryError
	if errors.As(err, &misspelt) && misspelt.Discovered != "" {
		use, asked := c.takesSpelling(ctx, issuer, misspelt.Discovered)
		if asked != nil {
			return "", c.ended(ctx, asked)
		}
		if use {
			checked.IDP.Issuer = misspelt.Discovered
			endpoint, err = c.discover(ctx, checked.IDP, p)
		}
	}
	if err == nil && endpoint != "" {
		c.src.Flags["device-authorization-endpoint"] = endpoint
	}
	return checked.IDP.Issuer, err
}

// takesSpelling decides whether the provider's own name for itself is used. Who
// can make us take another issuer could sign our tokens, so it has to be the same
// host, and but for a slash at the end a person has to agree.
func (c *configurer) takesSpelling(ctx context.Context, issuer, discovered string) (bool, error) {
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

// discover asks the provider. It returns the device endpoint where that has to be
// written, because the provider does not name it.
func (c *configurer) discover(ctx context.Context, idp profile.IDP, p preset) (endpoint string, err error) {
	if c.talk != nil {
		_ = c.talk.Say("  asking " + idp.Issuer + " ...")
	}
	s, err := c.env.session(profile.Profile{IDP: idp})
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
		failed.Lines = []string{failed.Lines[0], "Is the address right, and does it open in a browser on this machine?"}
		return "", failed
	case err != nil:
		return "", err
	case published.DeviceAuthorizationEndpoint != "" || idp.DeviceAuthorizationEndpoint != "":
		return "", nil
	case p.devicePath != "":
		return strings.TrimSuffix(idp.Issuer, "/") + p.devicePath, nil
	}
	return "", &failure.Error{Exit: failure.ExitUsage, Lines: []string{
		idp.Issuer + " names no device_authorization_endpoint: nobody can log in with a code there.",
		"To be switched on: " + p.switchOn + ".",
		"If it is on, give --device-authorization-endpoint.",
	}}
}

// askSetting asks for one setting and takes what profile takes.
func (c *configurer) askSetting(ctx context.Context, flag, text string) error {
	answer, err := c.ask(ctx, question{flag: flag, text: text, take: func(_ context.Context, answer string) (string, error) {
		_, err := c.settings(flag, answer)
		return answer, err
	}}, c.src.Flags[flag])
	c.src.Flags[flag] = answer
	return err
}

// askClientSecret asks where the provider demands a secret, and where it might.
func (c *configurer) askClientSecret(ctx context.Context, p preset, asked bool) error {
	perhaps := asked && p.others
	if !p.secret && !perhaps || c.hasClientSecret() {
		return nil
	}
	if c.yes {
		return &failure.Error{Exit: failure.ExitUsage, Lines: []string{
			p.name + " demands a client secret, and no flag takes one: argument lists are public.",
			"Run daypass configure without --yes, or with --import FILE."}}
	}
	talk, err := c.conversation()
	if err != nil {
		return err
	}
	text := "Client secret, which " + p.name + " demands"
	if perhaps {
		text = "Client secret, Enter if the client has none"
	}
	for range tries {
		if c.secret, err = talk.AskSecret(ctx, text); err != nil {
			return c.ended(ctx, err)
		}
		if perhaps || !c.secret.Empty() {
			return nil
		}
	}
	return c.ended(ctx, errors.New("no client secret was given"))
}

// hasClientSecret reports whether the section to be written has one already.
func (c *configurer) hasClientSecret() bool {
	for _, name := range profile.IDPNames(c.text) {
		value := func(key string) string { text, _ := profile.Value(c.text, true, name, key); return text }
		if value("issuer") == c.src.Flags["issuer"] && value("client_id") == c.src.Flags["client-id"] && value("client_secret") != "" {
			return true
		}
	}
	return false
}

func (c *configurer) askRole(ctx context.Context) error {
	return c.askSetting(ctx, "role-arn", "Role, as arn:aws:iam::ACCOUNT:role/NAME")
}

func (c *configurer) askProfile(ctx context.Context) (err error) {
	c.profile, err = c.ask(ctx, question{flag: "profile", text: "Name of the profile", byDefault: c.freeProfile(),
		take: func(_ context.Context, answer string) (string, error) { return answer, c.takeProfile(answer) }}, c.profile)
	return err
}

// freeProfile is default where it is not somebody else's, so that aws works
// without --profile; else the name of the role.
func (c *configurer) freeProfile() string {
	role, _ := profile.Value(c.text, false, "default", "daypass_role_arn")
	if err := c.takeProfile("default"); err == nil && (role == "" || role == c.src.Flags["role-arn"]) {
		return "default"
	}
	p, err := c.settings("", "")
	if name := strings.ToLower(p.RoleName); err == nil && !c.yes {
		if err := c.takeProfile(name); err == nil {
			return name
		}
	}
	return ""
}

// takeProfile refuses a profile that gets credentials in another way already.
func (c *configurer) takeProfile(name string) error {
	if err := profile.CheckName(name); err != nil {
		return err
	}
	shadows, err := profile.Shadows(c.src, name)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range shadows {
		others = append(others, strings.Join(s.Keys, ", ")+" in "+s.Where)
	}
	line, err := profile.CredentialProcess(c.src, name)
	if err != nil {
		return err
	}
	if line != "" && !runsDaypass(line) {
		others = append(others, "its credential_process runs another program")
	}
	if others == nil {
		return nil
	}
	return &failure.Error{Exit: failure.ExitUsage, Lines: []string{
		fmt.Sprintf("profile %s gets other credentials already: %s.", name, strings.Join(others, "; ")),
		"Choose another name, or remove these settings first."}}
}

// runsDaypass tells a line of ours, also one that was written for another path.
func runsDaypass(line string) bool {
	program, _, _ := strings.Cut(strings.ReplaceAll(line, `\`, "/"), " process")
	return strings.HasPrefix(path.Base(program), "daypass")
}

// askRegion offers the region that the profile has, else the partition's.
func (c *configurer) askRegion(ctx context.Context) error {
	byDefault, _ := profile.Value(c.text, false, c.profile, "region")
	if p, err := c.settings("region", byDefault); err != nil {
		byDefault = ""
	} else {
		byDefault = p.Region
	}
	region, err := c.ask(ctx, question{flag: "region", text: "Region", byDefault: byDefault, take: func(_ context.Context, answer string) (string, error) {
		_, err := c.settings("region", answer)
		return answer, err
	}}, c.src.Flags["region"])
	c.src.Flags["region"] = region
	return err
}

// askSection asks for the name of the login.
func (c *configurer) askSection(ctx context.Context) error {
	if c.src.Flags["issuer"] == "" {
		return nil // it is there already
	}
	name, err := c.ask(ctx, question{flag: "idp", text: "Name of the login, which profiles can share", byDefault: c.freeSection(),
		take: func(_ context.Context, answer string) (string, error) { return answer, c.takeSection(answer) }}, c.src.Flags["idp"])
	c.src.Flags["idp"] = name
	return err
}

// freeSection is the section of the same login, if there is one, else a new name.
func (c *configurer) freeSection() string {
	known := profile.IDPNames(c.text)
	for _, name := range known {
		issuer, _ := profile.Value(c.text, true, name, "issuer")
		client, _ := profile.Value(c.text, true, name, "client_id")
		if issuer == c.src.Flags["issuer"] && client == c.src.Flags["client-id"] {
			return name
		}
	}
	name := sectionName(c.src.Flags["issuer"])
	for i := 2; slices.Contains(known, name); i++ {
		name = fmt.Sprintf("%s-%d", sectionName(c.src.Flags["issuer"]), i)
	}
	return name
}

// takeSection refuses to turn one login into another: profiles that share it would
// go on with it, and what else the section says, such as a client secret, would go
// to the other provider.
func (c *configurer) takeSection(name string) error {
	if err := profile.CheckName(name); err != nil {
		return err
	}
	return c.keepsIssuer(name, c.src.Flags["issuer"])
}

func (c *configurer) keepsIssuer(name, issuer string) error {
	if old, there := profile.Value(c.text, true, name, "issuer"); there && old != "" && old != issuer {
		return &failure.Error{Exit: failure.ExitUsage, Lines: []string{
			fmt.Sprintf("[daypass-idp %s] is the login at %s.", name, old),
			"Choose another name, or remove that section first."}}
	}
	return nil
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
