// Package profile reads what ~/.aws/config says of one profile and of the
// [daypass-idp NAME] section that it names, overridden by flags and checked.
//
// It reads settings, never credentials: resolving credentials through the file
// that names daypass as its credential_process would start daypass again.
package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/secret"
)

// IDP is how to log in: one [daypass-idp NAME] section.
type IDP struct {
	Name         string        // of the section; "" when everything came as flags
	Issuer       string        // byte for byte as written; https, or http on loopback
	ClientID     string        // of a public or native client
	ClientSecret secret.String // for providers that insist on one

	Scopes      string // separated by spaces, as written; "" for the default
	Audience    string // "" for none
	ExtraParams string // k=v&k=v as written; names no protocol parameter, and no name twice

	DeviceAuthorizationEndpoint string // "" for the one of the discovery document

	Storage        string        // auto, keyring, kernel or file
	Prompt         string        // auto, terminal, browser or never
	BrowserCommand string        // template that holds {url}; "" for the system's browser
	CABundle       string        // path of a PEM file; "" for the system's authorities
	ProcessTimeout time.Duration // 5 s to 10 min
	Support        string        // one line for people; "" for none
}

// Profile is one profile: which role to assume, with which login.
type Profile struct {
	Name string // "" when everything came as flags
	IDP  IDP

	RoleARN, AccountID, RoleName, Partition string // the last three are parts of the first

	Region      string        // of STS and the console; lies in Partition
	Duration    time.Duration // of the role credentials, whole seconds, 15 min to 12 h
	SessionName string        // template over claims, "{email}"; "" for the default
	PolicyARNs  []string      // session policies, at most 10
	Policy      string        // inline session policy in JSON; "" for none

	// STSEndpoint and SigninEndpoint are "" for the partition's own. Else they
	// were named by the profile, or by the environment and are AWS's or loopback.
	STSEndpoint, SigninEndpoint string
	UseFIPS, UseDualStack       bool
	AWSCABundle                 string // path of a PEM file for AWS, "" for the system's authorities
}

// Source is where settings come from.
type Source struct {
	Getenv func(string) string
	Home   string            // the user's home folder; "" where it is not known
	Flags  map[string]string // by flag name (see [Flags]), only those given
}

// Load returns the settings of the profile of that name, which is what --profile
// says. AWS_PROFILE is not looked at: it may name another profile than the one
// whose credential_process we are (see [Source.Choose]). The name may be "" if
// the flags role-arn, issuer and client-id are given; then, and for a profile
// with all three, no file is needed. Every error is an [*Error].
func Load(src Source, name string) (Profile, error) {
	if err := src.checkFlags(); err != nil {
		return Profile{}, err
	}
	f, err := src.readFor(name)
	if err != nil {
		return Profile{}, err
	}
	own := settings{flags: src.Flags}
	if f != nil && name != "" {
		if own, err = f.profileSettings(name, src.Flags); err != nil {
			return Profile{}, err
		}
	}
	p := Profile{Name: name, AWSCABundle: src.getenv("AWS_CA_BUNDLE")}
	if p.IDP, err = loadIDP(src, f, own); err != nil {
		return Profile{}, err
	}
	if err := p.readRole(own); err != nil {
		return Profile{}, err
	}
	if err := p.readAWS(src, own); err != nil {
		return Profile{}, err
	}
	return p, nil
}

// LoadIDP returns the settings of the section [daypass-idp NAME], for commands
// that act on a login alone. The name may be "" if the flags issuer and
// client-id are given; then no file is read. Every error is an [*Error].
func LoadIDP(src Source, name string) (IDP, error) {
	if err := src.checkFlags(); err != nil {
		return IDP{}, err
	}
	if name == "" {
		return readIDP(src, settings{flags: src.Flags}, "")
	}
	f, err := readFile(src.ConfigFile())
	if err != nil {
		return IDP{}, needed(err)
	}
	section, err := f.idpSettings(setting{"--idp", name}, src.Flags)
	if err != nil {
		return IDP{}, err
	}
	return readIDP(src, section, name)
}

// readFor reads the config file, or returns nil where the flags do without it.
func (s Source) readFor(name string) (*file, error) {
	if name == "" && !s.complete() && !(s.given("role-arn") && s.given("idp")) {
		return nil, setting{where: "--profile"}.missing(
			"write --profile NAME, also in credential_process: AWS_PROFILE may name another profile",
			"the name of a profile (or --issuer, --client-id and --role-arn)")
	}
	if name == "" && !s.given("idp") {
		return nil, nil
	}
	f, err := readFile(s.ConfigFile())
	if err != nil && s.complete() && !s.given("idp") && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, needed(err)
}

// needed adds the next step to the error of a file that is not there.
func needed(err error) error {
	if missing, ok := err.(*Error); ok && errors.Is(err, fs.ErrNotExist) {
		missing.hint = "write the sections [daypass-idp NAME] and [profile NAME] into it, or give --issuer, --client-id and --role-arn"
	}
	return err
}

// complete reports whether the flags say all that must be said.
func (s Source) complete() bool {
	return s.given("issuer") && s.given("client-id") && s.given("role-arn")
}

func (s Source) given(flag string) bool { return s.Flags[flag] != "" }

func (s Source) getenv(name string) string {
	if s.Getenv == nil {
		return ""
	}
	return s.Getenv(name)
}

// checkFlags holds the flags to what [file.values] holds the file to.
func (s Source) checkFlags() error {
	for _, name := range slices.Sorted(maps.Keys(s.Flags)) {
		value, flag := s.Flags[name], setting{where: "--" + name}
		switch {
		case len(value) > maxValue:
			return flag.wrongUnseen("", "longer than %d bytes", maxValue)
		case !utf8.ValidString(value) || strings.ContainsFunc(value, isForbidden(name)):
			return flag.wrongUnseen("", "holds a control character")
		}
	}
	return nil
}

// isForbidden tells control characters. Line breaks are white space in JSON, and
// a policy that a shell reads from a file has them.
func isForbidden(flag string) func(rune) bool {
	return func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && !(flag == "policy" && (r == '\n' || r == '\r'))
	}
}

// settings are the values of one section, overridden by flags.
type settings struct {
	place  string            // "/home/me/.aws/config: [profile dev]"; "" where there is no section
	values map[string]string // by key
	flags  map[string]string // by flag name
}

// get returns the value of a key that has a flag.
func (s settings) get(key string) setting {
	flag := flagName(key)
	if value, given := s.flags[flag]; given || s.place == "" {
		return setting{"--" + flag, value}
	}
	return s.inFile(key)
}

// inFile returns the value of a key as the section has it.
func (s settings) inFile(key string) setting {
	return setting{s.place + " " + key, s.values[key]}
}

// required is get for what cannot be left out.
func (s settings) required(key, want string) (setting, error) {
	got := s.get(key)
	if got.value != "" {
		return got, nil
	}
	hint := ""
	if s.place != "" {
		hint = fmt.Sprintf("add the line %s = ... to the section, or give --%s", key, flagName(key))
	}
	return got, got.missing(hint, want)
}

// profileSettings returns the section of a profile that was asked for by name.
func (f *file) profileSettings(name string, flags map[string]string) (settings, error) {
	s, err := f.find(kindProfile, name)
	if err != nil {
		return settings{}, err
	}
	if s == nil {
		return settings{}, f.noProfile(name)
	}
	values, err := f.values(s, profileKeys(), func(key string) bool { return strings.HasPrefix(key, "daypass") })
	if err != nil {
		return settings{}, err
	}
	if err := f.checkPasted(s, values); err != nil {
		return settings{}, err
	}
	return settings{place: f.place(s), values: values, flags: flags}, nil
}

// noProfile reports that there is no such profile, and what comes near.
func (f *file) noProfile(name string) *Error {
	hint := "no profile in this file is set up for daypass: write the sections [daypass-idp NAME] and [profile NAME]"
	if slices.Contains(f.foreign, name) {
		hint = fmt.Sprintf("the file has [%[1]s]; in this file it must be [profile %[1]s]", plain(name))
	} else if names := f.ours(); len(names) > 0 {
		hint = "profiles set up for daypass: " + listed(names)
	}
	return &Error{
		where:   plain(f.path),
		problem: fmt.Sprintf("no section [profile %s]", plain(name)),
		hint:    hint,
	}
}

// idpSettings returns the [daypass-idp] section that named names.
func (f *file) idpSettings(named setting, flags map[string]string) (settings, error) {
	s, err := f.find(kindIDP, named.value)
	if err != nil {
		return settings{}, err
	}
	if s == nil {
		return settings{}, named.wrong("write the section, or correct the name",
			"there is no section [daypass-idp %s] in %s", plain(named.value), plain(f.path))
	}
	values, err := f.values(s, idpKeys(), func(string) bool { return true })
	return settings{place: f.place(s), values: values, flags: flags}, err
}
