// Package profile reads what ~/.aws/config says of one profile and of the
// [daypass-idp NAME] section that it names, overridden by flags and checked.
//
// It reads settings, never credentials: resolving credentials through the file
// that names daypass as its credential_process would start daypass again.
package profile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// IDP is how to log in: one [daypass-idp NAME] section.
type IDP struct {
	Name         string        // of the section; "" when everything came as flags
	Issuer       string        // byte for byte as written; https, or http on loopback; may be "" if there is a Source
	ClientID     string        // of a public or native client; "" if there is a Source
	ClientSecret secret.String `json:"-"` // for providers that insist on one

	Flow         string   // auto, device or browser
	RedirectURIs []string // of the browser flow: on loopback, tried in order; one without a port stands for any

	// Source is where ID tokens come from for which nobody logs in: file:PATH,
	// env:NAME, github-actions, azure-imds or gcp-metadata; "" for a person's login.
	Source        string
	AzureIdentity string // of the source azure-imds: system, client_id:X, object_id:X or resource_id:X

	Scopes      string // separated by spaces, as written; "" for the default
	Audience    string // that tokens are asked for; "" for none
	ExtraParams string // k=v&k=v as written; names no protocol parameter, and no name twice

	DeviceAuthorizationEndpoint string // "" for the one of the discovery document

	Storage        string        // auto, keyring, kernel or file
	Prompt         string        // auto, terminal, browser or never
	BrowserCommand []string      // template that holds {url} or {url_encoded}; nil for the system's browser
	CABundle       string        // path of a PEM file; "" for the system's authorities
	ProcessTimeout time.Duration // for a person or a lock; whole seconds, 15 s to 10 min
	Support        string        // one line for people; "" for none

	Company  string   // which settings come from the company's file, and its path; "" for none
	Warnings []string // what a person should know of these settings, a line each
}

// Profile is one profile: which role to assume, with which login. It has neither if
// it is for Azure alone, see [Azure.Via].
type Profile struct {
	Name string // "" when everything came as flags
	IDP  IDP

	RoleARN, AccountID, RoleName, Partition string // the last three are parts of the first

	// Source is the profile whose role assumes this one's (role chaining): its IDP is
	// this profile's. It is nil if the login assumes the role itself.
	Source     *Profile
	ExternalID string // for a chained role; "" for none

	Region      string        // lies in Partition; "" if nobody names one, see STSRegion
	Duration    time.Duration // of the role credentials, whole seconds, 15 min to 12 h; 1 h if chained
	SessionName string        // template over claims, "{email}"; "" for the default, and for a chained role
	PolicyARNs  []string      // session policies, at most 10
	Policy      string        // inline session policy in JSON; "" for none

	// STSEndpoint and SigninEndpoint are "" for the partition's own. Otherwise the
	// profile names them, or the environment does and they are AWS's or on loopback.
	STSEndpoint, SigninEndpoint string
	UseFIPS, UseDualStack       bool
	AWSCABundle                 string // path of a PEM file for STS and the sign-in, "" for the system's authorities

	Azure Azure
}

// Source is where settings come from.
type Source struct {
	Getenv func(string) string
	Home   string            // the user's home folder; "" where it is not known
	Flags  map[string]string // by flag name (see [Flags]), only those given
}

// STSRegion returns the region of STS: the profile's, else the default of its
// partition. AWS has no hosts in aws-global and its like: they get the default too.
func (p Profile) STSRegion() string {
	at, _ := address.PartitionNamed(p.Partition)
	if strings.HasSuffix(p.Region, "-global") {
		return at.DefaultRegion
	}
	return cmp.Or(p.Region, at.DefaultRegion)
}

// Load returns the settings of one profile, see [Config.Load]. A name of "" needs
// no file if the flags say everything.
func Load(src Source, name string) (Profile, error) {
	c, err := &Config{src: src}, error(nil)
	if name != "" || src.given("idp") && src.given("role-arn") {
		if c, err = Open(src); err != nil {
			return Profile{}, err
		}
	}
	return c.Load(name)
}

// Load returns the settings of the profile of that name, which is what --profile
// says. AWS_PROFILE is not looked at: it may name another profile than the one
// whose credential_process we are (see [Config.Choose]). The name may be "" if
// the flags say the role and the login; if the file has no sections then, it may be any
// name. Every error is a [*failure.Error] with [failure.ExitUsage].
func (c *Config) Load(name string) (Profile, error) {
	if err := c.src.checkFlags(); err != nil {
		return Profile{}, err
	}
	if name == "" && !c.src.complete() && !(c.src.given("role-arn") && c.src.given("idp")) {
		return Profile{}, setting{where: "--profile"}.missing("the name of a profile (or --issuer, --client-id and --role-arn)",
			"Write --profile NAME, also in credential_process: AWS_PROFILE may name another profile.")
	}
	own, err := &settings{src: c.src}, error(nil)
	if name != "" && !(len(c.headers) == 0 && c.src.complete()) {
		if own, err = c.profileSettings(name); err != nil {
			return Profile{}, err
		}
	}
	if own.get("daypass_source_profile").value != "" {
		return c.loadChained(name, own)
	}
	p := Profile{Name: name, Azure: own.azure()}
	named := own.get("daypass_idp")
	if p.Azure.Via == ViaIMDS && named.value == "" && own.get("daypass_role_arn").value == "" && !c.src.saysLogin() {
		p.IDP = IDP{Storage: "auto", ProcessTimeout: processTimeout}
		return p, own.err
	}
	if named.value == "" && !c.src.saysLogin() {
		own.required("daypass_idp", "the name of a [daypass-idp NAME] section")
		return Profile{}, own.err
	}
	if external := own.get("daypass_external_id"); external.value != "" {
		return Profile{}, external.wrong("Remove it, or name the daypass_source_profile.", "only a role that assumes another one sends it")
	}
	if p.IDP, err = c.loadIDP(named); err != nil {
		return Profile{}, err
	}
	p.readRole(own)
	if c.src.given("azure-identity") && c.chain == nil && p.Azure.Identity+p.IDP.AzureIdentity == "" {
		own.fail(setting{where: "--azure-identity"}.wrongUnseen("Remove it.", "it has no meaning without source = azure-imds or daypass_azure_via = imds"))
	}
	return p, own.err
}

// Choose returns the profile that a person means with -p or without it: the name
// if there is one, else AWS_PROFILE, else "default" if it is set up for daypass,
// else the only profile that is. It returns "" if the flags say everything. Not
// for credential_process, see [Config.Load].
func (c *Config) Choose(name string) (string, error) {
	if name != "" || c.src.complete() {
		return name, nil
	}
	if fromEnv := c.src.getenv("AWS_PROFILE"); fromEnv != "" {
		return fromEnv, nil
	}
	names := c.Names()
	switch {
	case slices.Contains(names, "default"):
		return "default", nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", failure.New(failure.ExitUsage, nil,
			fmt.Sprintf("no profile in %s uses daypass.", plain(c.path)), "Set one up: daypass configure")
	}
	return "", setting{where: "--profile"}.missing(fmt.Sprintf("one of %d profiles", len(names)), "Profiles set up for daypass: "+listed(names)+".")
}

// LoadIDP returns the settings of the section [daypass-idp NAME], for commands
// that act on a login alone. Every error is a [*failure.Error] with
// [failure.ExitUsage].
func (c *Config) LoadIDP(name string) (IDP, error) {
	if err := c.src.checkFlags(); err != nil {
		return IDP{}, err
	}
	return c.loadIDP(setting{"--idp", name})
}

// loadIDP returns the login of that name; without one, what the flags say.
func (c *Config) loadIDP(named setting) (IDP, error) {
	if named.value == "" {
		return (&settings{src: c.src}).idp("")
	}
	id := Section{IDP: true, Name: named.value}
	own, err := c.settingsOf(id)
	if err != nil {
		return IDP{}, err
	}
	company, err := c.company.settingsOf(id)
	switch {
	case err != nil:
		return IDP{}, err
	case own == nil && company == nil:
		hint := "Write the section, or set it up: daypass configure"
		if names := c.IDPNames(); len(names) > 0 {
			hint = "Correct the name, or write the section. There are: " + listed(names) + "."
		}
		return IDP{}, named.wrong(hint, "there is no section [daypass-idp %s] in %s", plain(id.Name), plain(c.path))
	case own == nil:
		own = &settings{src: c.src, place: company.place}
	}
	own.company = company
	return own.idp(id.Name)
}

// profileSettings returns the section of a profile that was asked for by name.
func (c *Config) profileSettings(name string) (*settings, error) {
	own, err := c.settingsOf(Section{Name: name})
	if err != nil {
		return nil, err
	}
	if own == nil {
		return nil, c.noProfile(name)
	}
	s := c.sections[Section{Name: name}]
	if hub := c.value(s, "source_profile"); hub != "" && own.values["daypass_idp"]+own.values["daypass_source_profile"] == "" && !c.src.saysLogin() && !c.src.given("idp") {
		return nil, fault(own.place, "this profile gets its role through source_profile = "+plain(hub), "Use --profile "+plain(hub)+": SDKs assume the other role by themselves. Or let daypass do it, with the two lines "+
			"daypass_source_profile = "+plain(hub)+" and daypass_role_arn = "+plain(c.value(s, "role_arn"))+".")
	}
	return own, checkOwnLine(name, own.inFile("credential_process"))
}

// noProfile reports that there is no such profile, and which others there are.
func (c *Config) noProfile(name string) error {
	names, problem := c.Names(), fmt.Sprintf("no section [profile %s]", plain(name))
	if last := len(c.chain) - 1; last >= 0 {
		problem += ", which profile " + plain(c.chain[last]) + " names as its daypass_source_profile"
	}
	hint := "Profiles set up for daypass: " + listed(names) + "."
	switch {
	case c.headers[name] != nil:
		hint = fmt.Sprintf("The file has [%[1]s]; in this file it must be [profile %[1]s].", plain(name))
	case len(names) == 0:
		problem += ", and no other profile uses daypass"
		hint = "Set one up: daypass configure"
	}
	return fault(plain(c.path), problem, hint)
}

// checkOwnLine looks for a credential_process line that was copied from another
// profile: it would serve the wrong account, and nobody would notice.
func checkOwnLine(own string, line setting) error {
	words, err := Words(line.value)
	if err != nil {
		words = strings.Fields(line.value)
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	named := flags.StringP("profile", "p", own, "")
	_ = flags.Parse(words) // whatever is wrong with it, see daypass doctor
	if *named == own {
		return nil
	}
	return line.wrong("Write --profile "+plain(own)+" there, or ask for the other profile.", "this line gets the credentials of profile %s", plain(*named))
}

// complete reports whether the flags say all that must be said.
func (s Source) complete() bool { return s.saysLogin() && s.given("role-arn") }

func (s Source) saysLogin() bool {
	return s.given("issuer") && s.given("client-id") || s.given("source")
}

func (s Source) given(flag string) bool { return s.Flags[flag] != "" }

func (s Source) getenv(name string) string {
	if s.Getenv == nil {
		return ""
	}
	return s.Getenv(name)
}

// checkFlags checks the form of the flags. A policy that a shell reads from a file has
// line breaks, which are white space in JSON.
func (s Source) checkFlags() error {
	for _, name := range slices.Sorted(maps.Keys(s.Flags)) {
		value := s.Flags[name]
		if name == "policy" {
			value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
		}
		if err := checkForm(value, func() string { return "--" + name }); err != nil {
			return err
		}
	}
	return nil
}
