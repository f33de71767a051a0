package idp

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/secret"
)

// Each fuzz test plays one answer of a hostile provider through the Client. None may
// panic, and whatever is accepted must keep its promises.

func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","id_token":"i.d.t","refresh_token":"r","expires_in":"3600"}`, `{"access_token":"a"}`,
		`{"id_token":7,"refresh_token":"r"}`, `{"id_token":null}`, "", "{}", "[]", "null", "<html>", `{"id_token":"i`,
		`{"error":"authorization_pending"}`, `{"error":"slow_down"}`, `{"error":"expired_token"}`, `{"error":"invalid_grant"}`,
		`{"error":"access_denied","error_description":"\u001b[2J"}`, `{"error":"invalid_grant","error_description":"AADSTS53003: x\r\nTrace ID: y"}`,
		`{"error":"server_error"}`, `{"error":["x"]}`, `{"error":"","id_token":"x"}`, `{"refresh_token":"r","refresh_token":"s"}`,
		`{"error":"x","error_description":"no s3cret-t0ken","correlation_id":"s3cret-\u200bt0ken"}`,
	} {
		f.Add(seed, 200, "5")
		f.Add(seed, 429, "")
		f.Add(seed, 500, "5")
	}
	f.Add(`{"error":"temporarily_unavailable"}`, 400, "240")                            // whole minutes
	f.Add(`{"error":"`+strings.Repeat("x", 63)+`\u00fc"}`, 400, "")                     // cut in the middle of a character
	f.Add(`{"error":"x","error_description":"s3cret-%74oken s3cret-\nt0ken"}`, 400, "") // a secret in pieces
	f.Fuzz(func(t *testing.T, body string, code int, retry string) {
		p := newFake(t)
		p.Will("/token", withHeader(status(code, body), "Retry-After", retry))
		c, token := p.client(), secret.New("s3cret-t0ken")
		tokens, err := c.Refresh(t.Context(), token)
		if (err == nil) == tokens.IDToken.Empty() {
			t.Errorf("an ID token and %v", err)
		}
		for _, err := range []error{err, c.Revoke(t.Context(), issuer+"/token", token)} {
			if err == nil {
				continue
			}
			if strings.Contains(squeeze(told(err)), token.Reveal()) {
				t.Errorf("error %q holds a secret", err)
			}
			checkWords(t, err)
		}
	})
}

func FuzzDiscoveryDocument(f *testing.F) {
	const good = `{"issuer":"https://corp.example","token_endpoint":"https://corp.example/token","jwks_uri":"https://corp.example/keys",
		"device_authorization_endpoint":"https://corp.example/device","scopes_supported":["openid"],"code_challenge_methods_supported":["S256"],
		"id_token_signing_alg_values_supported":["RS256"]}`
	for _, seed := range []string{
		good, "", "{}", "[]", "null", "<html>", good[:80], strings.ReplaceAll(good, "https:", "http:"),
		strings.Replace(good, `"https://corp.example"`, `"https://corp.example/"`, 1), strings.Replace(good, `["openid"]`, `"openid"`, 1),
		strings.Replace(good, `["RS256"]`, `["HS256",null]`, 1), `{"issuer":"https://corp.example","token_endpoint":"//x"}`,
		strings.Replace(good, `"issuer"`, `"ISSUER":"x","issuer"`, 1), `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
	} {
		f.Add(seed, `{"keys":[]}`)
		f.Add(seed, `{"keys":[{"kty":"RSA","n":"+/==","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"eHg","y":"eHg"},7]}`)
		f.Add(seed, seed)
	}
	f.Add(strings.Replace(good, "corp.example\"", "corp.example/{tenant}\"", 1), "{}") // Entra's form
	f.Add(strings.Replace(good, "/keys", "/moved", 1), "{}")                           // the keys are not there
	f.Add(strings.Replace(good, "RS256", "ES256", 1), "{}")                            // not the token's algorithm
	token := secret.New("")
	f.Fuzz(func(t *testing.T, document, keys string) {
		if token.Empty() {
			token = idToken(t, nil)
		}
		p := newFake(t)
		p.Will(wellKnown, ok(document))
		p.Will("/keys", ok(keys))
		c := p.remembering()
		m, err := c.Metadata(t.Context())
		if err != nil {
			checkWords(t, err)
			return
		}
		if m.Issuer != issuer || m.TokenEndpoint == "" || m.JWKSURI == "" {
			t.Errorf("accepted %+v", m)
		}
		for _, endpoint := range []string{m.TokenEndpoint, m.AuthorizationEndpoint, m.DeviceAuthorizationEndpoint, m.RevocationEndpoint, m.JWKSURI} {
			if endpoint != "" && address.Check(endpoint, false) != nil {
				t.Errorf("accepted %q", endpoint)
			}
		}
		if _, err := c.Verify(t.Context(), token); err != nil {
			checkWords(t, err)
		} else if !strings.Contains(keys, `"n"`) {
			t.Error("verified without the key")
		}
		if again := p.remembering().recall(); again == nil || again.metadata.TokenEndpoint != m.TokenEndpoint {
			t.Error("what was remembered is not recalled")
		}
	})
}

func FuzzIDToken(f *testing.F) {
	for _, seed := range []string{
		"", "..", "....", "e30.e30.e30", "e30.e30.", `{"payload":""}`, "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.eHg",
		"eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2NvcnAuZXhhbXBsZSIsInN1YiI6IngiLCJhdWQiOiJKMW9YZzAiLCJleHAiOjE4MDAwMDAwMDAsImlhdCI6MTcwMDAwMDAwMH0.eHg",
		"eyJhbGciOiJSUzI1NiIsImNyaXQiOlsieCJdfQ.eyJhdWQiOls3XX0.eHg", "eyJhbGciOlsxXX0.bnVsbA.", "\x00.\xff.",
	} {
		f.Add(seed, []byte(`{"alg":"RS256"}`), []byte(`{"iss":"https://corp.example","sub":"x","aud":["J1oXg0"],"exp":1e300,"iat":"0"}`))
	}
	for _, claims := range []string{
		`{"iss":"https://corp.example","sub":"x","aud":"J1oXg0","exp":1800000000,"iat":1700000000,"nbf":1}`,
		`{"iss":"https://corp.example","sub":"x","aud":"J1oXg0","azp":"y","exp":1e11,"iat":1e11}`, `{"iss":"x","sub":"x","aud":"x","azp":1}`, `{} {}`,
	} {
		f.Add("", []byte(`{"alg":"RS256"}`), []byte(claims))
		f.Add("", []byte(`{"alg":"None"}`), []byte(claims))
	}
	f.Fuzz(func(t *testing.T, raw string, header, claims []byte) {
		p := newFake(t)
		for _, token := range []string{raw, compact(header, claims, []byte("x"))} {
			c, err := Parse(secret.New(token))
			if err == nil && (c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 || c.Expires.IsZero() || c.Expires.After(time.Unix(253402300799, 0))) {
				t.Errorf("accepted %+v", c)
			}
			if _, err := p.client().Verify(t.Context(), secret.New(token)); err == nil {
				t.Errorf("verified %q", token)
			} else {
				checkWords(t, err)
			}
		}
	})
}
