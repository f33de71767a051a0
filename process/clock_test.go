package process

import (
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// What a clock that ran ahead has stored keeps nobody from credentials once it is
// set right.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	t.Run("failed renewal", func(t *testing.T) {
		w := dueWorld(t, sandbox.Options{})
		w.clock.Advance(year)
		w.answerWith("/token", 503, "down")
		w.fails(failure.ExitNetwork, "")
		w.box.Intercept(nil)
		w.clock.Advance(24*time.Hour - year)
		w.mustRun()
	})
	t.Run("unanswered codes", func(t *testing.T) {
		w := newWorld(t, sandbox.Options{CodeLife: 2 * time.Minute})
		w.person, w.answer = Person{Browser: true}, nil
		w.clock.Advance(year)
		for range 5 {
			_, _ = w.run()
			w.clock.Advance(time.Minute)
		}
		w.fails(failure.ExitLogin, "nobody answered the login of")
		w.clock.Advance(2*24*time.Hour - year)
		w.answer = w.approve
		w.mustRun()
	})
}

// A code that ran out while no process looked counts as unanswered from the moment
// it ran out, and is not shown to those who wait.
func TestCodeThatRanOutUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.person, w.answer = Person{Browser: true}, nil
	w.fails(failure.ExitLogin, "not approved within")
	open, ok := w.pipeline().openAuthorization(t.Context())
	if !ok {
		t.Fatal("the code is not open")
	}
	w.clock.Advance(10 * time.Minute)
	p := w.pipeline()
	if a, ok := p.openAuthorization(t.Context()); ok {
		t.Errorf("code %s is open, and it ran out", a.UserCode)
	}
	if s := p.Status(t.Context()); s.OpenCode != nil {
		t.Errorf("status shows %s, which ran out", s.OpenCode.UserCode)
	}
	key, err := p.Kept.Key(t.Context())
	must(t, err)
	if n, a := p.readAttempt(key); a != nil || !n.Asked || n.Exit != failure.ExitLogin || !n.At.Equal(open.Expires) {
		t.Errorf("%+v, %+v", n, a)
	}
	w.fails(failure.ExitLogin, "nobody answered the login of")
	w.counts(map[string]int{"device": 1})
}
