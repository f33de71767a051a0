package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// TestIDToken has a real OpenID Connect client judge discovery, keys and token.
func TestIDToken(t *testing.T) {
	tests := map[string]struct {
		options sandbox.Options
		rotate  bool
		want    map[string]any
	}{
		"plain": {
			want: map[string]any{"sub": "sandbox|taro", "email": "taro@example.com", "email_verified": true, "azp": nil},
		},
		"issuer with a slash":   {options: sandbox.Options{IssuerSlash: true}},
		"issuer with a path":    {options: sandbox.Options{IssuerPath: "/realms/demo"}},
		"ES256":                 {options: sandbox.Options{Algorithm: "ES256"}},
		"after a change of key": {rotate: true},
		"own claims": {
			options: sandbox.Options{Claims: map[string]any{"email": nil, "azp": "x", "aud": []string{"daypass-sandbox", "x"}}},
			want:    map[string]any{"email": nil, "azp": "x", "aud": []any{"daypass-sandbox", "x"}},
		},
		"12 kB": {
			options: sandbox.Options{TokenPadding: 12000},
			want:    map[string]any{"padding": strings.Repeat("x", 12000)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			if test.rotate {
				if err := s.RotateKeys(); err != nil {
					t.Fatal(err)
				}
			}
			tokens := logIn(t, s)
			ctx := oidc.ClientContext(t.Context(), client(t))
			provider, err := oidc.NewProvider(ctx, s.Issuer)
			if err != nil {
				t.Fatal(err)
			}
			token, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: s.ClientID, Now: clock.Now}).Verify(ctx, tokens.string("id_token"))
			if err != nil {
				t.Fatal(err)
			}
			if want := clock.Now().Add(10 * time.Hour); !token.Expiry.Equal(want) {
				t.Errorf("exp = %v, want %v", token.Expiry, want)
			}
			var claims map[string]any
			if err := token.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			for claim, want := range test.want {
				if diff := cmp.Diff(want, claims[claim]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", claim, diff)
				}
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	const document = "/.well-known/openid-configuration"
	s, _ := start(t, sandbox.Options{})
	got := get(t, s.Issuer+document)
	if got.string("device_authorization_endpoint") != s.DeviceEndpoint {
		t.Errorf("device_authorization_endpoint = %q", got.string("device_authorization_endpoint"))
	}
	optional := []string{"device_authorization_endpoint", "revocation_endpoint", "scopes_supported", "code_challenge_methods_supported"}
	for _, field := range optional {
		if got.fields[field] == nil {
			t.Errorf("%s is missing", field)
		}
	}
	s.Set(func(o *sandbox.Options) {
		o.OmitDeviceEndpoint, o.OmitRevocation, o.OmitScopes, o.OmitPKCE = true, true, true, true
	})
	got = get(t, s.Issuer+document)
	for _, field := range optional {
		if got.fields[field] != nil {
			t.Errorf("%s is there: %v", field, got.fields[field])
		}
	}
}

func TestWhoGetsWhichTokens(t *testing.T) {
	tests := map[string]struct {
		options     sandbox.Options
		scope       string
		id, refresh bool
	}{
		"with offline_access":    {scope: "openid offline_access", id: true, refresh: true},
		"without":                {scope: "openid", id: true},
		"without openid":         {scope: "email"},
		"Google has no such one": {options: sandbox.Options{Scopes: []string{"openid"}}, scope: "openid", id: true, refresh: true},
		"Keycloak":               {options: sandbox.Options{IssuerPath: "/realms/demo"}, scope: "openid", id: true, refresh: true},
		"never":                  {options: sandbox.Options{NoRefreshToken: true}, scope: "openid offline_access", id: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, test.options)
			opened := authorize(t, s, "scope", test.scope)
			if err := s.Approve(opened.string("user_code"), "taro"); err != nil {
				t.Fatal(err)
			}
			got := poll(t, s, opened.string("device_code"))
			if id := got.string("id_token") != ""; id != test.id {
				t.Errorf("ID token: %t, want %t", id, test.id)
			}
			if refresh := got.string("refresh_token") != ""; refresh != test.refresh {
				t.Errorf("refresh token: %t, want %t", refresh, test.refresh)
			}
		})
	}
}

// TestRefresh sends refresh tokens of one login, named by the answer they came
// in: 0 is the login, 1 the first refresh and so on.
func TestRefresh(t *testing.T) {
	type step struct {
		pass time.Duration
		send int
		code string // "" for tokens
	}
	tests := map[string]struct {
		options sandbox.Options
		steps   []step
		reused  int
	}{
		"without rotation the same token goes on": {
			steps: []step{{}, {pass: time.Hour}, {pass: time.Hour}},
		},
		"rotation": {
			options: sandbox.Options{Rotate: true},
			steps:   []step{{send: 0}, {send: 1}, {send: 2}},
		},
		"reuse ends the login": {
			options: sandbox.Options{Rotate: true},
			steps:   []step{{send: 0}, {send: 0, code: "invalid_grant"}, {send: 1, code: "invalid_grant"}},
			reused:  1,
		},
		"reuse within the grace": {
			options: sandbox.Options{Rotate: true, ReuseGrace: 10 * time.Second},
			steps:   []step{{send: 0}, {pass: 9 * time.Second, send: 0}, {send: 2}, {send: 1}},
			reused:  1,
		},
		"reuse after the grace": {
			options: sandbox.Options{Rotate: true, ReuseGrace: 10 * time.Second},
			steps:   []step{{send: 0}, {pass: 10 * time.Second, send: 0, code: "invalid_grant"}, {send: 1, code: "invalid_grant"}},
			reused:  1,
		},
		"reuse does not prolong the grace": {
			options: sandbox.Options{Rotate: true, ReuseGrace: 10 * time.Second},
			steps:   []step{{send: 0}, {pass: 6 * time.Second, send: 0}, {pass: 6 * time.Second, send: 0, code: "invalid_grant"}},
			reused:  2,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			login := logIn(t, s)
			tokens := []string{login.string("refresh_token")}
			for i, step := range test.steps {
				clock.pass(step.pass)
				got := refresh(t, s, tokens[step.send])
				if got.string("error") != step.code {
					t.Fatalf("refresh %d: error %q, want %q", i+1, got.string("error"), step.code)
				}
				if step.code != "" {
					continue
				}
				if id := got.string("id_token"); id == "" {
					t.Errorf("refresh %d: no ID token", i+1)
				}
				next := got.string("refresh_token")
				if (next != "") != test.options.Rotate {
					t.Errorf("refresh %d: refresh token there: %t, want %t", i+1, next != "", test.options.Rotate)
				}
				tokens = append(tokens, next)
			}
			if s.Reused() != test.reused {
				t.Errorf("reused = %d, want %d", s.Reused(), test.reused)
			}
		})
	}
}

func TestRefreshRefuses(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	login := logIn(t, s)
	if got := refresh(t, s, "rt-unknown"); got.string("error") != "invalid_grant" {
		t.Errorf("unknown token: %q", got.string("error"))
	}
	wider := fields("client_id", s.ClientID, "grant_type", "refresh_token", "refresh_token", login.string("refresh_token"), "scope", "openid profile")
	if got := post(t, tokenEndpoint(s), wider); got.string("error") != "invalid_scope" {
		t.Errorf("wider scope: %q", got.string("error"))
	}
	s.EndLogins()
	if got := refresh(t, s, login.string("refresh_token")); got.string("error") != "invalid_grant" {
		t.Errorf("ended login: %q", got.string("error"))
	}
	if got := post(t, tokenEndpoint(s), fields("client_id", s.ClientID, "grant_type", "password")); got.string("error") != "unsupported_grant_type" {
		t.Errorf("password grant: %q", got.string("error"))
	}
}

func TestRefreshWithoutIDToken(t *testing.T) {
	s, _ := start(t, sandbox.Options{NoIDTokenOnRefresh: true})
	got := refresh(t, s, logIn(t, s).string("refresh_token"))
	if got.status != 200 || got.string("id_token") != "" || got.string("access_token") == "" {
		t.Errorf("status %d, ID token there: %t", got.status, got.string("id_token") != "")
	}
}

func TestRevocation(t *testing.T) {
	s, _ := start(t, sandbox.Options{Rotate: true})
	first := logIn(t, s).string("refresh_token")
	second := refresh(t, s, first).string("refresh_token")
	other := logIn(t, s).string("refresh_token")
	endpoint := strings.TrimSuffix(tokenEndpoint(s), "/token") + "/revoke"

	if got := post(t, endpoint, fields("client_id", "other", "token", second)); got.status != 401 {
		t.Errorf("other client: %d, want 401", got.status)
	}
	if got := post(t, endpoint, fields("client_id", s.ClientID, "token", "unknown")); got.status != 200 {
		t.Errorf("unknown token: %d, want 200 (RFC 7009, section 2.2)", got.status)
	}
	if got := post(t, endpoint, fields("client_id", s.ClientID, "token", second)); got.status != 200 {
		t.Errorf("revoke: %d", got.status)
	}
	if got := refresh(t, s, second); got.string("error") != "invalid_grant" {
		t.Errorf("revoked token: %q", got.string("error"))
	}
	if got := refresh(t, s, other); got.status != 200 {
		t.Errorf("another login was hit: %d", got.status)
	}
}

func TestClientSecret(t *testing.T) {
	s, _ := start(t, sandbox.Options{ClientSecret: "a+b %"})
	opened := authorize(t, s, "client_secret", "a+b %")
	if opened.status != 200 {
		t.Fatalf("secret in the form: %d", opened.status)
	}
	form := fields("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", opened.string("device_code"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tokenEndpoint(s), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(s.ClientID, "a%2Bb+%25")
	if got := send(t, r); got.string("error") != "authorization_pending" {
		t.Errorf("basic authentication: %d %q", got.status, got.string("error"))
	}
	if got := poll(t, s, opened.string("device_code")); got.string("error") != "invalid_client" {
		t.Errorf("without: %q", got.string("error"))
	}
}
