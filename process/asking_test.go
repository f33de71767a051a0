package process

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// slowDown has the provider answer the next polls with slow_down.
func (w *world) slowDown(times *int) {
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") || *times == 0 {
			return false
		}
		*times--
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"error":"slow_down"}`))
		return true
	})
}

// Ctrl-C while a code is open ends with 130, and the code stays open.
func TestInterruptWhilePolling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = nil
	ctx, interrupt := context.WithCancel(t.Context())
	_, err := w.provider(func(p *Provider) {
		p.Sleep = func(ctx context.Context, d time.Duration) error { interrupt(); return ctx.Err() }
	}).Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.answer = w.approve
	w.mustRun()
	w.counts(map[string]int{"device": 1})
	if w.tabs() != 1 {
		t.Errorf("%d tabs", w.tabs())
	}
}

// A code that cannot be shown is no reason for another: it stays open. With a tab
// open the wait is not in vain.
func TestCodeThatCannotBeShown(t *testing.T) {
	t.Parallel()
	gone := func(w *world) func(*Provider) {
		return func(p *Provider) {
			p.Show = func(a deviceflow.Authorization, openTab bool) (func(), error) {
				w.shown = append(w.shown, shown{a.UserCode, openTab})
				if openTab {
					w.approve(a.UserCode)
				}
				return func() {}, errors.New("the terminal is gone")
			}
		}
	}
	w := newWorld(t, sandbox.Options{})
	w.person = Person{Terminal: true}
	for range 3 {
		_, err := w.run(gone(w))
		w.failsWith(err, failure.ExitUnexpected, "cannot be shown: the terminal is gone.")
		w.clock.Advance(time.Second)
	}
	w.counts(map[string]int{"device": 1, "token:device": 0})

	w = newWorld(t, sandbox.Options{})
	w.mustRun(gone(w))
}

// A code that was approved while the keyring was away is used up: that is no empty
// chair, and the next process asks anew.
func TestSpentCodeIsNoEmptyChair(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.person = Person{Browser: true}
	w.answer = func(code string) { _ = w.box.Approve(code, "taro") }
	untilKilled(func() {
		_, _ = w.run(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == "set login" {
					return dies
				}
				return works
			})
		})
	})
	w.clock.Advance(time.Minute)
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "was used already, and its login was lost.")
	w.mustRun()
	w.counts(map[string]int{"device": 2})
}

// A login that came although its attempt was never cleared leaves nothing behind
// that keeps a later one from a tab.
func TestRenewalClearsTheAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	sets := 0
	untilKilled(func() {
		_, _ = w.run(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == "set login" {
					if sets++; sets == 2 {
						return dies
					}
				}
				return works
			})
		})
	})
	nobody := func(p *Provider) { p.Person = nil }
	w.mustRun(nobody)
	if a, err := w.provider().readAttempt(t.Context()); err != nil || a.Open != nil || a.Codes != 0 {
		t.Errorf("a login stands, and its attempt is %+v (%v)", a, err)
	}
	w.box.EndLogins()
	w.clock.Advance(12 * time.Hour)
	w.person = Person{Browser: true}
	w.mustRun()
	if w.tabs() != 2 {
		t.Errorf("%d tabs, want one for each login", w.tabs())
	}
}

// A provider that is away while a code is open is what is said, and not that the
// person did not answer.
func TestProviderAwayWhilePolling(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*world){
		"down":    func(w *world) { w.answerWith("/token", http.StatusServiceUnavailable, "down") },
		"dropped": func(w *world) { w.drop("/token", false, -1) },
	} {
		w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
		w.answer = func(string) { breakIt(w) }
		_, err := w.run()
		if name == "dropped" {
			w.failsWith(err, failure.ExitNetwork, "127.0.0.1")
		} else if err == nil {
			t.Errorf("%s: no failure", name)
		}
		w.box.Intercept(nil)
		w.answer = w.approve
		w.mustRun()
		w.counts(map[string]int{"device": 1})
	}
}

// A person without a browser gets text, one without a terminal a tab, and a login
// that nobody can be shown starts nothing and says why.
func TestWhoIsAskedWhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		person Person
		shown  int
		tabs   int
	}{
		{Person{Terminal: true}, 1, 0},
		{Person{Browser: true}, 1, 1},
		{Person{Terminal: true, Browser: true}, 1, 1},
	} {
		w := newWorld(t, sandbox.Options{})
		w.person = c.person
		w.mustRun()
		if len(w.shown) != c.shown || w.tabs() != c.tabs {
			t.Errorf("%+v: shown %v", c.person, w.shown)
		}
	}
	w := newWorld(t, sandbox.Options{})
	w.person = Person{Why: "DAYPASS_PROMPT says never"}
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login, and DAYPASS_PROMPT says never.")
	// After a login that ended, that is what is said.
	w = dueWorld(t, sandbox.Options{})
	w.box.EndLogins()
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "has ended (invalid_grant)")
}

// Nobody has to have done anything wrong for a login to start anew: a provider
// that gives no refresh token needs a person each time.
func TestWithoutARefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 10 * time.Minute})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.person = Person{}
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login")
	if s := w.provider().Status(t.Context()); !s.NeedsPerson || s.Login == nil || s.Login.Renews {
		t.Errorf("%+v", s)
	}
	w.person = Person{Terminal: true, Browser: true}
	w.mustRun()
	w.counts(map[string]int{"device": 2, "token:refresh": 0})
}

// Ctrl-C while the ID token of a login is verified does not cost the login: there
// is no second answer to a code.
func TestInterruptWhileVerifying(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{NoRefreshToken: true})
	ctx, interrupt := context.WithCancel(t.Context())
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			interrupt()
		}
		return false
	})
	_, err := w.provider().Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.mustRun()
	w.counts(map[string]int{"device": 1, "token:device": 1})
}

// Whoever logs in next, typed or not, has none of the first person's roles; and
// login --force drops one's own.
func TestWhoseRolesAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		person string
		anew   bool
		kept   bool
	}{{"taro", false, true}, {"taro", true, false}, {"hanako", false, false}, {"hanako", true, false}} {
		w := newWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 5 * time.Minute})
		w.mustRun()
		w.clock.Advance(6 * time.Minute)
		w.answer = func(code string) { _ = w.box.Approve(code, c.person) }
		if _, err := w.provider().Login(w.ctx(), c.anew); err != nil {
			t.Fatal(err)
		}
		if _, err := w.provider().readRole(t.Context()); (err == nil) != c.kept {
			t.Errorf("%s, --force %v: role kept: %v, want %v", c.person, c.anew, err == nil, c.kept)
		}
	}
}

// Whose login it is that could not be verified at first, is known only when it
// renews: by then at the latest the first person's roles go.
func TestUnverifiedLoginDropsRolesWhenItIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(longRole)
	w.clock.Advance(time.Second)
	w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" })
	w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
	_, err := w.provider().Login(w.ctx(), true)
	w.failsWith(err, failure.ExitRefused, "cannot be used")
	w.box.Set(func(o *sandbox.Options) { o.Algorithm = "" })
	if _, err := w.provider().Login(w.ctx(), false); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Provider){func(*Provider) {}, longRole} {
		if _, err := w.provider(change).readRole(t.Context()); !notThere(err) {
			t.Errorf("the first person's role is there (%v)", err)
		}
	}
	w.counts(map[string]int{"device": 2, "token:refresh": 1})
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
			_, err := w.provider().Credentials(deadline{ctx, w.clock.Now().Add(c.left)}, ForSDK)
			w.failsWith(err, c.exit, "")
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
				_, err := w.run()
				w.failsWith(err, failure.ExitNetwork, "cannot renew")
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

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A code that ran out is that, whatever kept the last poll from its answer, and
// whoever's clock it ran out by: nobody is asked again by a tab.
func TestCodeThatRanOut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *Provider){
		"by our clock, with the provider silent": func(w *world, p *Provider) {
			w.box.Set(func(o *sandbox.Options) { o.CodeLife = 20 * time.Second })
			flow, err := p.flow()
			if err != nil {
				t.Fatal(err)
			}
			network := flow.Transport
			flow.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/token") {
					return nil, context.DeadlineExceeded
				}
				return network.RoundTrip(r)
			})
		},
		"by the provider's": func(w *world, _ *Provider) { w.answerWith("/token", 400, `{"error":"expired_token"}`) },
	} {
		w := newWorld(t, sandbox.Options{})
		w.person, w.answer = Person{Browser: true}, func(string) {}
		_, err := w.run(func(p *Provider) { change(w, p) })
		w.failsWith(err, failure.ExitLogin, "ran out")
		w.box.Intercept(nil)
		w.clock.Advance(time.Minute)
		_, err = w.run()
		w.failsWith(err, failure.ExitLogin, "nobody answered the login of")
		if w.tabs() != 1 {
			t.Errorf("%s: %d tabs", name, w.tabs())
		}
	}
}

// An exchange does not begin for a process that has been told to end; nor is one
// said to have begun.
func TestInterruptBeforeAnExchange(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"get attempt", "set login"} {
		w := dueWorld(t, sandbox.Options{})
		ctx, interrupt := context.WithCancel(t.Context())
		_, err := w.provider(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == moment {
					interrupt()
				}
				return works
			})
		}).Credentials(ctx, ForSDK)
		w.failsWith(err, failure.ExitInterrupt, "interrupted")
		w.counts(map[string]int{"token:refresh": 0})
		if moment == "get attempt" && !w.readLogin().RefreshStarted.IsZero() {
			t.Error("the login was marked")
		}
	}
}
