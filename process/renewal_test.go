package process

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// dueWorld is a world whose login must be renewed, with nobody there.
func dueWorld(t *testing.T, o sandbox.Options) *world {
	o.Rotate, o.IDTokenLife = true, time.Hour
	w := newWorld(t, o)
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.person = Person{}
	return w
}

func (w *world) readLogin() *login {
	w.t.Helper()
	l, err := w.provider().readLogin(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// Only a parsed invalid_grant ends a refresh token. After any other answer it is
// kept; the mark stays only where it is not known what became of the token.
func TestOnlyInvalidGrantDiscardsARefreshToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status       int
		body         string
		exit         int
		token, mark  bool
		renewsLater  bool // once the provider is well again
		loginRenewed bool // by daypass login, in front of a person, without a code
	}{
		{400, `{"error":"invalid_grant"}`, failure.ExitLogin, false, false, false, false},
		{429, ``, failure.ExitNetwork, true, false, true, true},
		{401, `{"error":"invalid_client"}`, failure.ExitRefused, true, false, true, true},
		{400, `{"error":"unauthorized_client"}`, failure.ExitRefused, true, false, true, true},
		{400, `{"error":"unsupported_grant_type"}`, failure.ExitRefused, true, false, true, true},
		{400, `{"error":"invalid_request","error_description":"Malformed refresh token"}`, failure.ExitRefused, true, false, true, true},
		{400, `{"error":"temporarily_unavailable"}`, failure.ExitNetwork, true, true, true, true},
		{400, `{"error":"interaction_required"}`, failure.ExitLogin, true, false, false, true},
		{302, ``, failure.ExitNetwork, true, false, true, true},
		{500, `boom`, failure.ExitNetwork, true, true, true, true},
		{200, `<html>log in to the network</html>`, failure.ExitNetwork, true, true, true, true},
		{200, `{"error":"invalid_grant"`, failure.ExitNetwork, true, true, true, true},
	} {
		name := fmt.Sprint(c.status, " ", c.body)
		w := dueWorld(t, sandbox.Options{})
		before := w.readLogin()
		w.answerRefresh(c.status, c.body)
		_, err := w.run()
		if failure.From(err).Exit != c.exit {
			t.Errorf("%s: exit %d, want %d: %v", name, failure.From(err).Exit, c.exit, err)
		}
		l := w.readLogin()
		if kept := l.RefreshToken.Equal(before.RefreshToken.String); kept != c.token || !kept && !l.RefreshToken.Empty() {
			t.Errorf("%s: refresh token kept: %v, want %v", name, kept, c.token)
		}
		if mark := !l.RefreshStarted.IsZero(); mark != c.mark {
			t.Errorf("%s: marked as lost: %v, want %v", name, mark, c.mark)
		}
		w.box.Intercept(nil)
		w.clock.Advance(renewalPause)
		if _, err := w.run(); (err == nil) != c.renewsLater {
			t.Errorf("%s: later: %v", name, err)
		}
		w.person = Person{Terminal: true}
		if _, err := w.provider().Login(w.ctx(), false); err != nil {
			t.Errorf("%s: daypass login: %v", name, err)
		}
		if renewed := w.box.Count("device") == 1; renewed != c.loginRenewed {
			t.Errorf("%s: daypass login went without a code: %v, want %v", name, renewed, c.loginRenewed)
		}
		if w.readLogin().NeedsPerson {
			t.Errorf("%s: a person is still wanted after daypass login", name)
		}
	}
}

// A provider that is not there has not got the token: nothing is marked as lost.
func TestRefusedConnectionLosesNothing(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.box.Close()
	_, err := w.run()
	w.failsWith(err, failure.ExitNetwork, "cannot reach 127.0.0.1")
	if l := w.readLogin(); l.RefreshToken.Empty() || !l.RefreshStarted.IsZero() {
		t.Errorf("refresh token gone: %v; mark: %v", l.RefreshToken.Empty(), l.RefreshStarted)
	}
}

// Discovery can be cancelled and retried, so it comes before the mark.
func TestDiscoveryComesBeforeTheMark(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.forgetDiscovery()
	w.answerWith("/openid-configuration", http.StatusServiceUnavailable, "down")
	_, err := w.run(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			if call == "set login" {
				t.Error("the login was marked")
			}
			return works
		})
	})
	w.failsWith(err, failure.ExitNetwork, "")
	w.counts(map[string]int{"token:refresh": 0})
}

// A login that daypass login cannot renew for a definite reason is no dead end:
// the person who stands there gets a code.
func TestLoginIsNoDeadEnd(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"error":"unauthorized_client"}`, `{"error":"invalid_request"}`, `{"error":"interaction_required"}`, "other sub"} {
		w := dueWorld(t, sandbox.Options{})
		if body == "other sub" {
			w.box.Set(func(o *sandbox.Options) { o.Claims = map[string]any{"sub": "other"} })
		} else {
			w.answerRefresh(400, body)
		}
		_, err := w.run()
		if err == nil {
			t.Errorf("%s: no failure", body)
		}
		w.person = Person{Terminal: true}
		if _, err := w.provider().Login(w.ctx(), false); err != nil {
			t.Errorf("%s: daypass login: %v", body, err)
		}
		w.counts(map[string]int{"device": 2})
		w.mustRun()
	}
}

// The ID token that comes with a renewal is the same person's, or of no use.
func TestRenewalIsTheSamePersons(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	before := w.readLogin()
	w.box.Set(func(o *sandbox.Options) { o.Claims = map[string]any{"sub": "somebody-else"} })
	_, err := w.run()
	w.failsWith(err, failure.ExitRefused, "claim sub is")
	l := w.readLogin()
	if !l.IDToken.Equal(before.IDToken.String) || l.Claims.Subject != before.Claims.Subject {
		t.Error("another person's ID token was taken")
	}
	if l.RefreshToken.Equal(before.RefreshToken.String) || !l.RefreshStarted.IsZero() {
		t.Error("the new refresh token was not kept, or the mark was")
	}
	w.counts(map[string]int{"sts": 1})
}

// A first login whose ID token cannot be used keeps its refresh token, whether
// the provider rotates or not; once the provider is mended, no person is needed.
func TestUnverifiedLoginKeepsItsRefreshToken(t *testing.T) {
	t.Parallel()
	for _, rotate := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{Rotate: rotate, Algorithm: "HS256"})
		_, err := w.run()
		w.failsWith(err, failure.ExitRefused, "cannot be used")
		if l := w.readLogin(); l.RefreshToken.Empty() || !l.IDToken.Empty() {
			t.Errorf("rotate %v: refresh token kept: %v, bad ID token dropped: %v", rotate, !l.RefreshToken.Empty(), l.IDToken.Empty())
		}
		w.person = Person{}
		for range 3 { // the provider is left alone
			_, err = w.run()
			w.failsWith(err, failure.ExitRefused, "cannot be used")
		}
		w.counts(map[string]int{"token:refresh": 0})
		w.clock.Advance(renewalPause)
		_, err = w.run() // a renewal brings no better token, and leaves no mark
		w.failsWith(err, failure.ExitRefused, "cannot be used")
		if l := w.readLogin(); l.RefreshToken.Empty() || !l.RefreshStarted.IsZero() {
			t.Errorf("rotate %v: after a renewal: refresh token kept: %v, mark %v", rotate, !l.RefreshToken.Empty(), l.RefreshStarted)
		}
		w.box.Set(func(o *sandbox.Options) { o.Algorithm = "" })
		w.clock.Advance(renewalPause)
		w.mustRun()
		w.counts(map[string]int{"device": 1, "token:refresh": 2})
		if w.box.Reused() != 0 {
			t.Errorf("rotate %v: a refresh token was sent twice", rotate)
		}
	}
}

// The signing keys being away for a moment costs no login: neither one with a
// refresh token nor one without.
func TestKeysAwayForAMoment(t *testing.T) {
	t.Parallel()
	for _, noRefresh := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{NoRefreshToken: noRefresh})
		away := 1
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/keys") || away == 0 {
				return false
			}
			away--
			panic(http.ErrAbortHandler)
		})
		w.mustRun()
		w.counts(map[string]int{"device": 1, "keys": 2})
	}
}

// A process that finds the mark of another sends the token, and once more where that
// answer is lost: the other may have died before it sent anything. Then the mark
// stays for the next.
func TestMarkAndLostAgain(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{ReuseGrace: 10 * time.Second})
	l := w.readLogin()
	l.RefreshStarted = w.clock.Now() // of a process that was killed then
	if err := w.provider().put(t.Context(), loginKey(w.profile().IDP), l); err != nil {
		t.Fatal(err)
	}
	w.drop("/token", true, 1)
	w.mustRun()
	w.counts(map[string]int{"token:refresh": 2, "device": 1})

	w = dueWorld(t, sandbox.Options{ReuseGrace: time.Hour})
	w.drop("/token", true, 2) // the request and its retry
	_, err := w.run()
	w.failsWith(err, failure.ExitNetwork, "cannot renew")
	w.counts(map[string]int{"token:refresh": 2})
	w.clock.Advance(renewalPause)
	w.drop("/token", true, 2)
	_, err = w.run()
	w.failsWith(err, failure.ExitNetwork, "cannot renew")
	w.counts(map[string]int{"token:refresh": 4})
	if w.readLogin().RefreshStarted.IsZero() {
		t.Error("an answer is lost, and the mark is gone")
	}
	w.clock.Advance(renewalPause)
	w.mustRun()
	w.counts(map[string]int{"token:refresh": 5, "device": 1})
	if !w.readLogin().RefreshStarted.IsZero() {
		t.Error("the mark stays after a renewal")
	}
}

// A definite answer to the retry says nothing about the answer that was lost.
func TestMarkStaysAfterALostAnswer(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{ReuseGrace: time.Hour})
	lost := false
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") {
			return false
		}
		if !lost {
			lost = true
			w.box.Serve(discard{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
		rw.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	_, err := w.run()
	w.failsWith(err, failure.ExitNetwork, "asks to wait")
	if w.readLogin().RefreshStarted.IsZero() {
		t.Error("the first answer was lost, and the mark is gone")
	}
}

// No exchange starts without the time to store its answer.
func TestNoExchangeWithoutTime(t *testing.T) {
	t.Parallel()
	in := func(w *world, left time.Duration) context.Context {
		return deadline{w.t.Context(), w.clock.Now().Add(left)}
	}
	w := dueWorld(t, sandbox.Options{})
	_, err := w.provider().Credentials(in(w, exchangeTime-time.Second), ForSDK)
	w.failsWith(err, failure.ExitNetwork, "no time was left")
	if !w.readLogin().RefreshStarted.IsZero() {
		t.Error("the login was marked, and nothing sent")
	}
	// The mark can take long, too.
	_, err = w.provider(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			if call == "set login" {
				w.clock.Advance(45 * time.Second)
			}
			return works
		})
	}).Credentials(in(w, 50*time.Second), ForSDK)
	w.failsWith(err, failure.ExitNetwork, "no time was left")
	w.counts(map[string]int{"token:refresh": 0})
	// Nor is a lost answer asked for again.
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") {
			return false
		}
		w.clock.Advance(5 * time.Second)
		panic(http.ErrAbortHandler)
	})
	l := w.readLogin()
	l.RefreshStarted = time.Time{} // of a process that had the time
	if err := w.provider().put(t.Context(), loginKey(w.profile().IDP), l); err != nil {
		t.Fatal(err)
	}
	_, err = w.provider().Credentials(in(w, exchangeTime+2*time.Second), ForSDK)
	w.failsWith(err, failure.ExitNetwork, "")
	w.counts(map[string]int{"token:refresh": 1})
	if w.readLogin().RefreshStarted.IsZero() {
		t.Error("an answer is lost, and the login is not marked")
	}

	cold := newWorld(t, sandbox.Options{})
	_, err = cold.provider().Credentials(in(cold, exchangeTime-time.Second), ForSDK)
	cold.failsWith(err, failure.ExitNetwork, "no time was left")
	cold.counts(map[string]int{"device": 0})
	if len(cold.shown) != 0 {
		t.Error("a code was shown that nobody would wait for")
	}
}

// The ID token that is cached serves until it is about to expire: a minute before,
// or the last tenth of a short life.
func TestServes(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(obtained, left time.Duration) *login {
		return &login{IDToken: keep(secret.New("a")), Obtained: now.Add(-obtained), Expires: now.Add(left)}
	}
	for _, c := range []struct {
		name     string
		login    *login
		rejected string
		want     bool
	}{
		{"none", nil, "", false},
		{"no ID token", &login{Obtained: now, Expires: now.Add(time.Hour)}, "", false},
		{"new", at(0, time.Hour), "", true},
		{"rejected by AWS", at(0, time.Hour), "a", false},
		{"another was rejected", at(0, time.Hour), "b", true},
		{"61 s left", at(time.Hour, 61*time.Second), "", true},
		{"60 s left", at(time.Hour, time.Minute), "", false},
		{"of a minute, 7 s left", at(53*time.Second, 7*time.Second), "", true},
		{"of a minute, 6 s left", at(54*time.Second, 6*time.Second), "", false},
		{"expired", at(time.Hour, 0), "", false},
		{"obtained in 5 minutes", at(-5*time.Minute, time.Hour), "", true},
		{"obtained in the future", at(-6*time.Minute, time.Hour), "", false},
	} {
		if got := c.login.serves(now, secret.New(c.rejected)); got != c.want {
			t.Errorf("%s: serves = %v", c.name, got)
		}
	}
}

// The store of an answer is not cut off by the end of the process's own time.
func TestStoreIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	before := w.readLogin()
	ctx, interrupt := context.WithCancel(t.Context())
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			interrupt()
		}
		return false
	})
	_, err := w.provider(func(p *Provider) { p.Store = cancellable{w.store} }).Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	if l := w.readLogin(); l.RefreshToken.Equal(before.RefreshToken.String) || l.IDToken.Equal(before.IDToken.String) {
		t.Error("the answer was not stored whole")
	}
}

// What is still good of a login that AWS calls expired, although the keyring did
// not take it, is not renewed with a spent token.
func TestExpiredTokenOfAnUnstoredRenewal(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	sets := 0
	_, _ = w.run(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			if call != "set login" {
				return works
			}
			if sets++; sets == 2 || sets == 3 {
				return fails
			}
			return works
		})
	})
	if w.box.Reused() != 0 {
		t.Error("a refresh token was sent twice")
	}
	w.clock.Advance(time.Second)
	w.mustRun()
}

// An ID token just obtained that AWS calls expired is not asked for once more.
func TestNewTokenThatAWSCallsExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{NoRefreshToken: true})
	for range 3 {
		w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	}
	_, err := w.run()
	w.failsWith(err, failure.ExitAWS, "AWS says that the ID token has expired, although it is new")
	w.counts(map[string]int{"device": 1, "sts": 1})
}

// A renewal while old credentials serve asks nobody and shows nothing.
func TestSilentRenewalAsksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	w.box.EndLogins()
	if c := w.mustRun(); c.AccessKeyID != first.AccessKeyID {
		t.Error("the old credentials were not served")
	}
	w.counts(map[string]int{"device": 1, "token:refresh": 1})
	if len(w.shown) != 1 {
		t.Error("a code was shown")
	}
}

// Ctrl-C during a renewal while old credentials serve is still Ctrl-C.
func TestInterruptWhileOldCredentialsServe(t *testing.T) {
	t.Parallel()
	for _, aside := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{IDTokenLife: 10 * time.Minute})
		w.mustRun()
		w.clock.Advance(50 * time.Minute)
		ctx, interrupt := context.WithCancel(t.Context())
		w.box.Intercept(func(http.ResponseWriter, *http.Request) bool { interrupt(); return false })
		_, err := w.provider(func(p *Provider) {
			if aside {
				p.Aside = func() (<-chan struct{}, error) { interrupt(); return nil, nil }
			}
		}).Credentials(ctx, ForSDK)
		w.failsWith(err, failure.ExitInterrupt, "interrupted")
	}
}

// What takes until the old credentials are over is no interruption.
func TestSlowSTSWhileOldCredentialsServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{IDTokenLife: time.Hour, Rotate: true})
	first := w.mustRun()
	w.clock.Advance(time.Hour - 62*time.Second)
	var asked atomic.Int32
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/sts") {
			asked.Add(1)
			w.clock.Advance(5 * time.Second)
			<-r.Context().Done()
		}
		return false
	})
	if c, err := w.run(); err != nil || c.AccessKeyID != first.AccessKeyID {
		t.Errorf("got %v, want the old credentials", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("STS was asked %d times, and the first had used up the time", n)
	}
}

// Where the folder's lock is held past the deadline, the open code is named.
func TestWaitingPastTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = nil
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	lock, err := w.provider().Locks.TryLock("role-" + roleKey(w.profile()))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = w.provider().Credentials(short, ForSDK)
	w.failsWith(err, failure.ExitLogin, "Code "+w.shown[0].code+" stays good until")
	w.clock.Advance(time.Hour) // the code is over
	short, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = w.provider().Credentials(short, ForSDK)
	w.failsWith(err, failure.ExitNetwork, "another daypass is still renewing profile dev after 50 s.")
	over, end := context.WithCancel(t.Context())
	end()
	_, err = w.provider().Credentials(over, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
}
