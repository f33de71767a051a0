package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// longRole is a second profile of the same login.
func longRole(p *Provider) { p.Profile.Name, p.Profile.Duration = "long", 30*time.Minute }

// servesNobody checks that no profile gets credentials without a new login.
func (w *world) servesNobody() {
	w.t.Helper()
	w.person = Person{}
	for _, change := range []func(*Provider){func(*Provider) {}, longRole} {
		if c, err := w.run(change); err == nil {
			w.t.Errorf("%s is served after the logout", c.AssumedRole)
		}
		if _, err := w.provider(change).readRole(w.t.Context()); !notThere(err) {
			w.t.Errorf("a role record is there after the logout (%v)", err)
		}
	}
}

// A role that is made while a logout is at the provider goes with the login: the
// login is deleted before the roles are looked up.
func TestRoleMadeDuringALogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/revoke") {
			w.mustRun(longRole)
		}
		return false
	})
	if _, err := w.provider().Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.servesNobody()
}

// A logout while AWS is asked wins, whatever AWS answers and whatever the old
// credentials still serve for: nothing brings them back.
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
		w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/sts") {
				if _, err := w.provider().Logout(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return false
		})
		if _, err := w.provider().Credentials(w.ctx(), c.fresh); err == nil {
			t.Errorf("%s: credentials of a login that is gone", c.name)
		}
		w.box.Intercept(nil)
		w.servesNobody()
	}
}

// The login's own record lists its roles, should the index be lost.
func TestLogoutWithoutTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	w.mustRun()
	w.clock.Advance(20 * time.Minute)
	w.mustRun(longRole)
	if err := os.Remove(filepath.Join(w.dir, indexFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.provider().Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.person = Person{}
	if _, err := w.run(); err == nil {
		t.Error("credentials are served after the logout")
	}
}

// Another person is not served the first one's credentials, even where the index
// cannot be written.
func TestAnotherPersonWithoutTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	if err := os.Mkdir(filepath.Join(w.dir, indexFile), 0o700); err != nil { // no file can be put there
		t.Fatal(err)
	}
	w.mustRun()
	w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
	w.clock.Advance(time.Minute)
	if _, err := w.provider().Login(w.ctx(), true); err != nil {
		t.Fatal(err)
	}
	if c := w.mustRun(); !strings.Contains(c.AssumedRole, "hanako") {
		t.Errorf("hanako is served %s", c.AssumedRole)
	}
}

// What another process stores for the first person while the second logs in goes
// with the rest.
func TestRoleMadeDuringAnotherPersonsLogin(t *testing.T) {
	t.Parallel()
	for _, moment := range []int{1, 2} { // before and after the first roles went
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun()
		w.answer = func(code string) { _ = w.box.Approve(code, "hanako") }
		w.clock.Advance(time.Minute)
		stolen, err := w.provider().readRole(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sets := 0
		_, err = w.provider(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == "set login" {
					if sets++; sets == moment {
						if err := w.provider().put(t.Context(), roleKey(w.profile()), stolen); err != nil {
							t.Error(err)
						}
					}
				}
				return works
			})
		}).Login(w.ctx(), true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.provider().readRole(t.Context()); !notThere(err) {
			t.Errorf("moment %d: the first person's role is there (%v)", moment, err)
		}
	}
}

// A role made from another login than the one that stands does not count, under
// the lock at the latest.
func TestRoleOfAnotherLoginDoesNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	r, err := w.provider().readRole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.LoginID = "another"
	if err := w.provider().put(t.Context(), roleKey(w.profile()), r); err != nil {
		t.Fatal(err)
	}
	if s := w.provider().Status(t.Context()); s.Credentials != nil {
		t.Errorf("status shows credentials of another login: %+v", s.Credentials)
	}
	if r, err := w.provider().readRoleUnlocking(w.ctx(), w.clock.Now()); r != nil || err != nil {
		t.Errorf("it counts under the lock (%v)", err)
	}
	if err := w.provider().remove(t.Context(), loginKey(w.profile().IDP)); err != nil {
		t.Fatal(err)
	}
	if r, err := w.provider().readRoleUnlocking(w.ctx(), w.clock.Now()); r != nil || err != nil {
		t.Errorf("without a login it counts under the lock (%v)", err)
	}
}

// What cannot be deleted is said, and the next logout deletes it.
func TestLogoutThatCannotDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(longRole)
	for _, broken := range []string{"delete login", "delete attempt", "delete role"} {
		_, err := w.provider(func(p *Provider) {
			p.Store = w.faulty(func(_ int, call string) fault {
				if call == broken {
					return fails
				}
				return works
			})
		}).Logout(t.Context())
		w.failsWith(err, failure.ExitKeyring, "disk is out of reach")
		if len(w.provider().readIndex().logins()) == 0 {
			t.Errorf("%s failed, and the login is forgotten", broken)
		}
	}
	if _, err := w.provider().Logout(t.Context()); err != nil {
		t.Error(err)
	}
	w.servesNobody()
	if records := w.provider().readIndex().Records; len(records) != 0 {
		t.Errorf("the index still has %v", records)
	}
}

// A logout takes the open code along.
func TestLogoutEndsTheAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = nil
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within")
	if _, err := w.provider().Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.provider().Status(t.Context()); s.OpenCode != nil {
		t.Errorf("code %s is still open", s.OpenCode.UserCode)
	}
}

// A logout waits for the login's lock, and deletes nothing without it.
func TestLogoutWaitsForTheLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	lock, err := cache.Locks{Dir: w.dir}.TryLock("login-" + loginKey(w.profile().IDP))
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = w.provider().Logout(short)
	w.failsWith(err, failure.ExitNetwork, "another daypass still holds the login")
	over, end := context.WithCancel(t.Context())
	end()
	_, err = w.provider().Logout(over)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.counts(map[string]int{"revoke": 0})
	lock.Unlock()
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if lock, err := w.provider().Locks.TryLock(w.provider().loginLock()); err == nil {
			lock.Unlock()
			t.Errorf("the login's lock is free at %s", r.URL.Path)
		}
		return false
	})
	if out, err := w.provider().Logout(t.Context()); err != nil || !out.Revoked {
		t.Errorf("%+v, %v", out, err)
	}
}

// elsewhere is another storage of the machine.
type elsewhere struct {
	cache.Store
	name string
}

func (s elsewhere) Name() string { return s.name }

// unreachable is a storage that nobody answers for.
type unreachable struct{ cache.Store }

var errNoBus = errors.New("no bus")

func (s unreachable) err() error { return &cache.UnreachableError{Where: s.Name(), Err: errNoBus} }

func (s unreachable) Get(context.Context, string) ([]byte, error)          { return nil, s.err() }
func (s unreachable) Set(context.Context, string, []byte, time.Time) error { return s.err() }
func (s unreachable) Delete(context.Context, string) error                 { return s.err() }
func (s unreachable) Unlock(context.Context) error                         { return s.err() }

// A logout reaches each storage of the machine; one that is out of reach keeps it
// from nothing where the login was elsewhere, and is an error where it may hold it.
func TestLogoutInEveryStorage(t *testing.T) {
	t.Parallel()
	second := func() cache.Store { return elsewhere{&memory{records: map[string][]byte{}}, "second"} }

	w := newWorld(t, sandbox.Options{Rotate: true})
	other := second()
	w.mustRun()
	w.clock.Advance(time.Minute)
	later := w.mustRun(func(p *Provider) { p.Store = other })
	out, err := w.provider(func(p *Provider) { p.Everywhere = []cache.Store{w.store, other} }).Logout(t.Context())
	if err != nil || !out.Found || !out.CredentialsUntil.Equal(later.Expires) {
		t.Errorf("%+v, %v", out, err)
	}
	w.counts(map[string]int{"revoke": 2})
	w.servesNobody()
	w.store = other
	w.servesNobody()

	w = newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	out, err = w.provider(func(p *Provider) { p.Everywhere = []cache.Store{unreachable{second()}, w.store} }).Logout(t.Context())
	if err != nil || !out.Found {
		t.Errorf("another storage out of reach: %+v, %v", out, err)
	}

	w = newWorld(t, sandbox.Options{Rotate: true})
	other = second()
	w.mustRun(func(p *Provider) { p.Store = other })
	out, err = w.provider(func(p *Provider) { p.Store, p.Everywhere = unreachable{w.store}, []cache.Store{other} }).Logout(t.Context())
	if err != nil || !out.Found {
		t.Errorf("found elsewhere: %+v, %v", out, err)
	}
	_, err = w.provider(func(p *Provider) { p.Store, p.Everywhere = unreachable{w.store}, []cache.Store{other} }).Logout(t.Context())
	w.failsWith(err, failure.ExitKeyring, "memory is out of reach: no bus.")
}

// The refresh token goes to the endpoint that was known at the login, and what
// keeps it from being revoked is said, and keeps nothing from being deleted.
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
	} {
		w := newWorld(t, c.o)
		w.mustRun()
		c.set(w)
		out, err := w.provider().Logout(t.Context())
		if err != nil || out.Revoked || !strings.Contains(out.NotRevoked, c.want) || c.want == "" && out.NotRevoked != "" {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
		w.servesNobody()
	}
}

// A locked keyring is unlocked for a logout; where it cannot be, the login is not
// said to be gone.
func TestLogoutUnlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	closed := &lockable{Store: w.store, locked: true}
	_, err := w.provider(func(p *Provider) { p.Store = closed }).Logout(t.Context())
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
	if len(w.provider().readIndex().logins()) != 1 {
		t.Error("the login is forgotten, and may be there")
	}
	opens := &lockable{Store: w.store, locked: true, opens: true}
	out, err := w.provider(func(p *Provider) { p.Store = opens }).Logout(t.Context())
	if err != nil || !out.Revoked || opens.dialogs != 1 {
		t.Errorf("%+v, %v, %d dialogs", out, err, opens.dialogs)
	}
	w.servesNobody()
}

// Many processes remember different records at once, and none is lost.
func TestIndexKeepsWhatManyWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	p := w.provider()
	const n = 20
	done := make(chan struct{})
	for i := range n {
		go func() {
			p.remember(indexEntry{Kind: kindRole, Key: fmt.Sprint("role ", i), Login: "login"})
			p.remember(indexEntry{Kind: kindLogin, Key: "login", Login: "login"})
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	if i := p.readIndex(); len(i.Records) != n+1 || len(i.roles("login")) != n || len(i.logins()) != 1 {
		t.Errorf("%d records, %d roles, %d logins", len(i.Records), len(i.roles("login")), len(i.logins()))
	}
	p.remember(indexEntry{Kind: kindRole, Key: "other", Login: "other"})
	p.forget("login")
	if i := p.readIndex(); len(i.Records) != 1 || i.Records[0].Key != "other" {
		t.Errorf("after forgetting one login: %v", i.Records)
	}
}

// A logout while the renewal runs in a process of its own wins as well.
func TestLogoutDuringARenewalAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	_, err := w.run(func(p *Provider) {
		p.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
		p.Aside = func() (<-chan struct{}, error) {
			ended := make(chan struct{})
			close(ended)
			_, err := w.provider().Logout(t.Context())
			return ended, err
		}
	})
	w.failsWith(err, failure.ExitLogin, "removed or replaced")
	w.servesNobody()
}

// A logout that finds the folder's lock free, while a renewal silently fails, wins.
func TestLogoutWhileAFailureIsNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	w.answerWith("/token", http.StatusServiceUnavailable, "down")
	_, err := w.run(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			if call == "set role" {
				if _, err := w.provider().Logout(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return works
		})
	})
	w.failsWith(err, failure.ExitLogin, "removed or replaced")
	w.servesNobody()
}

// Ctrl-C during a logout does not leave half of it.
func TestInterruptDuringALogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ctx, interrupt := context.WithCancel(t.Context())
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		interrupt()
		return false
	})
	if _, err := w.provider(func(p *Provider) { p.Store = cancellable{w.store} }).Logout(ctx); err != nil {
		t.Error(err)
	}
	w.servesNobody()
}

// Credentials that are over are none that stay valid after a logout.
func TestLogoutAfterTheCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	if out, err := w.provider().Logout(t.Context()); err != nil || !out.CredentialsUntil.IsZero() {
		t.Errorf("%+v, %v", out, err)
	}
}

// A client secret is needed to revoke as well, and the provider has 5 s for it.
func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, ClientSecret: "hush"})
	withSecret := func(p *Provider) { p.Profile.IDP.ClientSecret = secret.New("hush") }
	w.mustRun(withSecret)
	p := w.provider(withSecret)
	flow, err := p.flow()
	if err != nil {
		t.Fatal(err)
	}
	network := flow.Transport
	flow.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if until, ok := r.Context().Deadline(); !ok || time.Until(until) > revokeTime {
			t.Errorf("%s may take until %v", r.URL.Path, until)
		}
		return network.RoundTrip(r)
	})
	if out, err := p.Logout(t.Context()); err != nil || !out.Revoked {
		t.Errorf("%+v, %v", out, err)
	}
}
