package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

func TestDeviceAuthorization(t *testing.T) {
	tests := map[string]struct {
		options sandbox.Options
		want    map[string]any // fields of the answer; nil: must be missing
	}{
		"plain": {
			want: map[string]any{"interval": 1.0, "expires_in": 900.0, "verification_url": nil},
		},
		"given life and interval": {
			options: sandbox.Options{CodeLife: time.Minute, Interval: 7 * time.Second},
			want:    map[string]any{"interval": 7.0, "expires_in": 60.0},
		},
		"bare": {
			options: sandbox.Options{OmitInterval: true, OmitComplete: true},
			want:    map[string]any{"interval": nil, "verification_uri_complete": nil},
		},
		"Google": {
			options: sandbox.Options{VerificationURL: true},
			want:    map[string]any{"verification_uri": nil, "verification_uri_complete": nil},
		},
		"strings": {
			options: sandbox.Options{NumbersAsStrings: true},
			want:    map[string]any{"interval": "1", "expires_in": "900"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, test.options)
			got := authorize(t, s)
			if got.status != 200 || got.string("device_code") == "" || len(got.string("user_code")) != 9 {
				t.Fatalf("status %d, fields %v", got.status, len(got.fields))
			}
			for field, want := range test.want {
				if diff := cmp.Diff(want, got.fields[field]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", field, diff)
				}
			}
			if !test.options.VerificationURL && got.string("verification_uri") != s.VerificationURI {
				t.Errorf("verification_uri = %q", got.string("verification_uri"))
			}
			if complete := got.string("verification_uri_complete"); complete != "" &&
				complete != s.VerificationURI+"?user_code="+got.string("user_code") {
				t.Errorf("verification_uri_complete = %q", complete)
			}
		})
	}
}

func TestDeviceAuthorizationRefuses(t *testing.T) {
	challenge := strings.Repeat("c", 43)
	tests := map[string]struct {
		options sandbox.Options
		form    []string
		status  int
		code    string
	}{
		"another client":       {form: []string{"client_id", "other"}, status: 401, code: "invalid_client"},
		"no client":            {form: []string{"client_id", ""}, status: 401, code: "invalid_client"},
		"no secret":            {options: sandbox.Options{ClientSecret: "sesame"}, status: 401, code: "invalid_client"},
		"wrong secret":         {options: sandbox.Options{ClientSecret: "sesame"}, form: []string{"client_secret", "x"}, status: 401, code: "invalid_client"},
		"a secret too many":    {form: []string{"client_secret", "x"}, status: 401, code: "invalid_client"},
		"unknown scope":        {form: []string{"scope", "openid groups"}, status: 400, code: "invalid_scope"},
		"scope not supported":  {options: sandbox.Options{Scopes: []string{"openid", "email"}}, status: 400, code: "invalid_scope"},
		"PKCE missing":         {options: sandbox.Options{RequirePKCE: true}, status: 400, code: "invalid_request"},
		"PKCE unwelcome":       {options: sandbox.Options{RefusePKCE: true}, form: []string{"code_challenge", challenge, "code_challenge_method", "S256"}, status: 400, code: "invalid_request"},
		"PKCE by method plain": {form: []string{"code_challenge", challenge, "code_challenge_method", "plain"}, status: 400, code: "invalid_request"},
		"PKCE too short":       {form: []string{"code_challenge", "c", "code_challenge_method", "S256"}, status: 400, code: "invalid_request"},
		"other status":         {options: sandbox.Options{ErrorStatus: map[string]int{"invalid_scope": 418}}, form: []string{"scope", "x"}, status: 418, code: "invalid_scope"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, test.options)
			got := authorize(t, s, test.form...)
			if got.status != test.status || got.string("error") != test.code {
				t.Errorf("answer = %d %q, want %d %q", got.status, got.string("error"), test.status, test.code)
			}
		})
	}
}

func TestForms(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	if got := get(t, s.DeviceEndpoint); got.status != 405 {
		t.Errorf("GET = %d, want 405", got.status)
	}
	if got := post(t, s.DeviceEndpoint+"?client_id="+s.ClientID, url.Values{}); got.string("error") != "invalid_request" {
		t.Errorf("client id in the URL: %q, want invalid_request", got.string("error"))
	}
	twice := url.Values{"client_id": {s.ClientID}, "scope": {"openid", "email"}}
	if got := post(t, s.DeviceEndpoint, twice); got.string("error") != "invalid_request" {
		t.Errorf("scope given twice: %q, want invalid_request", got.string("error"))
	}
}

// TestPolling walks through the lives of device codes. A step lets time pass,
// maybe has the person act, and polls.
func TestPolling(t *testing.T) {
	type step struct {
		pass   time.Duration
		act    string // "approve", "deny"
		status int
		code   string // "" for tokens
	}
	pending := func(pass time.Duration) step { return step{pass: pass, status: 400, code: "authorization_pending"} }
	slow := func(pass time.Duration) step { return step{pass: pass, status: 400, code: "slow_down"} }
	tests := map[string]struct {
		options sandbox.Options
		auto    string
		steps   []step
	}{
		"approved, redeemed once": {
			steps: []step{pending(0), pending(time.Second), {pass: time.Second, act: "approve", status: 200}, {pass: time.Second, status: 400, code: "invalid_grant"}},
		},
		"denied, told once": {
			steps: []step{pending(0), {pass: time.Second, act: "deny", status: 400, code: "access_denied"}, {pass: time.Second, status: 400, code: "invalid_grant"}},
		},
		"polled too fast": {
			steps: []step{pending(0), slow(999 * time.Millisecond), slow(5 * time.Second), pending(11 * time.Second)},
		},
		"the default interval holds where none is sent": {
			options: sandbox.Options{OmitInterval: true},
			steps:   []step{pending(0), slow(4 * time.Second), pending(10 * time.Second)},
		},
		"expired, told once": {
			steps: []step{pending(0), {pass: 15 * time.Minute, status: 400, code: "expired_token"}, {pass: time.Second, status: 400, code: "invalid_grant"}},
		},
		"approved but not fetched in time": {
			options: sandbox.Options{CodeLife: time.Minute},
			steps:   []step{{act: "approve", pass: 59 * time.Second, status: 200}},
		},
		"by itself": {
			auto:  "taro",
			steps: []step{pending(0), {pass: time.Second, status: 200}},
		},
		"Auth0's statuses": {
			options: sandbox.Options{ErrorStatus: map[string]int{"authorization_pending": 403, "slow_down": 429}},
			steps:   []step{{status: 403, code: "authorization_pending"}, {status: 429, code: "slow_down"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			s.AutoApprove(test.auto)
			opened := authorize(t, s)
			for i, step := range test.steps {
				clock.pass(step.pass)
				var err error
				switch step.act {
				case "approve":
					err = s.Approve(opened.string("user_code"), "taro")
				case "deny":
					err = s.Deny(opened.string("user_code"))
				}
				if err != nil {
					t.Fatal(err)
				}
				got := poll(t, s, opened.string("device_code"))
				if got.status != step.status || got.string("error") != step.code {
					t.Fatalf("poll %d = %d %q, want %d %q", i+1, got.status, got.string("error"), step.status, step.code)
				}
			}
		})
	}
}

func TestApproveFindsOpenCodesOnly(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	opened := authorize(t, s)
	if diff := cmp.Diff([]string{opened.string("user_code")}, s.OpenCodes()); diff != "" {
		t.Errorf("open codes (-want +got):\n%s", diff)
	}
	if err := s.Approve("XXXX-XXXX", "taro"); err == nil {
		t.Error("approved a code that was never given")
	}
	typed := strings.ToLower(strings.ReplaceAll(opened.string("user_code"), "-", " "))
	if err := s.Approve(typed, "taro"); err != nil {
		t.Errorf("%q: %v", typed, err)
	}
	if err := s.Deny(opened.string("user_code")); err == nil {
		t.Error("denied a code that was approved already")
	}
	if open := s.OpenCodes(); len(open) != 0 {
		t.Errorf("open codes = %q, want none", open)
	}
	late := authorize(t, s)
	clock.pass(15 * time.Minute)
	if err := s.Approve(late.string("user_code"), "taro"); err == nil {
		t.Error("approved an expired code")
	}
}

func TestPKCE(t *testing.T) {
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	tests := map[string]struct {
		authorization, poll []string
		code                string
	}{
		"matches":           {authorization: []string{"code_challenge", challenge, "code_challenge_method", "S256"}, poll: []string{"code_verifier", verifier}},
		"verifier missing":  {authorization: []string{"code_challenge", challenge, "code_challenge_method", "S256"}, code: "invalid_grant"},
		"verifier wrong":    {authorization: []string{"code_challenge", challenge, "code_challenge_method", "S256"}, poll: []string{"code_verifier", challenge}, code: "invalid_grant"},
		"challenge missing": {poll: []string{"code_verifier", verifier}, code: "invalid_grant"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, sandbox.Options{})
			opened := authorize(t, s, test.authorization...)
			if err := s.Approve(opened.string("user_code"), "taro"); err != nil {
				t.Fatal(err)
			}
			if got := poll(t, s, opened.string("device_code"), test.poll...); got.string("error") != test.code {
				t.Errorf("error = %q, want %q", got.string("error"), test.code)
			}
		})
	}
}
