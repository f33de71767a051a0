package deviceflow

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/secret"
)

const wellKnown = "/.well-known/openid-configuration"

func TestDiscoveryRefuses(t *testing.T) {
	set := func(name string, value any) func(*idp, *Flow) {
		return func(p *idp, _ *Flow) { p.document[name] = value }
	}
	answers := func(r reply) func(*idp, *Flow) {
		return func(p *idp, _ *Flow) { p.will(wellKnown, r) }
	}
	asks := func(issuer string) func(*idp, *Flow) {
		return func(_ *idp, f *Flow) { f.Issuer = issuer }
	}
	tests := []struct {
		name  string
		setup func(*idp, *Flow)
		want  []string // in the error
		kind  any      // *DiscoveryError if nil
	}{
		{"Auth0: the slash at the end", set("issuer", issuer+"/"), []string{`issuer "https://corp.example"`, `calls itself "https://corp.example/"`, "set issuer = https://corp.example/"}, nil},
		{"a slash too many", asks(issuer + "/"), []string{`issuer "https://corp.example/"`, "set issuer = https://corp.example"}, nil},
		{"Entra: common", set("issuer", "https://login.microsoftonline.com/{tenantid}/v2.0"), []string{"your tenant id in place of the braces"}, nil},
		{"another issuer without TLS", set("issuer", "http://evil.example"), []string{`calls itself "http://evil.example"`}, nil},
		{"another issuer with an escape sequence", set("issuer", "https://evil.example/\x1b[2J"), []string{`calls itself "https://evil.example/ [2J"`}, nil},
		{"no issuer", set("issuer", ""), []string{`calls itself ""`}, nil},
		{"issuer is a number", set("issuer", 7), []string{"of no use"}, nil},
		{"issuer without TLS", asks("http://corp.example"), []string{"is not https"}, nil},
		{"issuer with a query", asks(issuer + "?x=s3cret"), []string{"no query"}, nil},
		{"issuer is no URL", asks("corp.example"), []string{"names no host"}, nil},
		{"no token_endpoint", set("token_endpoint", ""), []string{"names no token_endpoint"}, nil},
		{"token_endpoint without TLS", set("token_endpoint", "http://corp.example/token?x=s3cret"), []string{"token_endpoint in the discovery document", "is not https"}, nil},
		{"token_endpoint relative", set("token_endpoint", "/token"), []string{"token_endpoint", "names no host"}, nil},
		{"token_endpoint is a list", set("token_endpoint", []string{"x"}), []string{"of no use"}, nil},
		{"device endpoint without TLS", set("device_authorization_endpoint", "http://corp.example/d"), []string{"device_authorization_endpoint", "is not https"}, nil},
		{"revocation endpoint without TLS", set("revocation_endpoint", "ftp://corp.example/d"), []string{"revocation_endpoint", "is not https"}, nil},
		{"jwks_uri without TLS", set("jwks_uri", "http://corp.example/keys"), []string{"jwks_uri", "is not https"}, nil},
		{"scopes_supported is text", set("scopes_supported", "openid email"), []string{"does not parse"}, nil},
		{"algorithms are numbers", set("id_token_signing_alg_values_supported", []int{1}), []string{"of no use"}, nil},
		{"404", answers(status(404, "not here")), []string{"is the issuer right?", "HTTP status 404"}, nil},
		{"403 with an error", answers(status(403, `{"error":"access_denied"}`)), []string{"is the issuer right?", "access_denied"}, nil},
		{"a web page with 200", answers(page(200)), []string{"a web page instead of JSON"}, nil},
		{"empty", answers(ok("")), []string{"an empty answer"}, nil},
		{"a list", answers(ok("[]")), []string{"JSON that is no object"}, nil},
		{"half a document", answers(ok(`{"issuer":"https://corp.example"`)), []string{"not JSON"}, nil},
		{"depth without end", answers(ok(`{"a":` + strings.Repeat("[", 200000) + strings.Repeat("]", 200000) + "}")), []string{"not JSON"}, nil},
		{"2 MiB", answers(ok(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`)), []string{"more than 1 MiB"}, nil},
		{"503", answers(status(503, "")), []string{"HTTP status 503"}, new(*ProviderError)},
		{"429", answers(status(429, "")), []string{"HTTP status 429"}, new(*ProviderError)},
		{"the connection breaks", answers(reply{err: errors.New("EOF")}), []string{"cannot reach corp.example: EOF"}, new(*UnreachableError)},
		{"no connection", answers(reply{err: errors.New("no such host"), unsent: true}), []string{"cannot reach corp.example: no such host"}, new(*UnreachableError)},
		{"a redirect to another host", answers(withHeader(status(302, ""), "Location", "https://evil.example/?s3cret")), []string{`another host, "evil.example"`}, nil},
		{"a redirect to another port", answers(withHeader(status(302, ""), "Location", "https://corp.example:8443/")), []string{"another host"}, nil},
		{"a redirect without TLS", answers(withHeader(status(302, ""), "Location", "http://corp.example/?s3cret")), []string{"is not https"}, nil},
		{"a redirect in a circle", answers(withHeader(status(302, ""), "Location", wellKnown)), []string{"more than three redirects"}, nil},
		{"a redirect to nowhere", answers(status(302, "")), []string{"HTTP status 302"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			f := p.remembering()
			test.setup(p, f)
			err := f.Prepare(t.Context())
			if err == nil {
				t.Fatal("accepted")
			}
			if test.kind == nil {
				test.kind = new(*DiscoveryError)
			}
			if !errors.As(err, test.kind) {
				t.Errorf("error %v is no %T", err, test.kind)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %q holds a query", err)
			}
			checkErrorText(t, err)
			if p.saves != 0 {
				t.Error("a bad answer was remembered")
			}
			if len(p.requests) > 4 {
				t.Errorf("%d requests", len(p.requests))
			}
		})
	}
}

func TestDiscoveryFollowsThreeRedirects(t *testing.T) {
	p := newIDP(t)
	to := func(path string) reply { return withHeader(status(302, ""), "Location", path) }
	document, _ := json.Marshal(p.document)
	p.will(wellKnown, to("/1"))
	p.will("/1", to("https://corp.example/2"))
	p.will("/2", to("/3"))
	p.will("/3", ok(string(document)))
	if err := p.flow().Prepare(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestIssuerIsTakenByteForByte(t *testing.T) {
	for _, issuer := range []string{"https://corp.eu.auth0.com/", "https://corp.example/realms/demo", "https://corp.example/application/o/aws/", "http://127.0.0.1:5556/dex"} {
		p := newIDP(t)
		p.document["issuer"] = issuer
		f := p.flow()
		if err := f.Prepare(t.Context()); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestRevocationEndpoint(t *testing.T) {
	p := newIDP(t)
	if got, err := p.flow().RevocationEndpoint(t.Context()); got != issuer+"/revoke" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	delete(p.document, "revocation_endpoint") // Entra, Dex
	if got, err := p.flow().RevocationEndpoint(t.Context()); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWarmMemory(t *testing.T) {
	p := newIDP(t)
	p.will("/token", ok(`{"id_token":"i.d.t","refresh_token":"n3w"}`))
	if _, err := p.remembering().Verify(t.Context(), idToken(t, nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := p.paths(), "configuration keys"; got != want {
		t.Errorf("cold: requests %q, want %q", got, want)
	}

	p.requests = nil
	p.clock.advance(23 * time.Hour)
	f := p.remembering()
	if err := f.Prepare(t.Context()); err != nil || p.paths() != "" {
		t.Errorf("Prepare: %v, requests %q", err, p.paths())
	}
	if _, err := f.Refresh(t.Context(), secret.New("r3fresh")); err != nil || p.paths() != "token" {
		t.Errorf("Refresh: %v, requests %q", err, p.paths())
	}
	p.requests = nil
	fresh := idToken(t, map[string]any{"exp": p.clock.Now().Add(time.Hour).Unix()})
	if _, err := f.Verify(t.Context(), fresh); err != nil || p.paths() != "" {
		t.Errorf("Verify: %v, requests %q", err, p.paths())
	}

	// After a day it is fetched again, keys too.
	p.clock.advance(2 * time.Hour)
	fresh = idToken(t, map[string]any{"exp": p.clock.Now().Add(time.Hour).Unix()})
	if _, err := p.remembering().Verify(t.Context(), fresh); err != nil || p.paths() != "configuration keys" {
		t.Errorf("after a day: %v, requests %q", err, p.paths())
	}
}

func TestMemoryOfNoUse(t *testing.T) {
	p := newIDP(t)
	if err := p.remembering().Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := string(p.blob)
	swap := func(old, new string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the blob", old)
		}
		return []byte(strings.ReplaceAll(good, old, new))
	}
	for name, blob := range map[string][]byte{
		"empty":               {},
		"rubbish":             []byte("\x00\x01rubbish"),
		"half":                []byte(good[:len(good)/2]),
		"null":                []byte("null"),
		"another version":     swap(`"version":1`, `"version":2`),
		"another issuer":      swap(`"issuer":"https://corp.example"`, `"issuer":"https://evil.example"`),
		"an address from old": swap(`https://corp.example/token`, `http://corp.example/token`),
		"from the future":     swap(`2026-11-22T12`, `2026-11-22T13`),
		"of another type":     []byte(`{"version":1,"fetched":"2026-11-22T12:00:00Z","discovery":[]}`),
	} {
		p.blob, p.requests = blob, nil
		if err := p.remembering().Prepare(t.Context()); err != nil || p.paths() != "configuration" {
			t.Errorf("%s: error %v, requests %q", name, err, p.paths())
		}
	}

	// Errors of the memory cost requests, nothing else.
	f := p.flow()
	f.Memory = Memory{
		Load: func() ([]byte, error) { return nil, errors.New("no disk") },
		Save: func([]byte) error { return errors.New("no disk") },
	}
	if _, err := f.Verify(t.Context(), idToken(t, nil)); err != nil {
		t.Error(err)
	}
}

func TestCheckURL(t *testing.T) {
	good := []string{"https://corp.example", "https://corp.example:8443/a?b=c#d", "http://localhost:1/", "http://LOCALHOST/", "http://127.9.9.9/", "http://[::1]:80/"}
	bad := []string{"", "corp.example", "//corp.example", "http://corp.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
		"https://", "https:///x", "https://:443/", "https://u@corp.example", "https://u:p@corp.example", "https://corp.example/\n", "https://corp.example/ x",
		"https://corp.example/\u202e", "https://corp.example/{x}", "https://corp.example/\"", "https://[fe80::1%25eth0]/", "https://corp%00.example/", "https://./", "https://c\u043erp.example", "data:text/html,x", "https:corp.example", "HTTP://corp.example", "https://corp.example/%zz",
		"https://corp.example/" + strings.Repeat("a", maxURL), "http://0.0.0.0/", "http://10.0.0.1/"}
	for _, u := range good {
		if err := checkURL(u); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
	for _, u := range bad {
		if checkURL(u) == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}
