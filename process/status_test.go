package process

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// Status follows a profile through its states, and asks neither the network nor a
// person.
func TestStatusOfEachState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	if s := w.pipeline().Status(t.Context()); s.Login != nil || s.Credentials != nil || !s.NeedsPerson || s.Failure != nil || s.LastFailure != nil || s.Storage != "memory" {
		t.Errorf("before: %+v", s)
	}
	w.answer = nil
	err := w.fails(failure.ExitLogin, "not approved within")
	if s := w.pipeline().Status(t.Context()); s.OpenCode == nil || s.OpenCode.UserCode != w.shown[0].code || s.LastFailure == nil || s.LastFailure.Line != failure.From(err).Lines[0] {
		t.Errorf("a code is open: %+v", s)
	}
	w.approve(w.shown[0].code)
	w.mustRun()
	s := w.pipeline().Status(t.Context())
	if s.Login == nil || s.Login.Who != "taro@example.com" || !s.Login.Renews || s.Credentials == nil || s.NeedsPerson || s.OpenCode != nil || s.LastFailure != nil {
		t.Errorf("after a success: %+v", s)
	}
	// What a login has mended is over, for every profile; what AWS said is not.
	w.clock.Advance(20 * time.Hour)
	w.box.EndLogins()
	w.fails(failure.ExitLogin, "", nobody)
	w.clock.Advance(time.Second)
	w.answer = w.approve
	w.mustLogin(false)
	if s := w.pipeline().Status(t.Context()); s.LastFailure != nil {
		t.Errorf("after a login: %+v", s.LastFailure)
	}
	w.answerWith("/sts", 403, `<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`)
	w.fails(failure.ExitAWS, "")
	w.clock.Advance(time.Second)
	w.mustLogin(false)
	if s := w.pipeline().Status(t.Context()); s.LastFailure == nil || s.LastFailure.Exit != failure.ExitAWS {
		t.Errorf("after a login that AWS does not accept: %+v", s.LastFailure)
	}
	w.box.Intercept(nil)
	// And what went wrong with the login, once it has given credentials since then.
	w.clock.Advance(10 * time.Minute)
	w.answer = func(code string) { _ = w.box.Deny(code) }
	if _, err := w.pipeline().Login(w.ctx(), true); err == nil {
		t.Error("a refused login is a login")
	}
	w.clock.Advance(time.Second)
	w.mustRun()
	if s := w.pipeline().Status(t.Context()); s.LastFailure != nil {
		t.Errorf("after a role of the login that was kept: %+v", s.LastFailure)
	}
	requests, codes := w.box.Count(""), len(w.shown)
	w.clock.Advance(20 * time.Hour)
	if s := w.pipeline().Status(t.Context()); s.Login == nil || s.Credentials != nil || s.NeedsPerson {
		t.Errorf("a day later: %+v", s)
	}
	w.ring = away{w.ring}
	s = w.pipeline().Status(t.Context())
	if s.Failure == nil || s.Failure.Exit != failure.ExitKeyring || s.Problem != s.Failure.Lines[0] || strings.Contains(s.Failure.Error(), "{") || s.NeedsPerson || s.Login != nil {
		t.Errorf("out of reach: %+v", s)
	}
	if len(w.shown) != codes || w.box.Count("") != requests {
		t.Error("status asked somebody")
	}
}

// A login that the provider did not renew is not said to renew by itself; one that it
// could not be asked about is.
func TestStatusAfterAFailedRenewal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		body    string
		refused bool
	}{
		"invalid_request":     {400, `{"error":"invalid_request"}`, true},
		"unauthorized_client": {400, `{"error":"unauthorized_client"}`, true},
		"no ID token":         {200, `{"access_token":"a"}`, true},
		"down":                {503, "down", false},
	} {
		w := dueWorld(t, sandbox.Options{})
		w.answerWith("/token", c.status, c.body)
		_, err := w.run()
		if err == nil || c.refused != strings.Contains(err.Error(), "un: daypass login --profile dev") || strings.Contains(err.Error(), "client_id") {
			t.Errorf("%s: %v", name, err)
		}
		if s := w.pipeline().Status(t.Context()); s.Login == nil || s.Login.Renews == c.refused || s.NeedsPerson != c.refused {
			t.Errorf("%s: %+v, %+v", name, s.Login, s)
		}
	}
}
