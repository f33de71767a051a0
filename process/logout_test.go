package process

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// longRole is a second profile of the same login.
func longRole(p *Pipeline) { p.Profile.Name, p.Profile.Duration = "long", 30*time.Minute }

// nothing makes p a process without a configuration.
func nothing(p *Pipeline) {
	p.Profile.IDP.Name, p.Profile.IDP.Issuer, p.Profile.IDP.ClientID = "", "", ""
}

// servesNobody checks that no profile gets credentials without a new login, and
// that nothing of the login is kept.
func (w *world) servesNobody() {
	w.t.Helper()
	w.person = Person{}
	for _, change := range []func(*Pipeline){func(*Pipeline) {}, longRole} {
		if c, err := w.run(change); err == nil {
			w.t.Errorf("%s is served after the logout", c.AssumedRole)
		}
		if _, err := w.pipeline(change).readRole(w.t.Context()); !notThere(err) {
			w.t.Errorf("a role is there after the logout (%v)", err)
		}
	}
	if items, _ := w.ring.List(w.t.Context()); len(items) != 0 {
		w.t.Errorf("the keyring has %q after the logout", items)
	}
}

// A login whose place file is damaged is still in a keyring, where only logout --all
// finds it, if it reaches all of them.
func TestLogoutWithADamagedPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	must(t, cache.WriteFile(w.kept(w.profile()).Dir(), "place.json", nil))
	_, err := w.pipeline().Logout(t.Context())
	w.failsWith(err, failure.ExitKeyring, "where the login of corp is kept cannot be told: the file ")
	ring := w.ring
	ctx, interrupt := context.WithCancel(t.Context())
	w.ring = searched{away{ring}, interrupt}
	_, err = w.pipeline(nothing).LogoutAll(ctx)
	w.failsWith(err, failure.ExitInterrupt, "interrupted.")
	w.ring = away{ring}
	outs, err := w.pipeline(nothing).LogoutAll(t.Context())
	w.failsWith(err, failure.ExitKeyring, "where the login of an earlier setup is kept cannot be told: the file ")
	if keys, err := w.storages().Logins(); err != nil || len(keys) != 1 || len(outs) != 0 {
		t.Errorf("%q are known, and %+v ended, %v", keys, outs, err)
	}
	w.ring = ring
	w.counts(map[string]int{"revoke": 0})
	if outs, err := w.pipeline().LogoutAll(t.Context()); err != nil || len(outs) != 1 || !outs[0].Revoked {
		t.Errorf("logout --all: %+v, %v", outs, err)
	}
	w.servesNobody()
}

// A logout while AWS is asked wins, whatever AWS answers and however long the old
// credentials are still good: nothing brings them back.
func TestLogoutWhileAWSIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		age     time.Duration
		fresh   Fresh
		refused bool
	}{
		{"old credentials over", 2 * time.Hour, ForSDK, false},
		{"old credentials over, refused", 2 * time.Hour, ForSDK, true},
		{"old credentials serve", 50 * time.Minute, ForSDK, false},
		{"old credentials serve, refused", 50 * time.Minute, ForSDK, true},
		{"fresh for an SDK and not for a session", 20 * time.Minute, ForSession, false},
		{"fresh for an SDK and not for a session, refused", 20 * time.Minute, ForSession, true},
	} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun()
		w.clock.Advance(c.age)
		if c.refused {
			w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
		}
		w.during("/sts", w.mustLogout)
		if _, err := w.pipeline().Credentials(w.ctx(), c.fresh); err == nil {
			t.Errorf("%s: credentials of a login that is gone", c.name)
		}
		w.box.Intercept(nil)
		w.servesNobody()
	}
}

// Whatever a logout cannot delete is named, nothing is forgotten, and the next
// logout deletes it.
func TestLogoutThatCannotDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(longRole)
	ring := w.ring
	for _, broken := range []string{"get login", "remove login", "remove key"} {
		w.ring = w.failing(broken)
		_, err := w.pipeline().Logout(t.Context())
		w.failsWith(err, failure.ExitKeyring, "the login of corp is in the disk, which this session cannot reach (input/output error).")
		w.ring = ring
		if keys, err := w.storages().Logins(); err != nil || len(keys) != 1 {
			t.Errorf("%s failed, and the login is forgotten (%v)", broken, err)
		}
	}
	// Nor can it reach a storage of which this daypass knows nothing, or any of them.
	place := filepath.Join(w.kept(w.profile()).Dir(), "place.json")
	written, err := os.ReadFile(place)
	must(t, err)
	must(t, os.WriteFile(place, bytes.Replace(written, []byte(`"memory"`), []byte(`"cloud"`), 1), 0o600))
	_, err = w.pipeline().Logout(t.Context())
	w.failsWith(err, failure.ExitKeyring, "the login of corp is in the cloud, which this session cannot reach (this system does not have it).")
	must(t, os.WriteFile(place, written, 0o600))
	dir := w.dir
	w.dir = place // a file
	_, err = w.pipeline().LogoutAll(t.Context())
	w.failsWith(err, failure.ExitKeyring, "the files of the login of an earlier setup cannot be read or stored: ")
	w.dir = dir
	w.mustLogout()
	w.servesNobody()
}

// A logout waits for the login's lock, and deletes nothing without it.
func TestLogoutWaitsForTheLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	lock := w.lock(w.pipeline().loginLock())
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.pipeline().Logout(short)
	w.failsWith(err, failure.ExitNetwork, "another daypass still holds the login")
	over, end := context.WithCancel(t.Context())
	end()
	_, err = w.pipeline().Logout(over)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.counts(map[string]int{"revoke": 0})
	lock.Unlock()
	w.during("", func() {
		if lock, err := w.pipeline().Locks.TryLock(w.pipeline().loginLock()); err == nil {
			lock.Unlock()
			t.Error("the login's lock is free during a request")
		}
	})
	if out, err := w.pipeline().Logout(t.Context()); err != nil || !out.Revoked {
		t.Errorf("%+v, %v", out, err)
	}
}

// away is a keyring that cannot be reached.
type away struct{ cache.Keyring }

func (a away) err() error { return &cache.UnreachableError{Where: a.Name(), Err: errors.New("no bus")} }

func (a away) Get(context.Context, string) ([]byte, error)       { return nil, a.err() }
func (a away) Set(context.Context, string, string, []byte) error { return a.err() }
func (a away) Remove(context.Context, string) error              { return a.err() }
func (a away) List(context.Context) ([]string, error)            { return nil, a.err() }
func (a away) Unlock(context.Context, ...string) error           { return a.err() }
func (a away) CanAsk() bool                                      { return false }

// searched is one that somebody interrupts while it is searched.
type searched struct {
	away
	interrupt func()
}

func (s searched) List(ctx context.Context) ([]string, error) {
	s.interrupt()
	return s.away.List(ctx)
}

// moved is a world whose login was in one storage, then in another, and is now in
// files, each with a refresh token of its own.
func moved(t *testing.T) (w *world, rings []cache.Keyring) {
	w = newWorld(t, sandbox.Options{Rotate: true})
	rings = []cache.Keyring{newMemory("first"), newMemory("kernel")}
	w.ring = rings[0]
	w.mustRun()
	w.rings, w.ring = []cache.Keyring{away{rings[0]}, rings[1]}, nil
	w.clock.Advance(time.Minute)
	w.storage = "kernel" // which the second stands for
	w.mustRun()
	w.clock.Advance(time.Minute)
	w.storage = "file"
	w.mustRun()
	w.rings = rings
	return w, rings
}

// A login that has moved twice is in three places: a logout ends it in all of them,
// and in none if one cannot be reached.
func TestLogoutInEveryPlace(t *testing.T) {
	t.Parallel()
	for _, unreachable := range []int{0, 1} {
		w, rings := moved(t)
		w.counts(map[string]int{"device": 3})
		w.rings = slices.Clone(rings)
		w.rings[unreachable] = away{rings[unreachable]}
		for _, all := range []bool{false, true} {
			var err error
			if all {
				_, err = w.pipeline().LogoutAll(t.Context())
			} else {
				_, err = w.pipeline().Logout(t.Context())
			}
			w.failsWith(err, failure.ExitKeyring, "the login of corp is in the "+rings[unreachable].Name()+", which this session cannot reach (no bus).")
			w.counts(map[string]int{"revoke": 0})
		}
		for i, ring := range rings {
			if items, _ := ring.List(t.Context()); len(items) != 2 {
				t.Errorf("place %d has %q", i, items)
			}
		}
		w.mustRun() // nothing was forgotten
		w.counts(map[string]int{"device": 3})
		w.rings = rings
		w.storage = "kernel" // another setting since then
		out, err := w.pipeline().Logout(t.Context())
		if err != nil || !out.Revoked || out.CredentialsUntil.IsZero() {
			t.Fatalf("%+v, %v", out, err)
		}
		w.counts(map[string]int{"revoke": 3})
		for i, ring := range rings {
			if items, _ := ring.List(t.Context()); len(items) != 0 {
				t.Errorf("place %d still has %q", i, items)
			}
		}
		w.person = Person{}
		w.fails(failure.ExitLogin, "needs a login")
	}
}

// Whatever keeps the refresh token from being revoked is said, and the login is
// deleted all the same.
func TestLogoutSaysWhatWasNotRevoked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    sandbox.Options
		set  func(*world)
		want string
	}{
		{"no endpoint", sandbox.Options{OmitRevocation: true}, func(*world) {}, "the provider has no revocation endpoint"},
		{"no refresh token", sandbox.Options{NoRefreshToken: true}, func(*world) {}, ""},
		{"refused", sandbox.Options{}, func(w *world) { w.answerWith("/revoke", 400, `{"error":"unsupported_token_type"}`) }, "unsupported_token_type"},
		{"provider down", sandbox.Options{}, func(w *world) { w.drop("/revoke", false, 10) }, "does not answer"},
		{"of another version", sandbox.Options{}, func(w *world) {
			must(t, w.kept(w.profile()).SetRecord(t.Context(), []byte(`{"v":1,"refresh_token":"x"}`)))
		}, "its record cannot be read"},
	} {
		w := newWorld(t, c.o)
		w.mustRun()
		c.set(w)
		out, err := w.pipeline().Logout(t.Context())
		if err != nil || !out.Found || out.Revoked || !strings.Contains(out.NotRevoked, c.want) || c.want == "" && out.NotRevoked != "" {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
		w.servesNobody()
	}
}

// logout --all needs no configuration, finds what no place file names, and goes on
// after a login that it cannot end.
func TestLogoutAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(func(p *Pipeline) { p.Profile.IDP.Name = "second" })
	stray := w.pipeline(func(p *Pipeline) { p.Profile.IDP.Name = "third" })
	w.mustRun(func(p *Pipeline) { p.Profile.IDP.Name = "third" })
	if err := stray.Kept.Forget(); err != nil { // as a backup that lacks the folder does
		t.Fatal(err)
	}
	ring, failed := w.ring, 0
	w.ring = &faulty{Keyring: ring, fault: func(_ int, call string) fault {
		if call == "get login" {
			if failed++; failed == 1 {
				return fails
			}
		}
		return works
	}}
	outs, err := w.pipeline(nothing).LogoutAll(t.Context())
	w.failsWith(err, failure.ExitKeyring, "which this session cannot reach")
	if strings.Contains(err.Error(), "the settings") { // which are not known
		t.Error(err)
	}
	if len(outs) != 1 {
		t.Errorf("%d logins were ended, want the other one", len(outs))
	}
	w.ring = ring
	outs, err = w.pipeline(nothing).LogoutAll(t.Context())
	if err != nil || len(outs) != 2 || !outs[0].Revoked || !outs[1].Revoked || outs[1].IDP != "third" {
		t.Errorf("logout --all: %+v, %v", outs, err)
	}
	w.counts(map[string]int{"revoke": 3})
	w.servesNobody()
}

// Ctrl-C during a logout does not leave half of it.
func TestInterruptDuringALogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ctx, interrupt := context.WithCancel(t.Context())
	w.during("", interrupt)
	if _, err := w.pipeline().Logout(ctx); err != nil {
		t.Error(err)
	}
	w.servesNobody()
}

// A client secret is needed to revoke as well, and the provider has 5 s for it.
func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, ClientSecret: "hush"})
	withSecret := func(p *Pipeline) { p.Profile.IDP.ClientSecret = secret.New("hush") }
	w.mustRun(withSecret)
	timed := w.onTheWay(func(r *http.Request) error {
		if until, ok := r.Context().Deadline(); !ok || time.Until(until) > revokeTime {
			t.Errorf("%s may take until %v", r.URL.Path, until)
		}
		return nil
	})
	if out, err := w.pipeline(withSecret, timed).Logout(t.Context()); err != nil || !out.Revoked {
		t.Errorf("%+v, %v", out, err)
	}
}
