package command

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// A provider, or what stands in its place, with a bad discovery document or bad
// signing keys.
func TestHostileDiscovery(t *testing.T) {
	const (
		useless = `issuer "http://HOST/idp": its discovery document is of no use: `
		unread  = "cannot log in or renew: HOST does not answer as it should ("
		missing = `issuer "http://HOST/idp": there is no discovery document below it`
		notSent = `issuer "http://HOST/idp": its discovery document names no device_authorization_endpoint`
	)
	// addresses that nothing secret may go to
	bad := map[string]string{
		"plain http":            "http://corp.example/x",
		"another scheme":        "ftp://corp.example/x",
		"javascript":            "javascript:alert(1)",
		"file":                  "file:///etc/passwd",
		"no scheme":             "//corp.example/x",
		"a path alone":          "/x",
		"a user name":           "https://corp.example@evil.example/x",
		"a control character":   "https://corp.example/\x1b[2J",
		"a line break":          "https://corp.example/\nHost: evil.example",
		"another script":        "https://c\u043erp.example/x",
		"no host":               "https:///x",
		"8 kB":                  "https://corp.example/" + strings.Repeat("x", 8<<10),
		"no URL":                "https://[::1",
		"a bad host":            "https://corp%00.example/x",
		"white space":           " https://corp.example/x",
		"a number for loopback": "http://2130706433/x",
	}
	var rows []hostile
	readable, cutOff := nonsense()
	for _, at := range []string{"discovery", "keys"} {
		for name, answer := range readable {
			rows = append(rows, hostile{name: name, at: at, answer: answer, exit: 6, says: unread})
		}
		for name, answer := range cutOff {
			rows = append(rows, hostile{name: name, at: at, answer: answer, exit: 6, says: "cannot reach HOST: "})
		}
	}
	for name, url := range bad {
		rows = append(rows, hostile{name: "token_endpoint, " + name, at: "discovery", answer: with("token_endpoint", url), exit: 2, says: useless})
	}
	for _, name := range []string{"plain http", "javascript", "a user name", "a control character"} {
		rows = append(rows, hostile{name: "jwks_uri, " + name, at: "discovery", answer: with("jwks_uri", bad[name]), exit: 2, says: useless})
		for _, optional := range []string{"device_authorization_endpoint", "revocation_endpoint"} { // a bad one is an absent one
			rows = append(rows, hostile{name: optional + ", " + name, at: "discovery", answer: with(optional, bad[name])})
		}
	}
	rows = append(rows, []hostile{
		{name: "an empty object", at: "discovery", answer: asJSON(200, `{}`), exit: 2, says: `issuer "http://HOST/idp": `},
		{name: "9000 levels", at: "discovery", answer: asJSON(200, deep(9000)), exit: 2, says: `issuer "http://HOST/idp": `},
		{name: "not UTF-8", at: "discovery", answer: asJSON(200, "{\"\xff\xfe\":\""+marker+"\"}"), exit: 2, says: `issuer "http://HOST/idp": `},
		{name: "a web page with status 404", at: "discovery", answer: page(404), exit: 2, says: missing},
		{name: "status 403", at: "discovery", answer: asJSON(403, `{}`), exit: 4, says: "HOST refused the discovery request: "},
		{name: "status 500", at: "discovery", answer: page(500), exit: 6, says: unread + "status 500)"},
		{name: "status 429", at: "discovery", answer: page(429), exit: 6, says: "HOST asks to wait "},
		{name: "an OAuth error with status 200", at: "discovery", answer: oauthError(200, "server_error", "x"), exit: 4, says: "HOST refused the discovery request: x ("},

		{name: "another issuer", at: "discovery", answer: with("issuer", "https://evil.example/"), exit: 2,
			says: `issuer "http://HOST/idp": the provider calls itself "https://evil.example/"`},
		{name: "an issuer with control characters", at: "discovery", answer: with("issuer", "https://evil.example/\x1b]0;x\a\r\nrm"), exit: 2,
			says: `issuer "http://HOST/idp": the provider calls itself "https://evil.example/`},
		{name: "an issuer of 1 MB", at: "discovery", answer: with("issuer", strings.Repeat("x", 1<<19)), exit: 2,
			says: `issuer "http://HOST/idp": the provider calls itself "xxx`},
		{name: "an issuer that is a number", at: "discovery", answer: with("issuer", 5), exit: 2, says: `issuer "http://HOST/idp": `},
		{name: "no issuer", at: "discovery", answer: with("issuer", nil), exit: 2, says: `issuer "http://HOST/idp": `},
		{name: "the issuer twice", at: "discovery", answer: twice("issuer", "https://evil.example/"), exit: 2,
			says: `issuer "http://HOST/idp": the provider calls itself "https://evil.example/"`},
		{name: "no token_endpoint", at: "discovery", answer: with("token_endpoint", nil), exit: 2, says: useless},
		{name: "token_endpoint is an object", at: "discovery", answer: with("token_endpoint", map[string]any{}), exit: 2, says: useless},
		{name: "token_endpoint is null", at: "discovery", answer: with("token_endpoint", json.RawMessage("null")), exit: 2, says: useless},
		{name: "token_endpoint twice", at: "discovery", answer: twice("token_endpoint", "http://evil.example/"), exit: 2, says: useless},
		{name: "scopes_supported is a text", at: "discovery", answer: with("scopes_supported", "openid")},
		{name: "no jwks_uri", at: "discovery", answer: with("jwks_uri", nil), exit: 2, says: useless},
		{name: "no device_authorization_endpoint", at: "discovery", answer: quirk("device_authorization_endpoint", nil), command: "login --profile dev --force", exit: 3, says: "profile dev needs a login in a browser, but none can be opened here."},
		{name: "algorithms that AWS takes none of", at: "discovery", answer: quirk("id_token_signing_alg_values_supported", []string{"HS256", "none"}), exit: 0},

		{name: "a redirect to another host", at: "discovery", answer: redirect(302, "http://THIEF/"), exit: 6, says: unread},
		{name: "a redirect to plain http", at: "discovery", answer: redirect(301, "http://corp.example/"), exit: 6, says: unread},
		{name: "a redirect to a file", at: "discovery", answer: redirect(307, "file:///etc/passwd"), exit: 6, says: unread},
		{name: "a redirect to itself", at: "discovery", answer: redirect(308, "SELF"), exit: 6, says: unread},
		{name: "a redirect to nowhere", at: "discovery", answer: redirect(302, ""), exit: 6, says: unread},
		{name: "a redirect with a control character", at: "discovery", answer: redirect(302, "/\x1b[2J"), exit: 6, says: "cannot reach HOST: "},
		{name: "a redirect on the same host", at: "discovery", answer: once(redirect(302, "SELF"))},
	}...)

	set := func(keys string) answer { return asJSON(200, `{"`+marker+`":0,"keys":`+keys+`}`) }
	unknown := "the ID token from HOST cannot be used: "
	rows = append(rows, []hostile{
		{name: "no keys", at: "keys", answer: set("[]"), exit: 4, says: unknown},
		{name: "keys is an object", at: "keys", answer: set("{}"), exit: 4, says: unknown},
		{name: "keys of wrong types", at: "keys", answer: set(`[1,"x",null,[],{"kty":5}]`), exit: 4, says: unknown},
		{name: "a symmetric key", at: "keys", answer: set(`[{"kty":"oct","k":"AAAA"}]`), exit: 4, says: unknown},
		{name: "a key of exponent 1", at: "keys", answer: rightIDs(`"e":"AQ"`), exit: 4, says: unknown},
		{name: "a key of 64 kB", at: "keys", answer: rightIDs(`"n":"` + strings.Repeat("_", 87381) + `"`), exit: 4, says: unknown},
		{name: "another's keys", at: "keys", answer: anothersKeys, exit: 4, says: unknown},
		{name: "10000 keys", at: "keys", answer: set("[" + strings.Repeat(`{"kty":"RSA","n":"AQAB","e":"AQAB"},`, 9999) + `{}]`), exit: 4, says: unknown},
		{name: "status 404", at: "keys", answer: page(404), exit: 6, says: unread},
		{name: "status 500", at: "keys", answer: page(500), exit: 6, says: unread + "status 500)"},
		{name: "status 500, once", at: "keys", answer: once(page(500))},
		{name: "a redirect to another host", at: "keys", answer: redirect(302, "http://THIEF/"), exit: 6, says: unread},
		{name: "a redirect to itself", at: "keys", answer: redirect(302, "SELF"), exit: 6, says: unread},
		{name: "a redirect on the same host", at: "keys", answer: once(redirect(302, "SELF"))},
	}...)
	runHostile(t, rows)
}

// twice is the sandbox's own answer with one name there a second time, at the end,
// where it counts.
func twice(name, value string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		body := strings.TrimSuffix(strings.TrimSpace(string(a.own(r))), "}")
		asJSON(200, body+`,"marker":"`+marker+`","`+name+`":"`+value+`"}`)(a, w, r)
	}
}

// rightIDs are keys with the provider's own ids, but for one member.
func rightIDs(member string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		var set struct{ Keys []map[string]any }
		a.ok(json.Unmarshal(a.own(r), &set))
		var one map[string]any
		_ = json.Unmarshal([]byte("{"+member+"}"), &one)
		for _, key := range set.Keys {
			for name, value := range one {
				key[name] = value
			}
		}
		body, _ := json.Marshal(map[string]any{marker: 0, "keys": set.Keys})
		asJSON(200, string(body))(a, w, r)
	}
}

// anothersKeys are good keys, of another provider.
func anothersKeys(a *attack, w http.ResponseWriter, r *http.Request) {
	other, err := sandbox.Start(sandbox.Options{})
	if !a.ok(err) {
		return
	}
	defer other.Close()
	if err := other.RotateKeys(); err != nil { // sandboxes of one process share the first
		a.t.Error(err)
	}
	response, err := http.Get(other.Issuer + "/keys")
	if !a.ok(err) {
		return
	}
	defer response.Body.Close()
	var set struct{ Keys []any }
	a.ok(json.NewDecoder(response.Body).Decode(&set))
	body, _ := json.Marshal(map[string]any{marker: 0, "keys": set.Keys[2:]})
	asJSON(200, string(body))(a, w, r)
}
