package idp

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/idptest"
	"github.com/daypass/daypass/secret"
)

const wellKnown = "/.well-known/openid-configuration"

// What a provider that is not on this machine may not say. Package command has the
// documents of a hostile one.
func TestDiscoveryRefuses(t *testing.T) {
	for _, test := range []struct{ name, at, field, value, want string }{
		{"Auth0: the slash at the end", issuer, "issuer", issuer + "/", `issuer "https://corp.example": the provider calls itself "https://corp.example/"; if that is your provider, set issuer = https://corp.example/`},
		{"a slash too many", issuer + "/", "issuer", issuer, "set issuer = https://corp.example"},
		{"Entra: common", issuer, "issuer", "https://login.microsoftonline.com/{tenantid}/v2.0", "your tenant id in place of the braces"},
		{"token_endpoint on this machine", issuer, "token_endpoint", "http://127.0.0.1/token", "on this machine"},
		{"jwks_uri on this machine", issuer, "jwks_uri", "https://localhost/keys", "on this machine"},
	} {
		p := newFake(t)
		p.Document[test.field] = test.value
		c := p.remembering()
		c.Issuer = test.at
		_, err := c.Metadata(t.Context())
		if _, ok := errors.AsType[*DiscoveryError](err); !ok || !strings.Contains(err.Error(), test.want) || p.Blob != nil {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		checkWords(t, err)
	}
	if err := (&Client{Issuer: "https://idp.localhost/"}).CheckAddress("https://idp.localhost/token"); err != nil {
		t.Errorf("its own address: %v", err)
	}
	// Three redirects are followed, on the same host, with TLS.
	document, _ := json.Marshal(newFake(t).Document)
	for _, test := range []struct {
		to       []string
		requests int
		good     bool
	}{
		{[]string{"/1", "https://corp.example/2", "/3"}, 4, true},
		{[]string{"/1", "/2", "/3", "/4"}, 4, false},
		{[]string{"https://127.0.0.1/"}, 1, false},
		{[]string{"https://evil.example/1"}, 1, false},
		{[]string{"http://corp.example/?s3cret"}, 1, false},
	} {
		p, at := newFake(t), wellKnown
		for _, to := range test.to {
			p.Will(at, idptest.Redirect(to))
			at = strings.TrimPrefix(to, issuer)
		}
		p.Will(at, ok(string(document)))
		_, err := p.client().Metadata(t.Context())
		if (err == nil) != test.good || len(p.Requests) != test.requests || err != nil && (!strings.Contains(err.Error(), "is not followed") || strings.Contains(told(err), "s3cret")) {
			t.Errorf("%q: %v after %d requests", test.to, err, len(p.Requests))
		}
	}
}

// Something optional that is wrong costs itself alone.
func TestOptionalMetadata(t *testing.T) {
	p := newFake(t)
	maps.Copy(p.Document, map[string]any{
		"revocation_endpoint": "/revoke", "device_authorization_endpoint": "http://corp.example/d", "authorization_endpoint": "http://localhost/a",
		"scopes_supported": "openid email", "id_token_signing_alg_values_supported": []int{1}, "code_challenge_methods_supported": "S256",
		"userinfo_endpoint": 7,
	})
	got, err := p.client().Metadata(t.Context())
	want := Metadata{Issuer: issuer, TokenEndpoint: issuer + "/token", JWKSURI: issuer + "/keys"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// What is remembered makes requests unnecessary for a day, and serves however old it
// is if nothing newer can be had.
func TestMemory(t *testing.T) {
	for name, test := range map[string]struct {
		age       time.Duration
		discovery reply  // none: as it should be
		want      string // the requests of a renewal whose ID token is verified
	}{
		"warm":                      {23 * time.Hour, reply{}, "token"},
		"a day old":                 {25 * time.Hour, reply{}, "configuration token keys"},
		"a captive portal":          {90 * 24 * time.Hour, idptest.Page(200), "configuration token"},
		"a captive portal's detour": {90 * 24 * time.Hour, idptest.Redirect("https://portal.example/"), "configuration token"},
		"no connection":             {90 * 24 * time.Hour, reply{Err: errors.New("no such host"), Unsent: true}, "token"},
		"404":                       {90 * 24 * time.Hour, status(404, ""), "configuration token"},
		"another issuer":            {90 * 24 * time.Hour, ok(`{"issuer":"https://evil.example"}`), "configuration token"},
	} {
		p := newFake(t)
		p.Will("/keys", ok("\xef\xbb\xbf"+goodKeys())) // a byte order mark
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil || p.Paths() != "configuration keys" {
			t.Fatalf("cold: %v, requests %q", err, p.Paths())
		}
		p.Clock.Advance(test.age)
		p.Requests = nil
		if test.discovery.Body != "" || test.discovery.Status != 0 || test.discovery.Err != nil {
			p.Will(wellKnown, test.discovery)
		}
		now := p.Clock.Now()
		p.Will("/token", ok(`{"id_token":"`+idToken(t, map[string]any{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}).Reveal()+`"}`))
		c := p.remembering()
		tokens, err := c.Refresh(t.Context(), secret.New("r3fresh"))
		if err == nil {
			_, err = c.Verify(t.Context(), tokens.IDToken)
		}
		if err != nil || p.Paths() != test.want {
			t.Errorf("%s: %v, requests %q, want %q", name, err, p.Paths(), test.want)
		}
	}
}

func TestMemoryOfNoUse(t *testing.T) {
	p := newFake(t)
	if _, err := p.remembering().Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := string(p.Blob)
	swap := func(old, new string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the blob", old)
		}
		return []byte(strings.ReplaceAll(good, old, new))
	}
	for name, blob := range map[string][]byte{
		"half":                []byte(good[:len(good)/2]),
		"another issuer":      swap(`"issuer":"https://corp.example"`, `"issuer":"https://evil.example"`),
		"an address from old": swap(`https://corp.example/token`, `http://corp.example/token`),
		"from the future":     swap(`2026-11-22T12`, `2026-11-22T13`),
	} {
		p.Blob, p.Requests = blob, nil
		if _, err := p.remembering().Metadata(t.Context()); err != nil || p.Paths() != "configuration" {
			t.Errorf("%s: error %v, requests %q", name, err, p.Paths())
		}
	}
}

// What is known of the clock is known whatever else is wrong.
func TestDiagnoseComparesClocks(t *testing.T) {
	for date, want := range map[string]time.Duration{
		noon.Add(10 * time.Minute).Format(http.TimeFormat): 10 * time.Minute,
		noon.Add(-time.Hour).Format(http.TimeFormat):       -time.Hour,
		"yesterday": 0, // not known
	} {
		p := newFake(t)
		p.Will(wellKnown, withHeader(status(503, ""), "Date", date))
		d, err := p.client().Diagnose(t.Context())
		if err == nil || (d.Skew != nil) != (want != 0) || want != 0 && *d.Skew != want {
			t.Errorf("%s: %v, %v", date, d.Skew, err)
		}
	}
}
