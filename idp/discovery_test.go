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

	"github.com/daypass/daypass/secret"
)

const wellKnown = "/.well-known/openid-configuration"

func TestDiscoveryRefuses(t *testing.T) {
	set := func(name string, value any) func(*fake, *Client) {
		return func(p *fake, _ *Client) { p.Document[name] = value }
	}
	answers := func(r reply) func(*fake, *Client) {
		return func(p *fake, _ *Client) { p.Will(wellKnown, r) }
	}
	asks := func(issuer string) func(*fake, *Client) {
		return func(_ *fake, f *Client) { f.Issuer = issuer }
	}
	tests := []struct {
		name   string
		setup  func(*fake, *Client)
		want   []string // in the error
		theirs bool     // the cause is a ProviderError, not a DiscoveryError
	}{
		{"Auth0: the slash at the end", set("issuer", issuer+"/"), []string{`issuer "https://corp.example"`, `calls itself "https://corp.example/"`, "set issuer = https://corp.example/"}, false},
		{"a slash too many", asks(issuer + "/"), []string{`issuer "https://corp.example/"`, "set issuer = https://corp.example"}, false},
		{"Entra: common", set("issuer", "https://login.microsoftonline.com/{tenantid}/v2.0"), []string{"your tenant id in place of the braces"}, false},
		{"token_endpoint on this machine", set("token_endpoint", "http://127.0.0.1/token"), []string{"token_endpoint", "on this machine"}, false},
		{"a redirect to this machine", answers(redirect("https://127.0.0.1/")), []string{"is not followed"}, true},
		{"404", answers(status(404, "not here")), []string{"there is no discovery document below it", "HTTP status 404", "Check issuer"}, false},
		{"a web page with 200", answers(page(200)), []string{"a web page instead of JSON", "Is there a proxy", "login is kept"}, true},
		{"a redirect without TLS", answers(redirect("http://corp.example/?s3cret")), []string{"is not https"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			f := p.remembering()
			test.setup(p, f)
			_, err := f.Metadata(t.Context())
			if err == nil {
				t.Fatal("accepted")
			}
			var theirs *ProviderError
			var discovery *DiscoveryError
			if errors.As(err, &theirs) != test.theirs || errors.As(err, &discovery) == test.theirs {
				t.Errorf("error %v is of the wrong kind", err)
			}
			for _, want := range test.want {
				if !strings.Contains(told(err), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(told(err), "s3cret") {
				t.Errorf("error %q holds a query", err)
			}
			checkWords(t, err)
			if p.Blob != nil {
				t.Error("a bad answer was remembered")
			}
			if len(p.Requests) > 4 {
				t.Errorf("%d requests", len(p.Requests))
			}
		})
	}
}

func TestDiscoveryFollowsThreeRedirects(t *testing.T) {
	p := newFake(t)
	document, _ := json.Marshal(p.Document)
	p.Will(wellKnown, redirect("/1"))
	p.Will("/1", redirect("https://corp.example/2"))
	p.Will("/2", redirect("/3"))
	p.Will("/3", ok(string(document)))
	if _, err := p.client().Metadata(t.Context()); err != nil {
		t.Error(err)
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
	p.Document["id_token_signing_alg_values_supported"] = []string{"HS256", "ES384", "PS256"}
	if d, err := p.client().Diagnose(t.Context()); err != nil || len(d.STSAlgorithms()) != 1 || d.SkewKnown {
		t.Errorf("%+v, %v", d, err)
	}
}

// What is remembered serves, however old, if nothing newer can be had.
func TestOldMemoryServesWhileDiscoveryFails(t *testing.T) {
	for name, r := range map[string]reply{
		"a captive portal":          page(200),
		"a captive portal's detour": redirect("https://portal.example/"),
		"no connection":             {Err: errors.New("no such host"), Unsent: true},
		"404":                       status(404, ""),
		"another issuer":            ok(`{"issuer":"https://evil.example"}`),
	} {
		p := newFake(t)
		if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
			t.Fatal(err)
		}
		p.Clock.Advance(90 * 24 * time.Hour)
		p.Requests = nil
		p.Will(wellKnown, r)
		p.Will("/token", ok(`{"id_token":"i.d.t"}`))
		c := p.remembering()
		if _, err := c.Metadata(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		before := len(p.Requests)
		if _, err := c.Refresh(t.Context(), secret.New("r3fresh")); err != nil || len(p.Requests) != before+1 {
			t.Errorf("%s: the renewal: %v, requests %q", name, err, p.Paths())
		}
		now := p.Clock.Now()
		if _, err := c.Verify(t.Context(), idToken(t, map[string]any{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})); err != nil {
			t.Errorf("%s: the old keys: %v", name, err)
		}
	}
}

func TestWarmMemory(t *testing.T) {
	p := newFake(t)
	p.Will("/token", ok(`{"id_token":"i.d.t","refresh_token":"n3w"}`))
	if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := p.Paths(), "configuration keys"; got != want {
		t.Errorf("cold: requests %q, want %q", got, want)
	}

	p.Requests = nil
	p.Clock.Advance(23 * time.Hour)
	f := p.remembering()
	if _, err := f.Metadata(t.Context()); err != nil || p.Paths() != "" {
		t.Errorf("Metadata: %v, requests %q", err, p.Paths())
	}
	if _, err := f.Refresh(t.Context(), secret.New("r3fresh")); err != nil || p.Paths() != "token" {
		t.Errorf("Refresh: %v, requests %q", err, p.Paths())
	}
	p.Requests = nil
	fresh := idToken(t, map[string]any{"exp": p.Clock.Now().Add(time.Hour).Unix()})
	if _, err := f.Verify(t.Context(), fresh); err != nil || p.Paths() != "" {
		t.Errorf("Verify: %v, requests %q", err, p.Paths())
	}

	// After a day it is fetched again, keys too.
	p.Clock.Advance(2 * time.Hour)
	fresh = idToken(t, map[string]any{"exp": p.Clock.Now().Add(time.Hour).Unix()})
	if _, err := p.remembering().Verify(t.Context(), fresh); err != nil || p.Paths() != "configuration keys" {
		t.Errorf("after a day: %v, requests %q", err, p.Paths())
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
	document := `{"issuer":"https://corp.example/","token_endpoint":"https://corp.example/token"}`
	for _, test := range []struct {
		name   string
		answer reply
		want   Diagnosis
	}{
		{"ahead of us", withHeader(ok(document), "Date", noon.Add(10*time.Minute).Format(http.TimeFormat)), Diagnosis{Skew: 10 * time.Minute, SkewKnown: true}},
		{"behind us", withHeader(status(503, ""), "Date", noon.Add(-time.Hour).Format(http.TimeFormat)), Diagnosis{Skew: -time.Hour, SkewKnown: true}},
		{"no time", ok(document), Diagnosis{}},
		{"no time either", withHeader(ok(document), "Date", "yesterday"), Diagnosis{}},
		{"nobody", reply{Err: errors.New("EOF")}, Diagnosis{}},
	} {
		p := newFake(t)
		p.Will(wellKnown, test.answer)
		d, err := p.client().Diagnose(t.Context())
		if diff := cmp.Diff(test.want, d); err == nil || diff != "" || IsUnreachable(err) != (test.name == "nobody") {
			t.Errorf("%s: %v\n%s", test.name, err, diff)
		}
	}
}
