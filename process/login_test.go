package process

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

func TestLoginKeepsWhatRenews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	in, err := w.pipeline().Login(t.Context(), false)
	if err != nil || in.Kept || !in.Renews || in.Who == "" {
		t.Fatalf("first login: %+v, %v", in, err)
	}
	w.clock.Advance(time.Minute)
	in, err = w.pipeline().Login(t.Context(), false)
	if err != nil || !in.Kept || len(w.shown) != 1 {
		t.Errorf("second login: %+v, %v, shown %d times", in, err, len(w.shown))
	}
	w.counts(map[string]int{"token:refresh": 1}) // that it renews was proven, not assumed
	w.clock.Advance(time.Minute)
	in, err = w.pipeline().Login(t.Context(), true)
	if err != nil || in.Kept || len(w.shown) != 2 {
		t.Errorf("forced login: %+v, %v, shown %d times", in, err, len(w.shown))
	}
}

// A login that daypass login cannot renew for a definite reason is not a dead end:
// the person who is there gets a code.
func TestLoginIsNotADeadEnd(t *testing.T) {
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
		w.mustLogin(false)
		w.counts(map[string]int{"device": 2})
		w.mustRun()
	}
}

// A first login whose ID token cannot be used keeps its refresh token, whether the
// provider rotates or not; once the provider is repaired, no person is needed. Only
// then is it known whose login it is, so it gets a new key with its name.
func TestUnverifiedLoginKeepsItsRefreshToken(t *testing.T) {
	t.Parallel()
	for _, rotate := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{Rotate: rotate, Algorithm: "HS256"})
		w.fails(failure.ExitRefused, "cannot be used")
		unverified := w.readLogin()
		if unverified.RefreshToken.Empty() || !unverified.IDToken.Empty() || unverified.token().Subject != "" {
			t.Errorf("rotate %v: refresh token kept: %v, bad ID token dropped: %v", rotate, !unverified.RefreshToken.Empty(), unverified.IDToken.Empty())
		}
		w.person = Person{}
		for range 3 { // the provider is left alone
			w.fails(failure.ExitRefused, "cannot be used")
		}
		w.counts(map[string]int{"token:refresh": 0})
		w.clock.Advance(renewalPause)
		_, err := w.run() // a renewal brings no better token, and leaves no mark
		w.failsWith(err, failure.ExitRefused, "cannot be used")
		if l := w.readLogin(); l.RefreshToken.Empty() || !l.RefreshStarted.IsZero() {
			t.Errorf("rotate %v: after a renewal: refresh token kept: %v, mark %v", rotate, !l.RefreshToken.Empty(), l.RefreshStarted)
		}
		w.box.Set(func(o *sandbox.Options) { o.Algorithm = "" })
		w.clock.Advance(renewalPause)
		first := w.mustRun()
		if l := w.readLogin(); l.token().Subject == "" || l.key.Equal(unverified.key.String) {
			t.Errorf("rotate %v: the login is %q's, with the key of nobody's: %v", rotate, l.token().Subject, l.key.Equal(unverified.key.String))
		}
		if again := w.mustRun(); again.AccessKeyID != first.AccessKeyID {
			t.Errorf("rotate %v: the credentials are not under the new key", rotate)
		}
		w.counts(map[string]int{"device": 1, "token:refresh": 2})
		if w.box.Reused() != 0 {
			t.Errorf("rotate %v: a refresh token was sent twice", rotate)
		}
	}
}

// Whoever an unverified login said it was may be somebody else. If the new key that
// this needs cannot be stored, the login is not stored as verified either: the old key
// opens the first person's roles.
func TestVerifiedLoginWithoutANewKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	w.mustRun()
	w.clock.Advance(20 * time.Minute)
	w.box.EndLogins()
	w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" })
	_, err := w.pipeline().Login(w.ctx(), false)
	w.failsWith(err, failure.ExitRefused, "cannot be used")
	w.box.Set(func(o *sandbox.Options) { o.Algorithm, o.Claims = "", map[string]any{"sub": "somebody-else"} })
	w.clock.Advance(renewalPause)
	w.mustRun(longRole, w.failing("set key").with(w))
	if l := w.readLogin(); l.token().Subject != "" || l.RefreshToken.Empty() {
		t.Errorf("stored as %q's, refresh token kept: %v", l.token().Subject, !l.RefreshToken.Empty())
	}
	w.mustRun(longRole)
	if _, err := w.pipeline().readRole(t.Context()); !notThere(err) || w.readLogin().token().Subject != "somebody-else" {
		t.Errorf("the first person's role is there (%v)", err)
	}
	w.counts(map[string]int{"device": 2})
}

// The signing keys being away for a moment costs no login: neither one with a
// refresh token nor one without.
func TestKeysAwayForAMoment(t *testing.T) {
	t.Parallel()
	for _, noRefresh := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{NoRefreshToken: noRefresh})
		w.drop("/keys", false, 1)
		w.mustRun()
		w.counts(map[string]int{"device": 1, "keys": 2})
	}
	// If they stay away, the person who has approved is not asked again at once.
	w := newWorld(t, sandbox.Options{NoRefreshToken: true})
	w.person = Person{Browser: true}
	for range 3 {
		w.fails(failure.ExitNetwork, "cannot reach 127.0.0.1", w.onTheWay(func(r *http.Request) error {
			if strings.HasSuffix(r.URL.Path, "/keys") {
				return context.DeadlineExceeded
			}
			return nil
		}))
	}
	w.counts(map[string]int{"device": 1})
}

// The ID token that is cached serves until it is about to expire: a minute before,
// or the last tenth of a short life.
func TestServes(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(obtained, left time.Duration) *login {
		return &login{IDToken: secret.Keep(secret.New("a")), Obtained: now.Add(-obtained), Expires: now.Add(left)}
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
		{"expired as it came", at(0, -time.Minute), "", true},
		{"obtained in 5 minutes", at(-5*time.Minute, time.Hour), "", true},
		{"obtained in the future", at(-6*time.Minute, time.Hour), "", false},
	} {
		if got := c.login.serves(now, now, secret.New(c.rejected)); got != c.want {
			t.Errorf("%s: serves = %v", c.name, got)
		}
	}
}

// If a lock is held past the deadline, the open code is named.
func TestWaitingPastTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = nil
	w.fails(failure.ExitLogin, "not approved within")
	lock := w.lock(w.pipeline().roleLock())
	defer lock.Unlock()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w.failsIn(short, failure.ExitLogin, "Code "+w.shown[0].code+" stays good until")
	w.clock.Advance(time.Hour) // the code is over
	short, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w.failsIn(short, failure.ExitNetwork, "another daypass is still renewing profile dev after 50 s.")
	over, end := context.WithCancel(t.Context())
	end()
	w.failsIn(over, failure.ExitInterrupt, "interrupted")
}

// A folder that somebody else owns has advice of its own, whatever was done in it.
func TestFolderAdvice(t *testing.T) {
	t.Parallel()
	p := newWorld(t, sandbox.Options{}).pipeline()
	for want, cause := range map[string]error{
		`sudo chown -R 1000 "/home/taro/.local/state/daypass"`: &cache.ForeignError{Path: "/home/taro/.local/state/daypass", Owner: 0, Own: 1000},
		"yours, writable, and not full":                        syscall.EROFS,
	} {
		kept := &cache.UnreachableError{Where: "the state folder", Err: cause}
		for _, err := range []error{p.lockFailure(t.Context(), fmt.Errorf("lock: %w", cause)), p.folderFailure(kept), p.keyringFailure(t.Context(), kept)} {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "storage = file") {
				t.Errorf("%v: %v, want %q", cause, err, want)
			}
		}
	}
}

// A process that waited ends with the note that was written since it began to wait,
// and with no other; a person who typed login is not held up by it, and what a
// dialog of the keyring came to is not the provider's answer.
func TestNoteForThoseWhoWaited(t *testing.T) {
	t.Parallel()
	const line = "{host} said no."
	for _, c := range []struct {
		name   string
		at     time.Duration // since the process began
		exit   int
		shared bool
	}{
		{"before it began", -time.Second, failure.ExitRefused, false},
		{"as it began", 0, failure.ExitRefused, true},
		{"while it waited", time.Second, failure.ExitLogin, true},
		{"by a clock ahead", 3 * time.Second, failure.ExitRefused, false},
		{"of the keyring", time.Second, failure.ExitKeyring, false},
	} {
		w := newWorld(t, sandbox.Options{})
		started := w.clock.Now()
		p := w.pipeline()
		// Nobody answered, so that the pause after a fault plays no part.
		p.putNote(loginNote, note{At: started.Add(c.at), Exit: c.exit, Lines: []string{line}, Asked: true})
		w.clock.Advance(time.Second)
		_, err := p.idToken(w.ctx(), started, asking, secret.String{})
		if !c.shared && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.shared {
			w.failsWith(p.Fill(err), c.exit, "127.0.0.1")
			w.counts(map[string]int{"device": 0})
			if _, err := p.idToken(w.ctx(), started, loggingIn, secret.String{}); err != nil {
				t.Errorf("%s: daypass login: %v", c.name, err)
			}
		}
		if n := p.readNote(loginNote); n.Exit != 0 || n.Asked || n.Codes != 0 {
			t.Errorf("%s: a login is stored, and its note is %+v", c.name, n)
		}
	}
}

// The provider is left alone for 30 s after it failed, and for 30 s only; a person
// who typed login does not wait for that.
func TestFailureLeavesTheProviderAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, endpoint, body string
		status, exit         int
		first, count         string
		requests             int // of one process
	}{
		{"renewal", "/token", "<html>bad gateway</html>", http.StatusBadGateway, failure.ExitNetwork, "cannot renew", "token:refresh", 2},
		{"authorization", "/device_authorization", `{"error":"invalid_client"}`, http.StatusUnauthorized, failure.ExitRefused, "does not accept client", "device", 1},
		{"renewal after a code that ran out unseen", "/token", "down", http.StatusServiceUnavailable, failure.ExitNetwork, "cannot renew", "token:refresh", 2},
	} {
		w := newWorld(t, sandbox.Options{})
		if strings.HasPrefix(c.name, "renewal") {
			w = dueWorld(t, sandbox.Options{})
			w.person = Person{Terminal: true, Browser: true}
		}
		if strings.HasSuffix(c.name, "unseen") {
			w.answer = nil
			_, err := w.pipeline().Login(w.ctx(), true)
			w.failsWith(err, failure.ExitLogin, "not approved within")
			w.clock.Advance(time.Hour)
			w.answer = w.approve
		}
		shown, before := len(w.shown), w.box.Count(c.count)
		w.answerWith(c.endpoint, c.status, c.body)
		for range 10 { // in 27 s
			w.fails(c.exit, c.first)
			w.clock.Advance(3 * time.Second)
		}
		w.counts(map[string]int{c.count: before + c.requests})
		w.clock.Advance(time.Second)
		w.fails(c.exit, c.first)
		w.counts(map[string]int{c.count: before + 2*c.requests})
		if len(w.shown) != shown {
			t.Errorf("%s: a transient fault started a login", c.name)
		}
		w.box.Intercept(nil)
		w.mustLogin(false)
		if n := w.pipeline().readNote(loginNote); n.Exit != 0 || n.Codes != 0 {
			t.Errorf("%s: after a login, the note is %+v", c.name, n)
		}
	}
}
