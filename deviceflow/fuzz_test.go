package deviceflow

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/daypass/daypass/secret"
)

// Each fuzz test plays one answer of a hostile provider through the Flow. None may
// panic, and whatever is accepted must keep its promises.

func FuzzDeviceAuthorizationAnswer(f *testing.F) {
	for _, seed := range []string{
		deviceAnswer, "", "{}", "[]", "null", `"x"`, "<html>", deviceAnswer[:40],
		answerWith("user_code", `"\u001b[2J"`), answerWith("interval", `"5"`), answerWith("interval", "1e999"),
		answerWith("expires_in", "-1"), answerWith("verification_uri", `"javascript:x"`), answerWith("verification_uri_complete", `"http://x"`),
		`{"device_code":"a","user_code":"b","verification_url":"https://www.google.com/device"}`,
		`{"error":"slow_down"}`, `{"error":{"code":1}}`, `{"error":"` + strings.Repeat("x", 300) + `","error_description":"\r\n\t"}`,
		`{"a":` + strings.Repeat("[", 20000), `{"device_code":"a","device_code":7}`,
	} {
		f.Add(seed, 200)
		f.Add(seed, 429)
	}
	f.Fuzz(func(t *testing.T, body string, code int) {
		p := newIDP(t)
		p.will("/device", status(code, body))
		a, err := p.flow().Authorize(t.Context())
		if err != nil {
			checkErrorText(t, err)
			return
		}
		if a.DeviceCode.Empty() || a.UserCode == "" || len(a.UserCode) > maxUserCode ||
			strings.ContainsFunc(a.UserCode, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("user code %q", a.UserCode)
		}
		if checkURL(a.VerificationURI) != nil || a.VerificationURIComplete != "" && checkURL(a.VerificationURIComplete) != nil {
			t.Errorf("addresses %q, %q", a.VerificationURI, a.VerificationURIComplete)
		}
		life := a.Expires.Sub(noon)
		if a.Interval < minInterval || a.Interval > maxInterval || life < minLifetime || life > maxLifetime || a.NextPoll != noon.Add(a.Interval) {
			t.Errorf("interval %v, life %v, next poll %v", a.Interval, life, a.NextPoll)
		}
	})
}

func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","id_token":"i.d.t","refresh_token":"r","expires_in":"3600"}`, `{"access_token":"a"}`,
		`{"id_token":7,"refresh_token":"r"}`, `{"id_token":null}`, "", "{}", "[]", "null", "<html>", `{"id_token":"i`,
		`{"error":"authorization_pending"}`, `{"error":"slow_down"}`, `{"error":"expired_token"}`, `{"error":"invalid_grant"}`,
		`{"error":"access_denied","error_description":"\u001b[2J"}`, `{"error":"invalid_grant","error_description":"AADSTS53003: x\r\nTrace ID: y"}`,
		`{"error":"server_error"}`, `{"error":["x"]}`, `{"error":"","id_token":"x"}`, `{"refresh_token":"r","refresh_token":"s"}`,
		`{"error":"x","error_description":"no s3cret-t0ken","correlation_id":"s3cret-\u200bt0ken"}`,
	} {
		for _, code := range []int{200, 400, 403, 404, 429, 500, 302} {
			f.Add(seed, code, "5")
		}
	}
	f.Fuzz(func(t *testing.T, body string, code int, retry string) {
		p := newIDP(t)
		p.will("/token", withHeader(status(code, body), "Retry-After", retry))
		flow, a, token := p.flow(), p.open(), secret.New("s3cret-t0ken")
		a.DeviceCode = token
		check := func(_ Tokens, err error) {
			if err == nil {
				return
			}
			if strings.Contains(err.Error(), token.Reveal()) {
				t.Errorf("error %q holds a secret", err)
			}
			checkErrorText(t, err)
		}
		tokens, err := flow.Poll(t.Context(), a)
		check(tokens, err)
		if err == nil && tokens.IDToken.Empty() {
			t.Error("a login without an ID token")
		}
		wait := a.NextPoll.Sub(noon)
		if errors.Is(err, ErrPending) && (wait < a.Interval || wait > maxInterval) || a.Interval < minInterval || a.Interval > maxInterval {
			t.Errorf("interval %v, next poll in %v", a.Interval, wait)
		}
		check(flow.Refresh(t.Context(), token))
		check(Tokens{}, flow.Revoke(t.Context(), issuer+"/token", token))
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
		f.Add(seed, seed)
	}
	token := secret.New("")
	f.Fuzz(func(t *testing.T, document, keys string) {
		if token.Empty() {
			token = idToken(t, nil)
		}
		p := newIDP(t)
		p.will(wellKnown, ok(document))
		p.will("/keys", ok(keys))
		flow := p.remembering()
		if err := flow.Prepare(t.Context()); err != nil {
			checkErrorText(t, err)
			return
		}
		m := flow.known.metadata
		if m.Issuer != issuer || checkURL(m.TokenEndpoint) != nil {
			t.Errorf("accepted %+v", m)
		}
		for _, endpoint := range []string{m.DeviceAuthorizationEndpoint, m.RevocationEndpoint, m.JWKSURI} {
			if endpoint != "" && checkURL(endpoint) != nil {
				t.Errorf("accepted %q", endpoint)
			}
		}
		if _, err := flow.Verify(t.Context(), token); err != nil {
			checkErrorText(t, err)
		} else if !strings.Contains(keys, "rsa") {
			t.Error("verified without the key")
		}
		if again := p.remembering().recall(); again == nil || again.TokenEndpoint != m.TokenEndpoint {
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
	f.Fuzz(func(t *testing.T, raw string, header, claims []byte) {
		p := newIDP(t)
		for _, token := range []string{raw, compact(header, claims, []byte("x"))} {
			c, _, err := Inspect(secret.New(token))
			if err == nil && (c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 || c.Expires.IsZero() || c.Expires.After(time.Unix(253402300799, 0))) {
				t.Errorf("accepted %+v", c)
			}
			if _, err := p.flow().Verify(t.Context(), secret.New(token)); err == nil {
				t.Errorf("verified %q", token)
			} else {
				checkErrorText(t, err)
			}
		}
	})
}
