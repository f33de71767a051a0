package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// Only a parsed invalid_grant ends a refresh token. After any other answer it is
// kept; the mark stays only where it is not known what became of the token: not where
// it was not sent, as while the provider is not there.
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
		{400, `{"error":"temporarily_unavailable"}`, failure.ExitNetwork, true, true, true, true},
		{400, `{"error":"interaction_required"}`, failure.ExitLogin, true, false, false, true},
		{200, `<html>log in to the network</html>`, failure.ExitNetwork, true, true, true, true},
		{0, "no connection", failure.ExitNetwork, true, false, true, true},
		{0, "no discovery", failure.ExitNetwork, true, false, true, true}, // it comes before the mark
	} {
		name := fmt.Sprint(c.status, " ", c.body)
		w := dueWorld(t, sandbox.Options{})
		before := w.readLogin()
		way := func(*Pipeline) {}
		switch c.body {
		case "no connection":
			way = w.onTheWay(func(*http.Request) error { return syscall.ECONNREFUSED })
		case "no discovery":
			w.forgetDiscovery()
			w.answerWith("/openid-configuration", http.StatusServiceUnavailable, "down")
		default:
			w.answerRefresh(c.status, c.body)
		}
		_, err := w.run(way)
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
		w.mustLogin(false)
		if renewed := w.box.Count("device") == 1; renewed != c.loginRenewed {
			t.Errorf("%s: daypass login went without a code: %v, want %v", name, renewed, c.loginRenewed)
		}
		if w.readLogin().NeedsPerson {
			t.Errorf("%s: a person is still wanted after daypass login", name)
		}
	}
}

// full is a keyring that takes nothing more.
type full struct {
	cache.Keyring
	err *cache.UnreachableError
}

func (f full) Set(context.Context, string, string, []byte) error { return f.err }

// Nothing is sent that could not be stored.
func TestNothingIsSentIfTheKeyringCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	for _, c := range []struct {
		err          cache.UnreachableError
		says, advice string
	}{
		{cache.UnreachableError{Where: "disk", Full: true, Err: syscall.ENOSPC}, "disk cannot store anything more: no space left on device.", "Free some space"},
		{cache.UnreachableError{Where: "kernel keyring", Err: syscall.EDQUOT}, "the login of corp does not fit into the kernel keyring: ", "kernel.keys.maxkeys"},
	} {
		err := w.fails(failure.ExitKeyring, c.says, w.on(full{w.ring, &c.err}))
		if f := failure.From(err); !strings.Contains(f.Lines[1], c.advice) {
			t.Errorf("said: %q", f.Lines)
		}
		w.clock.Advance(time.Minute)
	}
	w.counts(map[string]int{"token:refresh": 0})
	w.mustRun()
}

// A lost answer is asked for again, once, at once. So it is by a process that finds
// the mark of another, which may have died before it sent anything. A definite answer
// to that says nothing about the one that was lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		grace  time.Duration
		acted  bool
		marked bool
		busy   bool // the provider answers the second request with 429
		exit   int
		first  string
	}{
		{"lost on the way there", 0, false, false, false, 0, ""},
		{"lost on the way back, provider grants grace", 30 * time.Second, true, false, false, 0, ""},
		{"lost on the way back, no grace", 0, true, false, false, failure.ExitLogin, "has ended (invalid_grant)"},
		{"lost on the way back, then too many requests", 30 * time.Second, true, false, true, failure.ExitNetwork, "asks to wait"},
		{"another's mark, lost on the way back, provider grants grace", 30 * time.Second, true, true, false, 0, ""},
	} {
		w := dueWorld(t, sandbox.Options{ReuseGrace: c.grace})
		if c.marked {
			l := w.readLogin()
			l.RefreshStarted = w.clock.Now() // of a process that was killed then
			must(t, w.pipeline().putLogin(t.Context(), l))
		}
		w.drop("/token", c.acted, 1)
		_, err := w.run(w.onTheWay(func(r *http.Request) error {
			if c.busy && w.box.Count("token:refresh") == 1 {
				w.answerRefresh(http.StatusTooManyRequests, "")
			}
			return nil
		}))
		if c.exit != 0 {
			w.failsWith(err, c.exit, c.first)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		w.counts(map[string]int{"token:refresh": 2, "device": 1})
		if mark := !w.readLogin().RefreshStarted.IsZero(); mark != c.busy {
			t.Errorf("%s: the mark is there: %v", c.name, mark)
		}
	}
}

// A lost answer that this process cannot ask for again, because of Ctrl-C or for want
// of time, is asked for by the next one, at once: the grace for a used token is
// seconds with some providers, and the pause after a failure would outlast it.
func TestLostAnswerIsLeftToTheNextProcess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		left time.Duration // until the deadline
		exit int
	}{
		{"Ctrl-C", 50 * time.Second, failure.ExitInterrupt},
		{"no time", exchangeTime + time.Second, failure.ExitNetwork},
	} {
		// first loses the answer to its request.
		first := func(w *world) {
			t.Helper()
			ctx, interrupt := context.WithCancel(t.Context())
			w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/token") {
					return false
				}
				w.box.Serve(discard{http.Header{}}, r)
				w.clock.Advance(2 * time.Second)
				if c.exit == failure.ExitInterrupt {
					interrupt()
				}
				panic(http.ErrAbortHandler)
			})
			w.failsIn(sandbox.Deadline(ctx, w.clock.Now().Add(c.left)), c.exit, "")
			w.counts(map[string]int{"token:refresh": 1})
			w.box.Intercept(nil)
		}
		t.Run(c.name, func(t *testing.T) {
			w := dueWorld(t, sandbox.Options{ReuseGrace: 10 * time.Second})
			first(w)
			w.clock.Advance(time.Second)
			w.mustRun()
			w.counts(map[string]int{"token:refresh": 2, "device": 1})
			if !w.readLogin().RefreshStarted.IsZero() {
				t.Error("the mark stays after a renewal")
			}
		})
		// That is one request and its retry, and not one of each process: where these
		// answers are lost as well, the provider is left alone.
		t.Run(c.name+", and lost again", func(t *testing.T) {
			w := dueWorld(t, sandbox.Options{ReuseGrace: time.Hour})
			first(w)
			w.drop("/token", true, -1)
			for _, err := range w.storm(25) {
				w.failsWith(err, failure.ExitNetwork, "cannot renew")
			}
			for range 3 {
				w.clock.Advance(time.Second)
				w.fails(failure.ExitNetwork, "cannot renew")
			}
			w.counts(map[string]int{"token:refresh": 3})
			if w.readLogin().RefreshStarted.IsZero() {
				t.Error("an answer is lost, and the mark is gone")
			}
			w.box.Intercept(nil)
			w.clock.Advance(renewalPause)
			w.mustRun()
			w.counts(map[string]int{"token:refresh": 4, "device": 1})
		})
	}
}

// No exchange starts without the time to store its answer.
func TestNoExchangeWithoutTime(t *testing.T) {
	t.Parallel()
	in := func(w *world, left time.Duration) context.Context {
		return sandbox.Deadline(w.t.Context(), w.clock.Now().Add(left))
	}
	w := dueWorld(t, sandbox.Options{})
	w.failsIn(in(w, exchangeTime-time.Second), failure.ExitNetwork, "no time was left")
	if !w.readLogin().RefreshStarted.IsZero() {
		t.Error("the login was marked, and nothing sent")
	}
	// The mark can take long, too.
	_, err := w.pipeline(w.at("set login", func() {
		w.clock.Advance(45 * time.Second)
	}).with(w)).Credentials(in(w, 50*time.Second), ForSDK)
	w.failsWith(err, failure.ExitNetwork, "no time was left")
	w.counts(map[string]int{"token:refresh": 0})

	cold := newWorld(t, sandbox.Options{})
	_, err = cold.pipeline().Credentials(in(cold, exchangeTime-time.Second), ForSDK)
	if cold.failsWith(err, failure.ExitNetwork, "no time was left"); strings.Contains(err.Error(), "Your login is kept") {
		t.Errorf("nobody has logged in yet:\n%v", err)
	}
	cold.counts(map[string]int{"device": 0})
	if len(cold.shown) != 0 {
		t.Error("a code was shown that nobody would wait for")
	}
}

// A login that the keyring did not take is not renewed with its spent token when AWS
// calls its ID token expired.
func TestExpiredTokenOfAnUnstoredRenewal(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	sets := 0
	_, err := w.run(w.faulty(func(_ int, call string) fault {
		if call == "set login" {
			if sets++; sets > 1 {
				return fails
			}
		}
		return works
	}).with(w))
	w.failsWith(err, failure.ExitAWS, "AWS says that the ID token has expired, although it is new")
	w.counts(map[string]int{"token:refresh": 1})
}

// The connection to STS is opened while the provider is asked, and is the one that
// the request takes.
func TestConnectionToSTSIsOpenedAhead(t *testing.T) {
	t.Parallel()
	var w *world
	aws := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ParseForm() == nil {
			w.box.Serve(rw, r)
		}
	}))
	opened := make(chan struct{}, 10)
	aws.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened <- struct{}{}
		}
	}
	aws.Start()
	t.Cleanup(aws.Close)
	w = newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	there := func(p *Pipeline) { p.Profile.STSEndpoint = aws.URL + "/sts" }
	w.mustRun(there)
	<-opened
	w.clock.Advance(2 * time.Hour)
	ahead := false
	w.during("/token", func() {
		select {
		case <-opened:
			ahead = true
		case <-time.After(10 * time.Second):
		}
	})
	w.mustRun(there)
	if !ahead || len(opened) != 0 {
		t.Errorf("opened before the answer of the provider: %v; %d more were opened", ahead, len(opened))
	}

	// If it cannot be opened, the request says why, and the answer of the provider is kept.
	w.clock.Advance(2 * time.Hour)
	before := w.readLogin()
	aws.Close()
	w.box.Intercept(nil)
	_, err := w.run(there)
	w.failsWith(err, failure.ExitNetwork, "cannot reach AWS STS at "+aws.URL+"/sts: ")
	if l := w.readLogin(); l.RefreshToken.Equal(before.RefreshToken.String) || !l.RefreshStarted.IsZero() {
		t.Error("the answer was not stored")
	}
}
