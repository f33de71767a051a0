package process

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// Another person's login that is stored counts from then on: killed right after,
// it leaves none of the first person's roles.
func TestKilledAfterAnotherPersonsLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 5 * time.Minute})
	w.mustRun()
	w.mustRun(longRole)
	w.clock.Advance(6 * time.Minute)
	w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
	untilKilled(func() {
		_, _ = w.provider(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == "set login" {
					return diesAfter
				}
				return works
			})
		}).Login(w.ctx(), false)
	})
	for _, change := range []func(*Provider){func(*Provider) {}, longRole} {
		if c := w.mustRun(change); !strings.Contains(c.AssumedRole, "hanako") {
			t.Errorf("hanako is served %s", c.AssumedRole)
		}
	}
}

// What AWS gives for the first person while another logs in is not kept, nor served.
func TestAnotherPersonsLoginWhileAWSIsAsked(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun()
		w.clock.Advance(2 * time.Hour)
		if refused {
			w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
		}
		w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
		w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/sts") {
				if _, err := w.provider().Login(w.ctx(), true); err != nil {
					t.Error(err)
				}
			}
			return false
		})
		_, err := w.run()
		w.failsWith(err, failure.ExitLogin, "removed or replaced")
		w.box.Intercept(nil)
		if _, err := w.provider().readRole(t.Context()); !notThere(err) {
			t.Errorf("refused %v: the first person's role is there (%v)", refused, err)
		}
		if c := w.mustRun(); !strings.Contains(c.AssumedRole, "hanako") {
			t.Errorf("hanako is served %s", c.AssumedRole)
		}
	}
}

// afterGet calls f after each read.
type afterGet struct {
	cache.Store
	f func()
}

func (s afterGet) Get(ctx context.Context, key string) ([]byte, error) {
	defer s.f()
	return s.Store.Get(ctx, key)
}

// While the same person's next login is verified, it stands under another id: a
// role that is stored in that moment is kept.
func TestRoleStoredWhileALoginIsVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	first := w.readLogin()
	role, err := w.provider().readRole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(20 * time.Minute)
	w.box.EndLogins() // so that the person has to come
	w.forgetDiscovery()
	stored := make(chan error, 1)
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			looked := make(chan struct{}, 10)
			go func() {
				p := w.provider(longRole)
				p.Store = afterGet{w.store, func() { looked <- struct{}{} }}
				stored <- p.storeRole(t.Context(), first, role)
			}()
			<-looked
		}
		return false
	})
	if _, err := w.provider().Login(w.ctx(), false); err != nil {
		t.Fatal(err)
	}
	if err := <-stored; err != nil {
		t.Error(err)
	}
	if _, err := w.provider(longRole).readRole(t.Context()); err != nil {
		t.Errorf("the role was dropped (%v)", err)
	}
}

// The login's own record names the roles that another person's login drops, should
// the index be lost.
func TestAnotherPersonAfterTheIndexIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	w.mustRun(longRole)
	w.clock.Advance(20 * time.Minute)
	w.mustRun() // renews the login, and so stores it
	if err := os.Remove(filepath.Join(w.dir, indexFile)); err != nil {
		t.Fatal(err)
	}
	w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
	if _, err := w.provider().Login(w.ctx(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.provider(longRole).readRole(t.Context()); !notThere(err) {
		t.Errorf("the first person's role is there (%v)", err)
	}
}

// A record that a renewal aside left without credentials is none to be served.
func TestAsideLeavesNoCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	_, err := w.run(func(p *Provider) {
		p.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
		p.Aside = func() (<-chan struct{}, error) {
			w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
			if _, err := w.provider().Login(w.ctx(), true); err != nil {
				t.Error(err)
			}
			w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
			if _, err := w.run(); err == nil {
				t.Error("AWS does not refuse hanako")
			}
			ended := make(chan struct{})
			close(ended)
			return ended, nil
		}
	})
	w.failsWith(err, failure.ExitLogin, "removed or replaced")
}
