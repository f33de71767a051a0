package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

func TestDeviceAuthorizationRefuses(t *testing.T) {
	secret := sandbox.Options{ClientSecret: "sesame"}
	tests := map[string]struct {
		options sandbox.Options
		form    []string
		code    string
	}{
		"another client":       {form: []string{"client_id", "other"}, code: "invalid_client"},
		"no client":            {form: []string{"client_id", ""}, code: "invalid_client"},
		"no secret":            {options: secret, code: "invalid_client"},
		"wrong secret":         {options: secret, form: []string{"client_secret", "x"}, code: "invalid_client"},
		"a secret too many":    {form: []string{"client_secret", "x"}, code: "invalid_client"},
		"unknown scope":        {form: []string{"scope", "openid groups"}, code: "invalid_scope"},
		"scope not supported":  {options: sandbox.Options{Scopes: []string{"openid", "email"}}, code: "invalid_scope"},
		"PKCE by method plain": {form: []string{"code_challenge", strings.Repeat("c", 43), "code_challenge_method", "plain"}, code: "invalid_request"},
		"PKCE too short":       {form: []string{"code_challenge", "c", "code_challenge_method", "S256"}, code: "invalid_request"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, test.options)
			if got := authorize(t, s, test.form...); got.string("error") != test.code {
				t.Errorf("answer = %d %q, want %q", got.status, got.string("error"), test.code)
			}
		})
	}
}

func TestProviderRefusesMalformedForms(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	if got := get(t, s.DeviceEndpoint); got.status != 405 {
		t.Errorf("GET = %d, want 405", got.status)
	}
	if got := post(t, s.DeviceEndpoint+"?client_id="+s.ClientID, nil); got.string("error") != "invalid_request" {
		t.Errorf("client id in the URL: %q, want invalid_request", got.string("error"))
	}
	twice := fields("client_id", s.ClientID)
	twice["scope"] = []string{"openid", "email"}
	if got := post(t, s.DeviceEndpoint, twice); got.string("error") != "invalid_request" {
		t.Errorf("scope given twice: %q, want invalid_request", got.string("error"))
	}
}

// TestPolling walks through the lives of device codes. In each step time passes,
// the person may act, and the client polls.
func TestPolling(t *testing.T) {
	type step struct {
		pass time.Duration
		act  string // "approve", "deny"
		code string // "" for tokens
	}
	const pending, slow, gone = "authorization_pending", "slow_down", "invalid_grant"
	tests := map[string]struct {
		auto  string
		steps []step
	}{
		"approved, redeemed once":  {steps: []step{{code: pending}, {time.Second, "approve", ""}, {time.Second, "", gone}}},
		"denied, told once":        {steps: []step{{code: pending}, {time.Second, "deny", "access_denied"}, {time.Second, "", gone}}},
		"expired, told once":       {steps: []step{{code: pending}, {15 * time.Minute, "", "expired_token"}, {time.Second, "", gone}}},
		"approved, fetched late":   {steps: []step{{act: "approve", pass: 15*time.Minute - 1}}},
		"polled too fast":          {steps: []step{{code: pending}, {999 * time.Millisecond, "", slow}, {5 * time.Second, "", slow}, {11 * time.Second, "", pending}}},
		"approved by the provider": {auto: "taro", steps: []step{{code: pending}, {pass: time.Second}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, sandbox.Options{})
			s.AutoApprove(test.auto)
			opened := authorize(t, s)
			for i, step := range test.steps {
				clock.Advance(step.pass)
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
				if got := poll(t, s, opened.string("device_code")); got.string("error") != step.code {
					t.Fatalf("poll %d = %d %q, want %q", i+1, got.status, got.string("error"), step.code)
				}
			}
		})
	}
}
