package profile

import (
	"slices"
	"strings"
)

// Key is one key of the config file, or the flag that overrides it.
type Key struct {
	Name  string // of a flag without dashes, as in Source.Flags
	Usage string // of the flag, one line in lower case; "" if there is none
}

// Flags returns every flag that Source.Flags may hold, in the order in which
// help shows them.
func Flags() (flags []Key) {
	for _, k := range append(profileKeys(), idpKeys()...) {
		if k.Usage != "" {
			flags = append(flags, Key{flagName(k.Name), k.Usage})
		}
	}
	return flags
}

// flagName returns the flag that overrides a key.
func flagName(key string) string {
	return strings.ReplaceAll(strings.TrimPrefix(key, "daypass_"), "_", "-")
}

// profileKeys are the keys of [profile NAME] that daypass reads.
func profileKeys() []Key {
	return []Key{
		{"daypass_idp", "name of the [daypass-idp] section to log in with"},
		{"daypass_role_arn", "ARN of the role to assume"},
		{"daypass_source_profile", "profile of daypass whose role assumes this one (role chaining)"},
		{"daypass_external_id", "external id that the trust policy of a chained role asks for"},
		{"daypass_duration", "life of the role credentials: 15m to 12h, or seconds (default 1h)"},
		{"daypass_session_name", "role session name, a template over claims such as {email}"},
		{"daypass_policy_arns", "up to 10 managed policies that narrow the role, separated by commas"},
		{"daypass_policy", "inline JSON policy that narrows the role"},
		{"daypass_sts_endpoint", "URL of another STS endpoint"},
		{"daypass_signin_endpoint", "URL of another console sign-in endpoint"},
		{"daypass_azure_tenant", "Entra tenant of the application that the role signs in as"},
		{"daypass_azure_client_id", "client id of that application"},
		{"daypass_azure_via", "what Azure trusts: aws, cognito, or imds, this machine's managed identity (default aws)"},
		{"daypass_azure_identity", ""}, // its flag is azure_identity's
		{"daypass_cognito_pool", "Cognito identity pool, REGION:GUID"},
		{"daypass_cognito_provider", "developer provider of that pool"},
		{"daypass_cognito_user", "user of that provider (default: the client id)"},
		{"region", "region of STS and of the console"},
		{"credential_process", ""}, // only compared, see checkOwnLine
		// As in the SDKs, below the environment variables.
		{"ca_bundle", ""},
		{"use_fips_endpoint", ""},
		{"use_dualstack_endpoint", ""},
	}
}

// idpKeys are the keys of [daypass-idp NAME].
func idpKeys() []Key {
	return []Key{
		{"source", "where ID tokens come from: device, file:PATH, env:NAME, github-actions, azure-imds or gcp-metadata (default device)"},
		{"issuer", "issuer URL of the identity provider, exactly as its discovery document says it"},
		{"client_id", "client id of daypass at the provider"},
		{"client_secret", ""}, // no flag: argument lists are public
		{"flow", "how to log in: auto, device or browser (default auto)"},
		{"redirect_uri", "loopback addresses of the browser flow, separated by spaces (default http://127.0.0.1/callback, any port)"},
		{"scopes", "scopes to ask for, separated by spaces"},
		{"audience", "audience to ask for, where a provider needs one"},
		{"azure_identity", "managed identity of azure-imds: system, client_id:X, object_id:X or resource_id:X (default system)"},
		{"extra_params", "further parameters of the authorization request: k=v&k=v"},
		{"device_authorization_endpoint", "URL of the device authorization endpoint, where discovery lacks it"},
		{"storage", "where logins are kept: auto, keyring, kernel or file (default auto)"},
		{"prompt", "where a login is asked for: auto, terminal, browser or never (default auto)"},
		{"browser_command", "command that opens a browser, with {url} or {url_encoded}, and {profile}"},
		{"ca_bundle", "PEM file of certificate authorities for the provider"},
		{"process_timeout", "how long process waits for a person or a lock: 15s to 10m, or seconds (default 45s)"},
		{"support", "a line shown after refusals: whom to ask"},
	}
}

func keysOf(idp bool) []Key {
	if idp {
		return idpKeys()
	}
	return profileKeys()
}

func knows(keys []Key, name string) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name })
}

// unknownKey reports a key that daypass does not know in a section, with the key
// that takes the fewest edits to get to, if they are few.
func unknownKey(where, name string, idp bool) error {
	typed := flagName(strings.ReplaceAll(name, "-", "_"))
	nearest, fewest := "", min(2+len(typed)/3, 1+len(typed)/2) // at most half of a short name
	for _, k := range append(keysOf(idp), keysOf(!idp)...) {
		if edits := editDistance(typed, flagName(k.Name)); edits < fewest {
			nearest, fewest = k.Name, edits
		}
	}
	switch {
	case nearest == "":
		return fault(where, "unknown key", "Remove the line.")
	case !knows(keysOf(idp), nearest):
		nearest += ", which belongs in " + Section{!idp, "NAME"}.Header()
	}
	return fault(where, "unknown key; did you mean "+nearest+"?", "Correct or remove the line.")
}

// editDistance is the Levenshtein distance in bytes. Long names are near to nothing.
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
			diagonal, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
