package profile

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// loadIDP returns the login that the profile's settings name. Without a name,
// issuer and client id must come as flags.
func loadIDP(src Source, f *file, own settings) (IDP, error) {
	named := own.get("daypass_idp")
	switch {
	case named.value != "" && f != nil:
		section, err := f.idpSettings(named, src.Flags)
		if err != nil {
			return IDP{}, err
		}
		return readIDP(src, section, named.value)
	case src.given("issuer") && src.given("client-id"):
		return readIDP(src, settings{flags: src.Flags}, "")
	default:
		_, err := own.required("daypass_idp", "the name of a [daypass-idp NAME] section")
		return IDP{}, err
	}
}

// readIDP checks each setting of a login.
func readIDP(src Source, s settings, name string) (IDP, error) {
	idp := IDP{Name: name, Audience: s.get("audience").value}
	var err error
	if idp.Issuer, err = readIssuer(s); err != nil {
		return IDP{}, err
	}
	if idp.ClientID, err = readClientID(s); err != nil {
		return IDP{}, err
	}
	if idp.ClientSecret, err = readClientSecret(s); err != nil {
		return IDP{}, err
	}
	if idp.Scopes, err = readScopes(s.get("scopes")); err != nil {
		return IDP{}, err
	}
	if idp.ExtraParams, err = readExtraParams(s.get("extra_params"), idp.Audience != ""); err != nil {
		return IDP{}, err
	}
	if idp.DeviceAuthorizationEndpoint, err = readDeviceEndpoint(s.get("device_authorization_endpoint")); err != nil {
		return IDP{}, err
	}
	if idp.Storage, err = oneOf(s.get("storage"), "auto", "keyring", "kernel", "file"); err != nil {
		return IDP{}, err
	}
	if idp.Prompt, err = oneOf(s.get("prompt"), "auto", "terminal", "browser", "never"); err != nil {
		return IDP{}, err
	}
	if _, err = oneOf(s.get("flow"), "device"); err != nil {
		return IDP{}, err
	}
	if idp.BrowserCommand, err = readBrowserCommand(s.get("browser_command")); err != nil {
		return IDP{}, err
	}
	if idp.Support, err = readSupport(s.get("support")); err != nil {
		return IDP{}, err
	}
	if idp.CABundle, err = readCABundle(src, s.get("ca_bundle")); err != nil {
		return IDP{}, err
	}
	idp.ProcessTimeout, err = readDuration(s.get("process_timeout"), 50*time.Second, 15*time.Second, 10*time.Minute, "15s to 10m")
	return idp, err
}

// readIssuer returns the issuer as written: it is compared byte for byte.
// OpenID Connect Discovery 1.0, section 3: https, no query, no fragment.
func readIssuer(s settings) (string, error) {
	issuer, err := s.required("issuer", "the provider's issuer URL, exactly as its discovery document says it")
	if err != nil {
		return "", err
	}
	u, err := checkURL(issuer)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return "", issuer.wrong("", "an issuer has no query (?)")
	}
	if before, found := strings.CutSuffix(issuer.value, "/.well-known/openid-configuration"); found {
		return "", issuer.wrong("", "want the issuer alone, %s or %s/ as the document says it", before, before)
	}
	return issuer.value, nil
}

func readClientID(s settings) (string, error) {
	id, err := s.required("client_id", "the client id that the provider shows for daypass")
	if err != nil {
		return "", err
	}
	if quotesAround(id.value) || !printableASCII(id.value) {
		return "", id.wrong("", "want the bare client id")
	}
	return id.value, nil
}

func readClientSecret(s settings) (secret.String, error) {
	if s.place == "" {
		return secret.String{}, nil
	}
	got := s.inFile("client_secret")
	if quotesAround(got.value) || !printableASCII(got.value) {
		return secret.String{}, got.wrongUnseen("", "want the bare client secret, without quotes (its value is not shown here)")
	}
	return secret.New(got.value), nil
}

// printableASCII reports whether text is made of VSCHAR, as client ids and
// secrets are (RFC 6749, appendix A.1 and A.2).
func printableASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// readScopes checks the characters of RFC 6749, section 3.3. Quotes, which
// people like to put around a list, are not among them.
func readScopes(s setting) (string, error) {
	if !printableASCII(s.value) || strings.ContainsAny(s.value, `"\`) || quotesAround(s.value) {
		return "", s.wrong("", "want scopes separated by single spaces, without quotes")
	}
	return strings.Join(strings.Fields(s.value), " "), nil
}

// protocolParameters are what the device flow itself sends: RFC 8628 section
// 3.1 and 3.4, RFC 7636 and RFC 7521.
func protocolParameters() []string {
	return []string{
		"client_id", "client_secret", "scope", "grant_type", "device_code", "refresh_token",
		"code_challenge", "code_challenge_method", "code_verifier",
		"client_assertion", "client_assertion_type",
	}
}

// readExtraParams checks that nothing is said that daypass says itself, and
// nothing twice (RFC 6749, section 3.1; RFC 8707 allows it for "resource"). The
// values stay out of errors, for they may be secret.
func readExtraParams(s setting, audienceSet bool) (string, error) {
	params, err := url.ParseQuery(s.value)
	if err != nil {
		return "", s.wrongUnseen("", "want k=v&k=v, percent-encoded where needed")
	}
	for _, pair := range strings.Split(s.value, "&") {
		name, _, assigned := strings.Cut(pair, "=")
		if s.value != "" && (name == "" || !assigned) {
			return "", s.wrongUnseen("", "want k=v&k=v, percent-encoded where needed")
		}
	}
	for _, name := range protocolParameters() {
		if params.Has(name) {
			return "", s.wrongUnseen("remove it here", "%s is a parameter of the protocol; daypass sends it itself", name)
		}
	}
	if audienceSet && params.Has("audience") {
		return "", s.wrongUnseen("remove one of the two", "audience is set by its own key already")
	}
	for name, values := range params {
		if len(values) > 1 && name != "resource" {
			return "", s.wrongUnseen("remove one of the two", "%s is there twice", shown(name))
		}
	}
	return s.value, nil
}

func readDeviceEndpoint(s setting) (string, error) {
	if s.value == "" {
		return "", nil
	}
	_, err := checkURL(s)
	return s.value, err
}

func readBrowserCommand(s setting) (string, error) {
	if s.value != "" && !strings.Contains(s.value, "{url}") {
		return "", s.wrong("", "want a command that holds {url}, as in: firefox -P work {url}")
	}
	return s.value, nil
}

// readSupport bounds the line: a refusal is three lines in all.
func readSupport(s setting) (string, error) {
	const most = 300
	if len(s.value) > most {
		return "", s.wrong("", "want one line of at most %d bytes", most)
	}
	return s.value, nil
}

// readCABundle wants a path that does not depend on where a program that needs
// credentials was started. Flags are for such places and may be relative.
func readCABundle(src Source, s setting) (string, error) {
	path := src.expandHome(s.value)
	if path != "" && !filepath.IsAbs(path) && !src.given("ca-bundle") {
		return "", s.wrong("", "want an absolute path, or one that begins with ~/")
	}
	return path, nil
}
