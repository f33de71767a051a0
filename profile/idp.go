package profile

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// processTimeout is the default of process_timeout.
const processTimeout = 45 * time.Second

// idp reads and checks each setting of a login.
func (s *settings) idp(name string) (IDP, error) {
	clientSecret := s.clientSecret()
	source := s.source()
	idp := IDP{
		Name:         name,
		Source:       source,
		Issuer:       s.issuer(source),
		ClientID:     s.text(s.loginNeeds(source, "client_id", "the client id that the provider shows for daypass"), printableASCII, "the bare client id"),
		ClientSecret: secret.New(clientSecret.value),
		Flow:         s.oneOf("flow", "auto", "device", "browser"),
		RedirectURIs: s.redirectURIs(),
		Scopes:       strings.Join(strings.Fields(s.text(s.get("scopes"), isScopes, "scopes separated by single spaces, without quotes")), " "),
		Audience:     s.audience(source),
		ExtraParams:  s.extraParams(),

		DeviceAuthorizationEndpoint: s.url(s.get("device_authorization_endpoint"), true),

		Storage:        s.oneOf("storage", "auto", "keyring", "kernel", "file"),
		Prompt:         s.oneOf("prompt", "auto", "terminal", "browser", "never"),
		BrowserCommand: s.browserCommand(),
		CABundle:       s.path(s.get("ca_bundle")),
		ProcessTimeout: s.duration("process_timeout", processTimeout, 15*time.Second, 10*time.Minute, "15s to 10m"),
		Support:        s.text(s.get("support"), func(text string) bool { return len(text) <= 300 }, "one line of at most 300 bytes"), // a refusal is three lines in all
	}
	if !printableASCII(clientSecret.value) {
		s.fail(clientSecret.wrongUnseen("", "want the bare client secret (its value is not shown here)"))
	}
	if keys := s.companyKeys(); len(keys) > 0 {
		idp.Company = strings.Join(keys, ", ") + " from " + plain(s.company.file)
	}
	if s.values["client_secret"] != "" {
		if info, err := os.Stat(s.file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o044 != 0 {
			idp.Warnings = append(idp.Warnings, fmt.Sprintf("other users of this machine can read the client_secret in %[1]s. Run: chmod 600 %[1]s", plain(s.file)))
		}
	}
	if source != "" {
		s.noneOf("source", source, "client_id", "client_secret", "flow", "redirect_uri", "scopes", "extra_params", "device_authorization_endpoint", "prompt", "browser_command")
	}
	if source == "azure-imds" {
		idp.AzureIdentity = s.azureIdentity("azure_identity")
	} else {
		s.noneOf("source", cmp.Or(source, "device"), "azure_identity")
	}
	return idp, s.err
}

// clientSecret returns the secret, which no flag gives: argument lists are public. One
// that the files have for another issuer or client is not for this login.
func (s *settings) clientSecret() setting {
	from := s
	if _, own := s.values["client_secret"]; !own && s.company != nil {
		from = s.company
	}
	for _, key := range []string{"issuer", "client_id"} {
		if beside := from.inFile(key).value; beside != s.get(key).value && (beside != "" || from != s) {
			from.values["client_secret"] = ""
		}
	}
	return s.inFile("client_secret")
}

// source reads where ID tokens come from; "" is a person's login.
func (s *settings) source() string {
	got := s.get("source")
	kind, name, named := strings.Cut(got.value, ":")
	switch {
	case got.value == "", got.value == "device":
		return ""
	case kind == "file" && name != "":
		return "file:" + s.path(setting{got.where, name})
	case kind == "env" && name != "" && !strings.ContainsAny(name, "= \t"):
	case !named && slices.Contains([]string{"github-actions", "azure-imds", "gcp-metadata"}, kind):
	default:
		s.fail(got.wrong("", "want device, file:PATH, env:NAME, github-actions, azure-imds or gcp-metadata"))
	}
	return got.value
}

// noneOf refuses keys that mean nothing beside a choice: whoever wrote them expects
// something else.
func (s *settings) noneOf(choice, chosen string, keys ...string) {
	for _, key := range keys {
		got := s.get(key)
		if flagName(key) == "azure-identity" { // this flag may be meant for the other section
			got = s.inFile(key)
		}
		if got.value != "" {
			s.fail(got.wrongUnseen("Remove it, or correct "+choice+".", "it has no meaning with %s = %s", choice, plain(chosen)))
		}
	}
}

// azureIdentity reads which managed identity of a machine is meant.
func (s *settings) azureIdentity(key string) string {
	got := s.get(key)
	kind, id, _ := strings.Cut(got.value, ":")
	switch {
	case got.value == "", got.value == "system":
		return "system"
	case !slices.Contains([]string{"client_id", "object_id", "resource_id"}, kind) || id == "" || !printableASCII(id):
		s.fail(got.wrong("", "want system, client_id:X, object_id:X or resource_id:X"))
	}
	return got.value
}

// audience is what a token is asked for. Entra ID has no usual one for AWS: it is
// the App ID URI of an app registration. Nobody asks for a token that is in a file.
func (s *settings) audience(source string) string {
	kind, _, _ := strings.Cut(source, ":")
	switch got := s.get("audience"); {
	case kind == "azure-imds":
		return s.required("audience", "the App ID URI of the app registration that stands for AWS, such as api://...").value
	case kind == "file", kind == "env":
		s.noneOf("source", source, "audience")
		return ""
	case source != "" && got.value == "":
		return "sts.amazonaws.com"
	default:
		return got.value
	}
}

// loginNeeds is required for a person's login; a source may do without.
func (s *settings) loginNeeds(source, key, want string) setting {
	if source != "" {
		return s.get(key)
	}
	return s.required(key, want)
}

// issuer returns the issuer as written: it is compared byte for byte. OpenID
// Connect Discovery 1.0, section 3: https, no query, no fragment.
func (s *settings) issuer(source string) string {
	got := s.loginNeeds(source, "issuer", "the provider's issuer URL, exactly as its discovery document says it")
	s.url(got, false)
	if before, found := strings.CutSuffix(got.value, "/.well-known/openid-configuration"); found {
		s.fail(got.wrong("", "want the issuer alone, %s or %s/ as the document says it", before, before))
	}
	return got.value
}

// redirectURIs reads the addresses on which the browser flow waits for its answer
// (RFC 8252 section 7.3).
func (s *settings) redirectURIs() []string {
	got := s.get("redirect_uri")
	all := strings.Fields(got.value)
	if len(all) == 0 {
		return []string{"http://127.0.0.1/callback"}
	}
	for _, one := range all {
		s.url(setting{got.where, one}, false)
		u, err := url.Parse(one)
		if err == nil && (u.Scheme != "http" || strings.HasSuffix(u.Host, ":") || strings.HasPrefix(u.Port(), "0")) {
			s.fail(got.wrong("", "want http addresses on this machine, such as http://127.0.0.1:8400/callback"))
		}
	}
	return all
}

// printableASCII reports whether text is made of VSCHAR, as client ids and
// secrets are (RFC 6749, appendix A.1 and A.2).
func printableASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// isScopes checks the characters of RFC 6749, section 3.3.
func isScopes(text string) bool { return printableASCII(text) && !strings.ContainsAny(text, `"\`) }

// protocolParameters are what the flows themselves send: RFC 8628 section 3.1 and
// 3.4, RFC 6749 section 4.1, RFC 7636, RFC 7521, RFC 9101 and OpenID Connect Core
// section 3.1.2.1.
const protocolParameters = "client_id client_secret scope grant_type device_code refresh_token " +
	"code_challenge code_challenge_method code_verifier client_assertion client_assertion_type " +
	"redirect_uri state nonce response_type response_mode code request request_uri"

// extraParams checks that nothing is said that daypass says itself, and nothing
// twice (RFC 6749, section 3.1; RFC 8707 allows it for "resource"). The values
// stay out of errors, for they may be secret.
func (s *settings) extraParams() string {
	got := s.get("extra_params")
	if got.value == "" {
		return ""
	}
	params, err := url.ParseQuery(got.value)
	for pair := range strings.SplitSeq(got.value, "&") {
		if name, _, assigned := strings.Cut(pair, "="); err != nil || name == "" || !assigned {
			s.fail(got.wrongUnseen("", "want k=v&k=v, percent-encoded where needed"))
		}
	}
	for name := range strings.FieldsSeq(protocolParameters) {
		if params.Has(name) {
			s.fail(got.wrongUnseen("Remove it here.", "%s is a parameter of the protocol; daypass sends it itself", name))
		}
	}
	if params.Has("audience") && s.get("audience").value != "" {
		s.fail(got.wrongUnseen("Remove one of the two.", "audience is set by its own key already"))
	}
	for name, values := range params {
		if len(values) > 1 && name != "resource" {
			s.fail(got.wrongUnseen("Remove one of the two.", "%s is there twice", shown(name)))
		}
	}
	return got.value
}

// browserCommand splits the command that opens addresses, and expands ~/ in it as
// a shell would.
func (s *settings) browserCommand() []string {
	got := s.get("browser_command")
	if got.value == "" {
		return nil
	}
	words, err := Words(got.value)
	if err != nil {
		s.fail(got.wrong("", "%v", err))
		return nil
	}
	if len(words) == 1 && strings.ContainsAny(words[0], " \t") {
		s.fail(got.wrong("Leave them out, or put them around single words.", "has quotes around it, which make it one word"))
	}
	for i := range words {
		words[i] = s.src.expandHome(words[i])
	}
	if !strings.Contains(got.value, "{url}") && !strings.Contains(got.value, "{url_encoded}") {
		s.fail(got.wrong("", "want a command that holds {url}, as in: firefox -P work {url}"))
	}
	if err := CheckBrowserCommand(words); err != nil {
		s.fail(got.wrong("Write the browser alone, as in: firefox {url}. Or leave the line out: then the system's browser opens.", "%v", err))
	}
	return words
}
