package process

import (
	"bytes"
	"log/slog"
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
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	if s := w.pipeline().Status(t.Context()); s.OpenCode == nil || s.OpenCode.UserCode != w.shown[0].code || s.LastFailure == nil || s.LastFailure.Line != failure.From(err).Lines[0] {
		t.Errorf("a code is open: %+v", s)
	}
	w.approve(w.shown[0].code)
	w.mustRun()
	requests, codes := w.box.Count(""), len(w.shown)
	s := w.pipeline().Status(t.Context())
	if s.Login == nil || s.Login.Who != "taro@example.com" || !s.Login.Renews || s.Credentials == nil || s.NeedsPerson || s.OpenCode != nil || s.LastFailure != nil {
		t.Errorf("after a success: %+v", s)
	}
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

// The notes of what fails hold no secret either: neither a token nor a query.
func TestDebugNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	var notes bytes.Buffer
	debug := func(p *Pipeline) { p.Debug = slog.New(slog.NewTextHandler(&notes, nil)) }
	w.mustRun(debug)
	w.clock.Advance(2 * time.Hour)
	w.box.Close()
	if _, err := w.run(debug); err == nil {
		t.Error("it did not fail")
	}
	_ = w.pipeline(debug).Reach(t.Context(), w.box.URL+"/?query")
	text := notes.String()
	for _, part := range []string{"ask a person", "assume role", "path=/sts", "status=200", "connection refused"} {
		if !strings.Contains(text, part) {
			t.Errorf("the notes lack %q", part)
		}
	}
	if w.holdsNoSecret(text); strings.Contains(text, "query") {
		t.Errorf("the notes hold a query:\n%s", text)
	}
}
