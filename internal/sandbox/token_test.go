package sandbox_test

import (
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// TestRefresh sends refresh tokens of one login, named by the answer they came
// in: 0 is the login, 1 the first refresh and so on.
func TestRefresh(t *testing.T) {
	type step struct {
		pass time.Duration
		send int
		code string // "" for tokens
	}
	rotate, grace := sandbox.Options{Rotate: true}, sandbox.Options{Rotate: true, ReuseGrace: 10 * time.Second}
	const gone = "invalid_grant"
	tests := map[string]struct {
		options sandbox.Options
		steps   []step
		reused  int
	}{
		"the same token goes on":           {steps: []step{{}, {pass: time.Hour}}},
		"rotation":                         {options: rotate, steps: []step{{send: 0}, {send: 1}, {send: 2}}},
		"reuse ends the login":             {options: rotate, steps: []step{{send: 0}, {send: 0, code: gone}, {send: 1, code: gone}}, reused: 1},
		"reuse within the grace":           {options: grace, steps: []step{{send: 0}, {pass: 9 * time.Second, send: 0}, {send: 2}, {send: 1}}, reused: 1},
		"reuse after the grace":            {options: grace, steps: []step{{send: 0}, {pass: 10 * time.Second, send: 0, code: gone}, {send: 1, code: gone}}, reused: 1},
		"reuse does not prolong the grace": {options: grace, steps: []step{{send: 0}, {pass: 6 * time.Second, send: 0}, {pass: 6 * time.Second, send: 0, code: gone}}, reused: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			tokens := []string{logIn(t, s).string("refresh_token")}
			for i, step := range test.steps {
				clock.Advance(step.pass)
				got := refresh(t, s, tokens[step.send])
				if got.string("error") != step.code || (got.string("id_token") != "") != (step.code == "") {
					t.Fatalf("refresh %d: error %q, want %q", i+1, got.string("error"), step.code)
				}
				if step.code == "" {
					tokens = append(tokens, got.string("refresh_token"))
				}
			}
			if s.Reused() != test.reused {
				t.Errorf("reused = %d, want %d", s.Reused(), test.reused)
			}
		})
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	held := logIn(t, s).string("refresh_token")
	device := func(challenge ...string) []string {
		opened := authorize(t, s, challenge...)
		if err := s.Approve(opened.string("user_code"), "taro"); err != nil {
			t.Fatal(err)
		}
		return []string{"grant_type", grantDeviceCode, "device_code", opened.string("device_code")}
	}
	// RFC 7636, appendix B.
	const verifier, digest = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	challenge := []string{"code_challenge", digest, "code_challenge_method", "S256"}
	for name, c := range map[string]struct {
		form []string
		code string
	}{
		"no grant":          {code: "invalid_request"},
		"password grant":    {form: []string{"grant_type", "password"}, code: "unsupported_grant_type"},
		"unknown token":     {form: []string{"grant_type", "refresh_token", "refresh_token", "rt-unknown"}, code: "invalid_grant"},
		"wider scope":       {form: []string{"grant_type", "refresh_token", "refresh_token", held, "scope", "openid profile"}, code: "invalid_scope"},
		"another client":    {form: []string{"client_id", "other", "grant_type", "refresh_token", "refresh_token", held}, code: "invalid_client"},
		"no device code":    {form: []string{"grant_type", grantDeviceCode}, code: "invalid_request"},
		"unknown device":    {form: []string{"grant_type", grantDeviceCode, "device_code", "x"}, code: "invalid_grant"},
		"a wrong secret":    {form: []string{"client_secret", "x", "grant_type", "refresh_token", "refresh_token", held}, code: "invalid_client"},
		"PKCE":              {form: append(device(challenge...), "code_verifier", verifier)},
		"verifier missing":  {form: device(challenge...), code: "invalid_grant"},
		"verifier wrong":    {form: append(device(challenge...), "code_verifier", digest), code: "invalid_grant"},
		"challenge missing": {form: append(device(), "code_verifier", verifier), code: "invalid_grant"},
	} {
		if got := askToken(t, s, c.form...).string("error"); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
	s.EndLogins()
	if got := refresh(t, s, held); got.string("error") != "invalid_grant" {
		t.Errorf("ended login: %q", got.string("error"))
	}
}
