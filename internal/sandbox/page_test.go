package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

func TestApprovalPage(t *testing.T) {
	tests := map[string]struct {
		form   []string // besides the code
		status int
		shows  string
		poll   string // error of the next poll, "" for tokens
	}{
		"approve":         {form: []string{"user", "taro", "decision", "approve"}, status: 200, shows: "Login approved"},
		"deny":            {form: []string{"decision", "deny"}, status: 200, shows: "Login denied", poll: "access_denied"},
		"without a name":  {form: []string{"decision", "approve"}, status: 400, shows: "Enter a user name", poll: "authorization_pending"},
		"without a press": {form: []string{"user", "taro"}, status: 400, shows: "Approve or Deny", poll: "authorization_pending"},
		"another code":    {form: []string{"user", "taro", "decision", "approve", "user_code", "XXXX-XXXX"}, status: 400, shows: "is not known", poll: "authorization_pending"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, sandbox.Options{})
			opened := authorize(t, s)
			form := fields("user_code", opened.string("user_code"))
			for field, values := range fields(test.form...) {
				form[field] = values
			}
			page := post(t, s.VerificationURI, form)
			if page.status != test.status || !strings.Contains(page.text, test.shows) {
				t.Errorf("page = %d, want %d with %q", page.status, test.status, test.shows)
			}
			if got := poll(t, s, opened.string("device_code")); got.string("error") != test.poll {
				t.Errorf("poll = %q, want %q", got.string("error"), test.poll)
			}
		})
	}
}

func TestApprovalPageShowsTheCodeAndNothingForeign(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	opened := authorize(t, s)
	page := get(t, opened.string("verification_uri_complete"))
	if page.status != http.StatusOK || !strings.Contains(page.text, `value="`+opened.string("user_code")+`"`) {
		t.Errorf("page = %d, code shown: %t", page.status, strings.Contains(page.text, opened.string("user_code")))
	}
	for _, outside := range []string{"http:", "https:", "<script", "src=", "url("} {
		if strings.Contains(page.text, outside) {
			t.Errorf("page has %q", outside)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy = %q", policy)
	}
	evil := get(t, s.VerificationURI+`?user_code="><script>alert(1)</script>`)
	if strings.Contains(strings.ToLower(evil.text), "<script") {
		t.Error("the code is not escaped")
	}
}
