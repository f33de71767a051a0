package process

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

func TestGivingUpKeepsTheCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
	w.answer = nil
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	code := w.shown[0].code
	if !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "user_code=") {
		t.Errorf("the failure names neither code nor address:\n%v", err)
	}
	lastPoll := w.lastPoll()

	w.answer = w.approve // the person approves when the code is shown again
	w.mustRun()
	w.counts(map[string]int{"device": 1, "sts": 1})
	if len(w.shown) != 2 || w.shown[1].code != code || w.shown[1].tab {
		t.Errorf("shown %v, want the same code again without a tab", w.shown)
	}
	if gap := w.lastPoll().Sub(lastPoll); gap < 5*time.Second {
		t.Errorf("the next process polled %s after the one before, want at least 5 s", gap)
	}
	for _, r := range w.box.Requests() {
		if r.Error == "slow_down" {
			t.Error("the provider was polled too fast")
		}
	}
}

func (w *world) lastPoll() time.Time {
	var last time.Time
	for _, r := range w.box.Requests() {
		if r.Endpoint == "token:device" {
			last = r.Time
		}
	}
	return last
}

func TestNobodyToAskStartsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.person = Person{}
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "here is no terminal to ask on")
	w.counts(map[string]int{"device": 0})
}

// watch aws ... overnight in a terminal costs at most three codes and one tab.
func TestAnEmptyChairIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.answer = nil
	for night := w.clock.Now().Add(8 * time.Hour); w.clock.Now().Before(night); w.clock.Advance(time.Minute) {
		if _, err := w.run(); err == nil {
			t.Fatal("credentials without a login")
		}
	}
	if w.box.Count("device") > 3 || w.tabs() != 1 {
		t.Errorf("%d codes and %d tabs, want at most 3 and 1", w.box.Count("device"), w.tabs())
	}
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "nobody answered the login of")

	w.answer = w.approve
	if _, err := w.provider().Login(t.Context(), false); err != nil {
		t.Fatalf("login does not ignore the outcome: %v", err)
	}
	if w.tabs() != 2 {
		t.Errorf("%d tabs, want one for the person who typed login", w.tabs())
	}
	w.mustRun()
}

func TestAnEmptyChairWithoutATerminalIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: time.Minute})
	w.answer = nil
	w.person = Person{Browser: true}
	for range 20 {
		_, _ = w.run()
		w.clock.Advance(30 * time.Second)
	}
	if w.box.Count("device") != 1 || w.tabs() != 1 {
		t.Errorf("%d codes and %d tabs, want one each", w.box.Count("device"), w.tabs())
	}
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "nobody answered the login of")
	w.clock.Advance(attemptKept) // a day later somebody may sit there again
	w.answer = w.approve
	w.mustRun()
}

func TestRefusedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = func(code string) {
		if err := w.box.Deny(code); err != nil {
			t.Error(err)
		}
	}
	_, err := w.run()
	w.failsWith(err, failure.ExitRefused, "was refused")
	w.clock.Advance(time.Second)
	_, err = w.run(func(p *Provider) { p.Person = func() Person { return Person{Browser: true} } })
	w.failsWith(err, failure.ExitLogin, "was refused, so profile dev does not ask again")
	w.counts(map[string]int{"device": 1})
	w.answer = w.approve
	w.mustRun() // on a terminal a new code is shown, as text
	if w.tabs() != 1 {
		t.Errorf("%d tabs, want 1", w.tabs())
	}
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		grace     time.Duration
		acted     bool
		drops     int
		wantToken int // refresh requests in the end
		person    bool
	}{
		{"lost on the way there", 0, false, 1, 2, false},
		{"lost on the way back, provider grants grace", 30 * time.Second, true, 1, 2, false},
		{"lost on the way back, no grace", 0, true, 1, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Rotate: true, ReuseGrace: c.grace, IDTokenLife: time.Hour})
			w.mustRun()
			w.clock.Advance(2 * time.Hour)
			w.drop("/token", c.acted, c.drops)
			_, err := w.run(func(p *Provider) { p.Person = nil })
			if c.person {
				w.failsWith(err, failure.ExitLogin, "has ended (invalid_grant)")
			} else if err != nil {
				t.Fatal(err)
			}
			w.counts(map[string]int{"token:refresh": c.wantToken})
		})
	}
}

// A process that is killed between sending and storing leaves a mark; the next
// one tries the token once before it asks a person.
func TestKilledBetweenSendingAndStoring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, ReuseGrace: 30 * time.Second, IDTokenLife: time.Hour})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	killed := onSet{w.store, func(n int) {
		if n == 2 {
			panic("killed")
		}
	}, new(int)}
	func() {
		defer func() { _ = recover() }()
		_, _ = w.run(func(p *Provider) { p.Store = killed })
	}()
	l, err := w.provider().readLogin(t.Context())
	if err != nil || l.RefreshStarted.IsZero() {
		t.Fatalf("no mark is left: %v", err)
	}
	w.mustRun(func(p *Provider) { p.Person = nil })
	w.counts(map[string]int{"token:refresh": 2, "device": 1})
	if l, err = w.provider().readLogin(t.Context()); err != nil || !l.RefreshStarted.IsZero() {
		t.Errorf("the mark stays after a renewal: %v", err)
	}
}

func TestFailedRenewalLeavesTheProviderAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.answerWith("/token", http.StatusBadGateway, "<html>bad gateway</html>")
	_, err := w.run()
	w.failsWith(err, failure.ExitNetwork, "cannot renew")
	sent := w.box.Count("token:refresh")
	for range 9 {
		w.clock.Advance(3 * time.Second)
		_, err = w.run()
		w.failsWith(err, failure.ExitNetwork, "cannot renew")
	}
	if got := w.box.Count("token:refresh"); got != sent || sent == 0 {
		t.Errorf("%d requests within 30 s of a failure", got-sent)
	}
	w.box.Intercept(nil)
	w.clock.Advance(4 * time.Second)
	w.mustRun()
	w.counts(map[string]int{"device": 1})
	if len(w.shown) != 1 {
		t.Error("a transient fault started a login")
	}
}

// A provider that fails at the start of a login is left alone just the same.
func TestFailedAuthorizationLeavesTheProviderAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answerWith("/device_authorization", http.StatusUnauthorized, `{"error":"invalid_client"}`)
	for range 5 {
		_, err := w.run()
		w.failsWith(err, failure.ExitRefused, "does not accept client")
		w.clock.Advance(time.Second)
	}
	w.counts(map[string]int{"device": 1})
	w.box.Intercept(nil)
	w.clock.Advance(renewalPause)
	w.mustRun()
}

// Nothing is sent that could not be stored.
func TestNothingIsSentIfTheKeyringCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	_, err := w.run(func(p *Provider) { p.Store = full{w.store} })
	w.failsWith(err, failure.ExitKeyring, "disk takes nothing more: no space left on device.")
	if f := failure.From(err); len(f.Lines) != 2 || !strings.Contains(f.Lines[1], "Make room") {
		t.Errorf("said: %q", f.Lines)
	}
	w.counts(map[string]int{"token:refresh": 0})
	w.mustRun(func(p *Provider) { p.Person = nil })
}

// full is a storage that takes nothing more.
type full struct{ cache.Store }

func (full) Set(context.Context, string, []byte, time.Time) error {
	return &cache.UnreachableError{Where: "disk", Full: true, Err: errors.New("no space left on device")}
}

func TestRefreshTokenIsStoredBeforeTheIDTokenIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	before, err := w.provider().readLogin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Hour)
	w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" })
	_, err = w.run(func(p *Provider) { p.Person = nil })
	w.failsWith(err, failure.ExitRefused, "cannot be used")
	after, err := w.provider().readLogin(t.Context())
	if err != nil || after.RefreshToken.Equal(before.RefreshToken.String) || after.RefreshToken.Empty() {
		t.Errorf("the new refresh token was not kept (%v)", err)
	}
	if !after.IDToken.Equal(before.IDToken.String) {
		t.Error("an ID token that cannot be used was kept")
	}
	w.box.Set(func(o *sandbox.Options) { o.Algorithm = "" })
	w.clock.Advance(renewalPause)
	w.mustRun(func(p *Provider) { p.Person = nil })
	w.counts(map[string]int{"device": 1})
	if w.box.Reused() != 0 {
		t.Error("a refresh token was sent twice")
	}
}

func TestLoginKeepsWhatRenews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	in, err := w.provider().Login(t.Context(), false)
	if err != nil || in.Kept || !in.Renews || in.Who == "" {
		t.Fatalf("first login: %+v, %v", in, err)
	}
	w.clock.Advance(time.Minute)
	in, err = w.provider().Login(t.Context(), false)
	if err != nil || !in.Kept || len(w.shown) != 1 {
		t.Errorf("second login: %+v, %v, shown %d times", in, err, len(w.shown))
	}
	w.counts(map[string]int{"token:refresh": 1}) // that it renews was proven, not assumed
	w.clock.Advance(time.Minute)
	in, err = w.provider().Login(t.Context(), true)
	if err != nil || in.Kept || len(w.shown) != 2 {
		t.Errorf("forced login: %+v, %v, shown %d times", in, err, len(w.shown))
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(func(p *Provider) { p.Profile.Name, p.Profile.Duration = "long", 30*time.Minute })
	out, err := w.provider().Logout(t.Context())
	if err != nil || !out.Found || !out.Revoked || out.IDP != "corp" || strings.Join(out.Profiles, " ") != "dev long" || out.CredentialsUntil.IsZero() {
		t.Errorf("logout: %+v, %v", out, err)
	}
	w.counts(map[string]int{"revoke": 1})
	w.person = Person{}
	for _, d := range []time.Duration{time.Hour, 30 * time.Minute} {
		_, err := w.run(func(p *Provider) { p.Profile.Duration = d })
		w.failsWith(err, failure.ExitLogin, "needs a login")
	}
	if out, err := w.provider().Logout(t.Context()); err != nil || out.Found {
		t.Errorf("second logout: %+v, %v", out, err)
	}
}

func TestLogoutAllNeedsNoConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(func(p *Provider) { p.Profile.IDP.Name = "second" })
	p := w.provider()
	p.Profile.IDP = w.profile().IDP
	p.Profile.IDP.Name, p.Profile.IDP.Issuer, p.Profile.IDP.ClientID = "", "", ""
	outs, err := p.LogoutAll(t.Context())
	if err != nil || len(outs) != 2 || !outs[0].Revoked || !outs[1].Revoked {
		t.Fatalf("logout --all: %+v, %v", outs, err)
	}
	w.person = Person{}
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "needs a login")
}

// The provider being down keeps nobody from logging out.
func TestLogoutWithTheProviderDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.drop("/revoke", false, 10)
	out, err := w.provider().Logout(t.Context())
	if err != nil || !out.Found || out.Revoked || out.NotRevoked == "" {
		t.Errorf("logout: %+v, %v", out, err)
	}
	w.person = Person{}
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "needs a login")
}

func TestStatus(t *testing.T) {
	t.Parallel()
	w := newFileWorld(t, sandbox.Options{Rotate: true})
	if s := w.provider().Status(t.Context()); s.Login != nil || s.Credentials != nil || !s.NeedsPerson {
		t.Errorf("before: %+v", s)
	}
	w.mustRun()
	before := w.box.Count("")
	s := w.provider().Status(t.Context())
	if s.Login == nil || !s.Login.Renews || s.Credentials == nil || s.NeedsPerson || s.Storage != "file" {
		t.Errorf("after: %+v", s)
	}
	if w.box.Count("") != before {
		t.Error("status asked the network")
	}
}

// One login that cannot be ended keeps logout --all from no other.
func TestLogoutAllGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(func(p *Provider) { p.Profile.IDP.Name = "second" })
	outs, err := w.provider(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			if call == "delete login" {
				return fails
			}
			return works
		})
	}).LogoutAll(t.Context())
	w.failsWith(err, failure.ExitKeyring, "disk is out of reach")
	if len(outs) != 1 {
		t.Errorf("%d logins were ended, want the other one", len(outs))
	}
}
