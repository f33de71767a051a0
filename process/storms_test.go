package process

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// storm runs n processes at once and returns how each failed; nil for those that
// got credentials. The clock stands still but for those who sleep.
func (w *world) storm(n int, change ...func(*Pipeline)) []error {
	ctx := w.ctx()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = w.pipeline(change...).Credentials(ctx, ForSDK) })
	}
	all.Wait()
	return errs
}

// Twenty-five processes that wait behind one that fails end with its failure: what
// it asked of the provider, of AWS and of the person is not asked again, nor is it
// by the next process, where somebody sits who did not answer.
func TestWaitersShareEveryFailure(t *testing.T) {
	renewal := sandbox.Options{Rotate: true, IDTokenLife: time.Hour}
	down := func(endpoint string) func(*world) {
		return func(w *world) { w.answerWith(endpoint, http.StatusServiceUnavailable, "down") }
	}
	loggedIn := func(then func(*world)) func(*world) {
		return func(w *world) {
			w.mustRun()
			w.clock.Advance(2 * time.Hour)
			then(w)
		}
	}
	nobody := func(w *world) { w.person = Person{} }
	for _, c := range []struct {
		name   string
		o      sandbox.Options
		set    func(*world)
		exit   int
		first  string
		counts map[string]int // in all
		tabs   int
	}{
		{"code refused", sandbox.Options{}, func(w *world) { w.answer = func(code string) { _ = w.box.Deny(code) } },
			failure.ExitRefused, "was refused", map[string]int{"device": 1, "token:device": 1}, 1},
		{"code ran out", sandbox.Options{CodeLife: 20 * time.Second}, func(w *world) { w.answer = nil },
			failure.ExitLogin, "ran out", map[string]int{"device": 1}, 1},
		{"nobody answers", sandbox.Options{Interval: 5 * time.Second}, func(w *world) { w.answer = nil },
			failure.ExitLogin, "not approved within", map[string]int{"device": 1}, 1},
		{"no authorization", sandbox.Options{}, down("/device_authorization"),
			failure.ExitNetwork, "503", map[string]int{"device": 1}, 0},
		{"client refused", sandbox.Options{}, func(w *world) { w.answerWith("/device_authorization", 401, `{"error":"invalid_client"}`) },
			failure.ExitRefused, "does not accept client", map[string]int{"device": 1}, 0},
		{"provider down", renewal, loggedIn(down("/token")),
			failure.ExitNetwork, "does not answer as it should", map[string]int{"device": 1, "token:refresh": 2}, 1},
		{"refresh token refused", renewal, loggedIn(func(w *world) { nobody(w); w.box.EndLogins() }),
			failure.ExitLogin, "", map[string]int{"device": 1, "token:refresh": 1}, 1},
		{"a person wanted", renewal, loggedIn(func(w *world) { nobody(w); w.answerRefresh(400, `{"error":"interaction_required"}`) }),
			failure.ExitLogin, "has ended (", map[string]int{"device": 1, "token:refresh": 1}, 1},
		{"client not accepted any more", renewal, loggedIn(func(w *world) { w.answerRefresh(400, `{"error":"unauthorized_client"}`) }),
			failure.ExitRefused, "refused to renew the login", map[string]int{"device": 1, "token:refresh": 1}, 1},
		{"ID token of no use", renewal, loggedIn(func(w *world) { w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" }) }),
			failure.ExitRefused, "cannot be used", map[string]int{"device": 1, "token:refresh": 1}, 1},
		{"no ID token", renewal, loggedIn(func(w *world) { nobody(w); w.box.Set(func(o *sandbox.Options) { o.NoIDTokenOnRefresh = true }) }),
			failure.ExitLogin, "without a new ID token", map[string]int{"device": 1, "token:refresh": 1}, 1},
		{"role denied", sandbox.Options{}, loggedIn(func(w *world) { _ = w.box.Trust(w.box.RoleARN, trustsNobody) }),
			failure.ExitAWS, "AWS refused role", map[string]int{"device": 1, "sts": 2}, 1},
		{"role denied to another person", sandbox.Options{NoRefreshToken: true, IDTokenLife: 10 * time.Minute}, loggedIn(func(w *world) {
			w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
			_ = w.box.Trust(w.box.RoleARN, trustsNobody)
		}), failure.ExitAWS, "AWS refused role", map[string]int{"device": 2, "sts": 2}, 2},
		{"answer of STS empty", sandbox.Options{}, loggedIn(func(w *world) { w.answerWith("/sts", 200, "") }),
			failure.ExitNetwork, "the answer of STS cannot be used", map[string]int{"device": 1, "sts": 2}, 1},
		{"STS down", sandbox.Options{}, loggedIn(down("/sts")),
			failure.ExitNetwork, "", map[string]int{"device": 1, "sts": 1 + stsTries}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.o)
			c.set(w)
			for _, err := range w.storm(25) {
				w.failsWith(err, c.exit, c.first)
			}
			w.counts(c.counts)
			if w.tabs() != c.tabs {
				t.Errorf("%d tabs, want %d", w.tabs(), c.tabs)
			}
		})
	}
}

// Two roles whose login must be renewed: the second finds it renewed under the
// lock, and does not send the refresh token again. Then they do not wait for each
// other: STS sees both requests before it has answered the first.
func TestTwoRolesRenewTheLoginOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	w.mustRun(longRole)
	w.clock.Advance(2 * time.Hour)
	lock := w.lock(w.pipeline().loginLock())
	waiting := make(chan struct{}, 2)
	watched := func(p *Pipeline) {
		p.Waiting = func(ctx context.Context, _ func() *Open) {
			waiting <- struct{}{}
			<-ctx.Done()
		}
	}
	var all sync.WaitGroup
	for _, change := range []func(*Pipeline){func(*Pipeline) {}, longRole} {
		all.Go(func() {
			if _, err := w.pipeline(change, watched).Credentials(t.Context(), ForSDK); err != nil {
				t.Error(err)
			}
		})
	}
	<-waiting
	<-waiting // both have looked at the records, and wait for the login
	var asked atomic.Int32
	both := make(chan struct{})
	w.during("/sts", func() {
		if asked.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
		case <-time.After(10 * time.Second):
			t.Error("a role waits for the other's answer")
		}
	})
	lock.Unlock()
	all.Wait()
	w.counts(map[string]int{"token:refresh": 1, "sts": 4})
}

// Two logins that are typed at once: one code, one login.
func TestTwoLoginsAtOnce(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		ctx := w.ctx()
		logins := make([]LoggedIn, 2)
		var all sync.WaitGroup
		for i := range logins {
			all.Go(func() {
				var err error
				if logins[i], err = w.pipeline().Login(ctx, anew); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.counts(map[string]int{"device": 1, "token:device": 1, "token:refresh": 0})
		if logins[0] != logins[1] || logins[0].Kept {
			t.Errorf("%+v and %+v", logins[0], logins[1])
		}
	}
}

// Warm callers at once, while old credentials serve: one of them renews, and all
// are served; one line tells the terminal, once an outage.
func TestWarmStorm(t *testing.T) {
	t.Parallel()
	for _, up := range []bool{true, false} {
		w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 20 * time.Minute})
		w.mustRun()
		w.clock.Advance(50 * time.Minute)
		if !up {
			w.answerWith("/token", http.StatusServiceUnavailable, "down")
		}
		for range 3 {
			for _, err := range w.storm(25) {
				if err != nil {
					t.Error(err)
				}
			}
		}
		if up {
			w.counts(map[string]int{"device": 1, "token:refresh": 1, "sts": 2})
			if len(w.told) != 0 {
				t.Errorf("told %q", w.told)
			}
			continue
		}
		asked := w.box.Count("token:refresh")
		for range 3 { // the pause over, it is tried again, and not told again
			w.clock.Advance(renewalPause)
			w.mustRun()
		}
		if again := w.box.Count("token:refresh"); asked != 2 || again != 8 {
			t.Errorf("%d requests to renew in the first outage, %d after three more tries", asked, again)
		}
		if len(w.told) != 1 || !strings.Contains(w.told[0], "The old credentials serve until ") {
			t.Errorf("told %q", w.told)
		}
	}
}

// While old credentials serve, nobody is told what is waited for.
func TestSilentRenewalIsNotAnnounced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	lock := w.lock(w.pipeline().loginLock())
	time.AfterFunc(100*time.Millisecond, lock.Unlock)
	c := w.mustRun(func(p *Pipeline) {
		p.Waiting = func(context.Context, func() *Open) { t.Error("a line on the terminal") }
	})
	if c.AccessKeyID == first.AccessKeyID {
		t.Error("it did not wait")
	}
}
