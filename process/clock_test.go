package process

import (
	"testing"
	"time"

	"github.com/daypass/daypass/deviceflow"
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
		_, err := w.run()
		w.failsWith(err, failure.ExitNetwork, "")
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
		_, err := w.run()
		w.failsWith(err, failure.ExitLogin, "nobody answered the login of")
		w.clock.Advance(2*24*time.Hour - year)
		w.answer = w.approve
		w.mustRun()
	})
	t.Run("refusal of STS", func(t *testing.T) {
		w := newWorld(t, sandbox.Options{})
		w.mustRun()
		w.clock.Advance(3 * time.Hour)
		w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
		_, err := w.run()
		w.failsWith(err, failure.ExitAWS, "")
		w.clock.Advance(-time.Hour)
		w.mustRun()
		w.counts(map[string]int{"sts": 3})
	})
	t.Run("credentials", func(t *testing.T) {
		w := newWorld(t, sandbox.Options{})
		w.clock.Advance(year)
		first := w.mustRun()
		w.clock.Advance(-year)
		if c := w.mustRun(); c.AccessKeyID == first.AccessKeyID {
			t.Error("credentials from the future were served")
		}
	})
}

// Recent is within the time, and not from the future but for the second by which
// clocks are set.
func TestRecent(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]bool{
		0: true, time.Minute - 1: true, time.Minute: false, time.Hour: false,
		-time.Second + 1: true, -time.Second: false, -time.Hour: false,
	} {
		if got := recent(now.Add(-ago), now, time.Minute); got != want {
			t.Errorf("%s ago: %v", ago, got)
		}
	}
}

// A refusal keeps process from asking for a day, and not longer; it is forgotten
// with its count of codes.
func TestOutcomeIsKeptForADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.person = Person{Browser: true}
	w.answer = func(code string) { _ = w.box.Deny(code) }
	_, err := w.run()
	w.failsWith(err, failure.ExitRefused, "was refused")
	w.clock.Advance(attemptKept - time.Second)
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "was refused, so profile dev does not ask again")
	w.clock.Advance(time.Second)
	w.answer = w.approve
	w.mustRun()
	if w.tabs() != 2 {
		t.Errorf("%d tabs, want another after a day", w.tabs())
	}
}

// A code that ran out while no process looked counts as unanswered from the moment
// it ran out, and is not shown to those who wait.
func TestCodeThatRanOutUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.person, w.answer = Person{Browser: true}, nil
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	if _, ok := w.provider().openAuthorization(t.Context()); !ok {
		t.Error("the code is not open")
	}
	w.clock.Advance(10 * time.Minute)
	if a, ok := w.provider().openAuthorization(t.Context()); ok {
		t.Errorf("code %s is open, and it ran out", a.UserCode)
	}
	if s := w.provider().Status(t.Context()); s.OpenCode != nil {
		t.Errorf("status shows %s, which ran out", s.OpenCode.UserCode)
	}
	a, err := w.provider().readAttempt(t.Context())
	if err != nil || a.Open != nil || a.Outcome == nil || a.Outcome.Kind != unanswered || a.Outcome.At.After(w.clock.Now()) {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "nobody answered the login of")
	w.counts(map[string]int{"device": 1})
}

// Credentials that another process stored while this one waited are taken as they
// are, whatever they have left: they are as new as they get.
func TestCredentialsOfThisMomentAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	never := Fresh(func(_, _ time.Duration) bool { return false })
	started := w.clock.Now()
	first := w.mustRun()
	p := w.provider()
	r, err := p.renewedRole(w.ctx(), started, never, nil)
	if err != nil || r.AccessKeyID != first.AccessKeyID {
		t.Errorf("credentials stored while it waited were renewed (%v)", err)
	}
	w.clock.Advance(time.Second)
	r, err = p.renewedRole(w.ctx(), w.clock.Now(), never, nil)
	if err != nil || r.AccessKeyID == first.AccessKeyID {
		t.Errorf("older credentials were taken for new ones (%v)", err)
	}
}

// A pause after a failed renewal holds up processes for 30 s, and never the person
// who typed login.
func TestTypedLoginIgnoresThePause(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.answerWith("/token", 503, "down")
	_, err := w.run()
	w.failsWith(err, failure.ExitNetwork, "")
	w.box.Intercept(nil)
	asked := w.box.Count("token:refresh")
	w.clock.Advance(renewalPause - 2*time.Second)
	_, err = w.run()
	w.failsWith(err, failure.ExitNetwork, "")
	w.counts(map[string]int{"token:refresh": asked})
	w.clock.Advance(time.Second)
	if in, err := w.provider().Login(w.ctx(), false); err != nil || !in.Kept {
		t.Errorf("%+v, %v", in, err)
	}
	w.counts(map[string]int{"token:refresh": asked + 1, "device": 1})

	cold := newWorld(t, sandbox.Options{})
	cold.answerWith("/device_authorization", 503, "down")
	_, err = cold.run()
	cold.failsWith(err, failure.ExitNetwork, "503")
	cold.box.Intercept(nil)
	if _, err := cold.provider().Login(cold.ctx(), false); err != nil {
		t.Error(err)
	}
}

// Codes that a person who typed login let run out do not silence process.
func TestTypedCodesDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: time.Minute})
	w.answer = nil
	for range 3 {
		_, err := w.provider().Login(t.Context(), false)
		w.failsWith(err, failure.ExitLogin, "ran out")
		w.clock.Advance(2 * time.Minute)
	}
	w.answer = w.approve
	w.mustRun()
}

// Who takes a code over waits a whole interval, which slow_down has made longer;
// opens a tab only if none was opened; and ends the showing when the wait is over.
func TestTakingACodeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
	w.person, w.answer = Person{Terminal: true}, nil
	slow := 1
	w.slowDown(&slow)
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	a, err := w.provider().readAttempt(t.Context())
	if err != nil || a.Open == nil || a.Open.Interval != 10*time.Second || a.Open.Opened {
		t.Fatalf("the slower interval was not stored: %+v, %v", a.Open, err)
	}
	w.person.Browser = true
	ended, begun := 0, w.clock.Now()
	showing := func(answer func(code string)) func(*Provider) {
		return func(p *Provider) {
			p.Show = func(a deviceflow.Authorization, openTab bool) (func(), error) {
				w.shown = append(w.shown, shown{a.UserCode, openTab})
				if answer != nil {
					answer(a.UserCode)
				}
				return func() { ended++ }, nil
			}
		}
	}
	_, err = w.run(showing(nil))
	w.failsWith(err, failure.ExitLogin, "not approved within")
	_, err = w.run(showing(nil))
	w.failsWith(err, failure.ExitLogin, "not approved within")
	w.mustRun(showing(w.approve))
	if w.tabs() != 1 || !w.shown[1].tab || ended != 3 {
		t.Errorf("shown %v, and %d showings were ended", w.shown, ended)
	}
	for _, r := range w.box.Requests() {
		if r.Endpoint == "token:device" && r.Time.After(begun) && r.Time.Sub(begun) < 10*time.Second {
			t.Errorf("polled %s after the take-over", r.Time.Sub(begun))
		}
	}
	w.counts(map[string]int{"device": 1})
}

// A code that cannot be polled before the process must end is not shown again: it
// is named.
func TestTakingACodeOverWithoutTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
	w.answer = nil
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	polls := w.box.Count("token:device")
	_, err = w.provider().Credentials(deadline{t.Context(), w.clock.Now().Add(5*time.Second + exchangeTime - 1)}, ForSDK)
	w.failsWith(err, failure.ExitLogin, "Code "+w.shown[0].code+" stays good until")
	w.counts(map[string]int{"token:device": polls})
	if len(w.shown) != 1 {
		t.Errorf("shown %d times", len(w.shown))
	}
}
