package process

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// byHanako has another person answer the next codes.
func (w *world) byHanako() {
	w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
}

// servesHanako checks that every profile is served, and none as the first person.
func (w *world) servesHanako() {
	w.t.Helper()
	for _, change := range []func(*Pipeline){func(*Pipeline) {}, longRole} {
		if c := w.mustRun(change); !strings.Contains(c.AssumedRole, "hanako") {
			w.t.Errorf("hanako is served %s", c.AssumedRole)
		}
	}
}

// Killed at any call of the keyring, another person's login has replaced the first
// person's with all its roles, or has not begun to.
func TestKilledDuringAnotherPersonsLogin(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		w := newWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 5 * time.Minute})
		w.mustRun()
		w.mustRun(longRole)
		w.clock.Advance(6 * time.Minute)
		w.byHanako()
		f := w.faulty(func(i int, _ string) fault {
			if i == n {
				return diesAfter
			}
			return works
		})
		untilKilled(func() { _, _ = w.pipeline(f.with(w)).Login(w.ctx(), false) })
		if len(f.calls) < n {
			if n < 5 {
				t.Fatalf("only %v", f.calls)
			}
			return
		}
		l, _, err := w.pipeline().readLogin(t.Context())
		if err != nil {
			t.Fatalf("after call %d (%s): %v", n, f.calls[n-1], err)
		}
		if l.token().Subject == "sandbox|hanako" {
			w.answer = nil
			w.servesHanako()
			continue
		}
		if _, err := w.pipeline().readRole(t.Context()); err != nil && w.box.Count("token:device") < 2 {
			t.Errorf("after call %d (%s), nobody has answered and the role is gone: %v", n, f.calls[n-1], err)
		}
	}
}

// What AWS gives for the first person, or refuses them, while another logs in is
// not kept, nor served, nor told to the other, also if the time of the first person's
// process is over just then.
func TestAnotherPersonsLoginWhileAWSIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age           time.Duration
		refused, ends bool
	}{{50 * time.Minute, false, false}, {50 * time.Minute, true, false}, {2 * time.Hour, false, false}, {2 * time.Hour, true, false}, {2 * time.Hour, false, true}} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun()
		w.clock.Advance(c.age)
		if c.refused {
			w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
		}
		w.byHanako()
		ctx, end := context.WithCancel(t.Context())
		replaced := false
		w.during("/sts", func() { w.mustLogin(true); replaced = true })
		ring := w.at("get key", func() {
			if replaced && c.ends {
				end()
			}
		})
		_, err := w.pipeline(w.on(cancellable{ring})).Credentials(ctx, ForSDK)
		end()
		w.box.Intercept(nil)
		w.failsWith(err, failure.ExitLogin, "removed or replaced")
		if _, err := w.pipeline().readRole(t.Context()); !notThere(err) {
			t.Errorf("%+v: the first person's role is there (%v)", c, err)
		}
		w.servesHanako()
	}
}

// The key and the login are two items: a process that looks while another person's
// key is there and the first person's login still is takes them for neither.
func TestBetweenTheKeyAndTheLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(time.Minute)
	w.byHanako()
	var between func()
	f := w.faulty(func(_ int, call string) fault {
		if call == "set login" && w.box.Count("token:device") == 2 {
			between()
		}
		return works
	})
	served := make(chan Credentials, 1)
	looked := make(chan struct{})
	between = sync.OnceFunc(func() {
		go func() {
			c, _ := w.pipeline(longRole, func(p *Pipeline) {
				p.Waiting = func(ctx context.Context, _ func() *Open) { close(looked); <-ctx.Done() }
			}).Credentials(w.ctx(), ForSDK)
			served <- c
		}()
		select {
		case <-looked: // it waits for the login
		case c := <-served:
			served <- c
		}
	})
	if _, err := w.pipeline(f.with(w)).Login(w.ctx(), true); err != nil {
		t.Fatal(err)
	}
	if c := <-served; !strings.Contains(c.AssumedRole, "hanako") {
		t.Errorf("served as %q", c.AssumedRole)
	}
	w.servesHanako()
}

// The same person's next login keeps the key, and so the roles, also those that
// are stored while it is verified; an ID token that nobody can verify, or a login
// that is to start anew, keeps nothing.
func TestWhatANextLoginKeeps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		anew  bool
		set   func(*world)
		keeps bool
	}{
		{"the same person", false, func(*world) {}, true},
		{"the same person, anew", true, func(*world) {}, false},
		{"another person", false, (*world).byHanako, false},
	} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun()
		role := w.mustReadRole()
		w.clock.Advance(20 * time.Minute)
		w.box.EndLogins() // so that a person has to come
		w.forgetDiscovery()
		c.set(w)
		var stored error
		w.during("/keys", func() {
			stored = w.pipeline(longRole).storeRole(t.Context(), role)
		})
		w.mustLogin(c.anew)
		for _, change := range []func(*Pipeline){func(*Pipeline) {}, longRole} {
			if _, err := w.pipeline(change).readRole(t.Context()); (err == nil) != c.keeps {
				t.Errorf("%s: a role: %v", c.name, err)
			}
		}
		if (stored == nil) != c.keeps {
			t.Errorf("%s: stored while it was verified: %v", c.name, stored)
		}
	}
}

// However renewals, a logout and another person's login fall together: whoever
// asks after the logout or the login is never served as the first person.
func TestRenewalsDuringAChangeOfPerson(t *testing.T) {
	t.Parallel()
	for _, change := range []struct {
		name string
		do   func(*world) error
	}{
		{"logout", func(w *world) error { _, err := w.pipeline().Logout(w.t.Context()); return err }},
		{"another person's login", func(w *world) error { _, err := w.pipeline().Login(w.t.Context(), true); return err }},
		{"logout, then another person's login", func(w *world) error {
			if _, err := w.pipeline().Logout(w.t.Context()); err != nil {
				return err
			}
			_, err := w.pipeline().Login(w.t.Context(), false)
			return err
		}},
	} {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			// The change begins before, at, or after any request of the renewal.
			for round := range 36 {
				w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 40 * time.Minute})
				w.mustRun()
				w.mustRun(longRole)
				w.clock.Advance([]time.Duration{50 * time.Minute, 2 * time.Hour}[round%2])
				w.byHanako()
				begin := make(chan struct{})
				moment, begun := round/2%6, sync.OnceFunc(func() { close(begin) })
				requests := 0
				var mu sync.Mutex
				w.box.Intercept(func(http.ResponseWriter, *http.Request) bool {
					mu.Lock()
					defer mu.Unlock()
					if requests++; requests == moment {
						begun()
					}
					return false
				})
				if moment == 0 {
					begun()
				}
				var all sync.WaitGroup
				for _, profile := range []func(*Pipeline){func(*Pipeline) {}, longRole, longRole} {
					all.Go(func() { _, _ = w.pipeline(profile).Credentials(t.Context(), ForSDK) })
				}
				go func() { all.Wait(); begun() }()
				<-begin
				if err := change.do(w); err != nil {
					t.Error(err)
				}
				check := func() {
					for _, profile := range []func(*Pipeline){func(*Pipeline) {}, longRole} {
						c, err := w.pipeline(profile, nobody).Credentials(t.Context(), ForSDK)
						if err == nil && !strings.Contains(c.AssumedRole, "hanako") {
							t.Errorf("round %d: served %s", round, c.AssumedRole)
						}
					}
				}
				check() // beside renewals that are still under way
				all.Wait()
				check()
				if t.Failed() {
					return
				}
			}
		})
	}
}
