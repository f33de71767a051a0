package profile

import (
	"fmt"
	"strings"
)

// key is one key of the config file.
type key struct {
	name  string
	usage string // one line of help for its flag
}

// FlagDoc is one flag that overrides a key of the config file.
type FlagDoc struct {
	Name  string // without dashes, as in Source.Flags
	Usage string // one line, lower case
}

// Flags returns every flag that Source.Flags may hold, in the order in which
// help shows them.
func Flags() []FlagDoc {
	var docs []FlagDoc
	for _, k := range append(profileKeys(), idpKeys()...) {
		if k.usage != "" {
			docs = append(docs, FlagDoc{Name: flagName(k.name), Usage: k.usage})
		}
	}
	return docs
}

// flagName returns the flag that overrides a key.
func flagName(key string) string {
	return strings.ReplaceAll(strings.TrimPrefix(key, "daypass_"), "_", "-")
}

// profileKeys are the keys of [profile NAME] that daypass reads.
func profileKeys() []key {
	return []key{
		{"daypass_idp", "name of the [daypass-idp] section to log in with"},
		{"daypass_role_arn", "ARN of the role to assume"},
		{"daypass_duration", "life of the role credentials: 15m to 12h, or seconds (default 1h)"},
		{"daypass_session_name", "role session name, a template over claims such as {email}"},
		{"daypass_policy_arns", "up to 10 managed policies that narrow the role, separated by commas"},
		{"daypass_policy", "inline JSON policy that narrows the role"},
		{"daypass_sts_endpoint", "URL of another STS endpoint"},
		{"daypass_signin_endpoint", "URL of another console sign-in endpoint"},
		{"region", "region of STS and of the console"},
		{"credential_process", ""}, // only compared, see checkPasted
		{"use_fips_endpoint", ""},  // as in the SDKs: below AWS_USE_FIPS_ENDPOINT
		{"use_dualstack_endpoint", ""},
	}
}

// idpKeys are the keys of [daypass-idp NAME].
func idpKeys() []key {
	return []key{
		{"issuer", "issuer URL of the identity provider, exactly as its discovery document says it"},
		{"client_id", "client id of daypass at the provider"},
		{"client_secret", ""}, // no flag: argument lists are public
		{"scopes", "scopes to ask for, separated by spaces"},
		{"audience", "audience to ask for, where a provider needs one"},
		{"extra_params", "further parameters of the device authorization: k=v&k=v"},
		{"device_authorization_endpoint", "URL of the device authorization endpoint, where discovery lacks it"},
		{"storage", "where logins are kept: auto, keyring, kernel or file (default auto)"},
		{"prompt", "where a login is asked for: auto, terminal, browser or never (default auto)"},
		{"browser_command", "command that opens a browser, with {url} and {profile}"},
		{"ca_bundle", "PEM file of certificate authorities for the provider"},
		{"process_timeout", "how long process may take in all: 15s to 10m, or seconds (default 50s)"},
		{"support", "a line shown after refusals: whom to ask"},
		{"flow", "login flow: device"},
	}
}

func knows(keys []key, name string) bool {
	for _, k := range keys {
		if k.name == name {
			return true
		}
	}
	return false
}

// unknownKey reports a key that daypass does not know in a section of that kind.
func unknownKey(where, name, kind string) *Error {
	own, other, otherKind := profileKeys(), idpKeys(), kindIDP
	if kind == kindIDP {
		own, other, otherKind = other, own, kindProfile
	}
	bare := strings.TrimPrefix(name, "daypass_")
	for _, candidate := range []string{bare, "daypass_" + bare} {
		if knows(own, candidate) {
			return &Error{where: where, problem: fmt.Sprintf("unknown key; did you mean %s?", candidate), hint: "correct or remove the line"}
		}
	}
	for _, candidate := range []string{bare, "daypass_" + bare} {
		if knows(other, candidate) {
			return &Error{where: where, problem: fmt.Sprintf("unknown key here; %s belongs in [%s NAME]", candidate, otherKind), hint: "move the line there"}
		}
	}
	return &Error{where: where, problem: fmt.Sprintf("unknown key; did you mean %s?", nearest(name, own)), hint: "correct or remove the line"}
}

// nearest returns the key that takes the fewest edits to get to; the first of
// several.
func nearest(name string, keys []key) string {
	best, fewest := "", -1
	for _, k := range keys {
		if edits := editDistance(name, k.name); fewest < 0 || edits < fewest {
			best, fewest = k.name, edits
		}
	}
	return best
}

// editDistance is the Levenshtein distance in bytes. Long names are cut: they
// are near to nothing.
func editDistance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
