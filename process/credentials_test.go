package process

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

func TestFromNothingToCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.counts(map[string]int{"device": 1, "token:device": 1, "sts": 1})
	if len(w.shown) != 1 || !w.shown[0].tab {
		t.Errorf("shown %v, want one code with one tab", w.shown)
	}

	before := w.box.Count("")
	second := w.mustRun()
	if second.AccessKeyID != first.AccessKeyID || w.box.Count("") != before {
		t.Errorf("a warm call made %d requests", w.box.Count("")-before)
	}

	other := w.mustRun(func(p *Provider) { p.Profile.Name, p.Profile.Duration = "long", 30*time.Minute })
	if other.AccessKeyID == first.AccessKeyID {
		t.Error("another profile got the first one's credentials")
	}
	w.counts(map[string]int{"device": 1, "sts": 2})
}

func TestFresh(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(issued, left time.Duration) *role {
		return &role{AccessKeyID: "ASIA", Issued: now.Add(-issued), Expires: now.Add(left)}
	}
	for _, c := range []struct {
		name         string
		role         *role
		sdk, session bool
		usable       bool
	}{
		{"no record", nil, false, false, false},
		{"just given", at(0, time.Hour), true, true, true},
		{"three quarters left", at(15*time.Minute, 45*time.Minute), true, true, true},
		{"under three quarters", at(16*time.Minute, 44*time.Minute), true, false, true},
		{"16 minutes of an hour", at(44*time.Minute, 16*time.Minute), true, false, true},
		{"under 16 minutes of an hour", at(44*time.Minute+time.Second, 16*time.Minute-time.Second), false, false, true},
		{"a third of 15 minutes", at(10*time.Minute, 5*time.Minute), true, false, true},
		{"under a third of 15 minutes", at(10*time.Minute+time.Second, 5*time.Minute-time.Second), false, false, true},
		{"16 minutes of 12 hours", at(12*time.Hour-16*time.Minute, 16*time.Minute), true, false, true},
		{"a minute and a bit", at(59*time.Minute-time.Second, 61*time.Second), false, false, true},
		{"a minute", at(59*time.Minute, time.Minute), false, false, false},
		{"expired", at(time.Hour, 0), false, false, false},
		{"issued in the future", at(-6*time.Minute, 70*time.Minute), false, false, false},
		{"more left than granted", at(-time.Minute, time.Hour), false, false, false},
		{"no credentials in it", &role{Issued: now, Expires: now.Add(time.Hour)}, false, false, false},
	} {
		if got := c.role.fresh(now, ForSDK); got != c.sdk {
			t.Errorf("%s: fresh for an SDK = %v", c.name, got)
		}
		if got := c.role.fresh(now, ForSession); got != c.session {
			t.Errorf("%s: fresh for a session = %v", c.name, got)
		}
		if got := c.role.usable(now); got != c.usable {
			t.Errorf("%s: usable = %v", c.name, got)
		}
	}
}

// Credentials of 15 minutes are inside the SDKs' renewal window from the start;
// daypass must not renew them at every call.
func TestShortSessionsAreCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	short := func(p *Provider) { p.Profile.Duration = 15 * time.Minute }
	w.mustRun(short)
	w.clock.Advance(9 * time.Minute)
	w.mustRun(short)
	w.counts(map[string]int{"sts": 1})
	w.clock.Advance(2 * time.Minute)
	w.mustRun(short)
	w.counts(map[string]int{"sts": 2, "device": 1})
}

func TestSilentRenewalIsTwoRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	for i := range 5 {
		w.clock.Advance(2 * time.Hour)
		before := w.box.Count("")
		w.mustRun(func(p *Provider) { p.Person = nil })
		if got := w.box.Count("") - before; got != 2 {
			t.Errorf("renewal %d made %d requests, want one to the provider and one to STS", i, got)
		}
	}
	w.counts(map[string]int{"device": 1, "token:refresh": 5, "discovery": 1, "keys": 1})
	if w.box.Reused() != 0 {
		t.Errorf("%d refresh tokens were sent twice", w.box.Reused())
	}
}

func TestTwentyFiveAtOnce(t *testing.T) {
	t.Parallel()
	w := newFileWorld(t, sandbox.Options{Rotate: true})
	storm := func(n int) map[string]int {
		keys := map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range n {
			all.Add(1)
			go func() {
				defer all.Done()
				c, err := w.provider().Credentials(t.Context(), ForSDK)
				if err != nil {
					t.Errorf("process: %v", err)
				}
				mu.Lock()
				keys[c.AccessKeyID]++
				mu.Unlock()
			}()
		}
		all.Wait()
		return keys
	}
	if keys := storm(25); len(keys) != 1 {
		t.Errorf("cold: %d different credentials, want 1", len(keys))
	}
	w.counts(map[string]int{"device": 1, "sts": 1})
	if w.tabs() != 1 {
		t.Errorf("%d tabs, want 1", w.tabs())
	}
	w.clock.Advance(24 * time.Hour)
	if keys := storm(25); len(keys) != 1 {
		t.Errorf("renewal: %d different credentials, want 1", len(keys))
	}
	w.counts(map[string]int{"device": 1, "token:refresh": 1, "sts": 2})
}

func TestOldCredentialsServeWhileTheyCan(t *testing.T) {
	t.Parallel()
	down := func(endpoint string) func(*world) {
		return func(w *world) { w.answerWith(endpoint, http.StatusServiceUnavailable, "down") }
	}
	for _, c := range []struct {
		name    string
		breakIt func(*world)
		exit    int // once they are gone
	}{
		{"provider down", down("/token"), failure.ExitNetwork},
		{"STS down", down("/sts"), failure.ExitNetwork},
		{"login ended", func(w *world) { w.box.EndLogins() }, failure.ExitLogin},
		{"role denied", func(w *world) {
			if err := w.box.Trust(w.box.RoleARN, trustsNobody); err != nil {
				w.t.Fatal(err)
			}
		}, failure.ExitAWS},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
			first := w.mustRun()
			c.breakIt(w)
			w.person = Person{}
			w.clock.Advance(50 * time.Minute)
			old, err := w.run()
			if err != nil || old.AccessKeyID != first.AccessKeyID || !old.Expires.Equal(first.Expires) {
				t.Fatalf("got %v (%v), want the old credentials with their true expiry", old, err)
			}
			w.clock.Advance(9*time.Minute + 30*time.Second) // 30 s left
			_, err = w.run()
			w.failsWith(err, c.exit, "")
			if c.exit != failure.ExitNetwork {
				return
			}
			w.box.Intercept(nil)
			w.clock.Advance(renewalPause)
			w.mustRun()
			w.counts(map[string]int{"device": 1})
		})
	}
}

// While another process renews, old credentials are served at once.
func TestOldCredentialsServeWhileAnotherRenews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	lock, err := cache.Locks{Dir: w.dir}.TryLock("role-" + roleKey(w.profile()))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	before := w.box.Count("")
	if c := w.mustRun(); c.AccessKeyID != first.AccessKeyID || w.box.Count("") != before {
		t.Error("it did not serve the old credentials without a request")
	}
}

// A renewal aside hands over what it got, and holds up nobody: whatever becomes of
// it, the old credentials are served when its time is over.
func TestRenewalAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	aside := func(run bool) func(p *Provider) {
		return func(p *Provider) {
			p.Aside = func() (<-chan struct{}, error) {
				ended := make(chan struct{})
				if run {
					w.mustRun() // the other process, that renews here
					close(ended)
				}
				return ended, nil
			}
			if run {
				p.Sleep = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
			}
		}
	}
	if c := w.mustRun(aside(false)); c.AccessKeyID != first.AccessKeyID {
		t.Error("without an end of the renewal, the old credentials were not served")
	}
	w.counts(map[string]int{"sts": 1})
	second := w.mustRun(aside(true))
	if second.AccessKeyID == first.AccessKeyID {
		t.Error("what the renewal got was not served")
	}
	w.counts(map[string]int{"sts": 2})
}

// While old credentials serve, a failed renewal is not tried again at every call.
func TestFailedRenewalOfARoleIsNotTriedAtEveryCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	w.mustRun()
	asked := w.box.Count("sts")
	for range 9 {
		w.mustRun()
	}
	if got := w.box.Count("sts"); got != asked {
		t.Errorf("%d more calls of STS within 30 s", got-asked)
	}
	w.box.Intercept(nil)
	w.clock.Advance(renewalPause)
	w.mustRun()
	if got := w.box.Count("sts"); got != asked+1 {
		t.Errorf("%d calls of STS after the pause, want 1", got-asked)
	}
}

func TestSTSCallsTheIDTokenExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	w.mustRun(func(p *Provider) { p.Person = nil })
	w.counts(map[string]int{"device": 1, "token:refresh": 1, "sts": 3})
}

func TestSTSRefusalIsSharedWithWaitersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	if err := w.box.Trust(w.box.RoleARN, trustsNobody); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Hour)
	before := w.box.Count("sts")

	// Ten wait while one is refused: the clock stands still, so all have begun by then.
	var all sync.WaitGroup
	for range 10 {
		all.Add(1)
		go func() {
			defer all.Done()
			_, err := w.provider().Credentials(t.Context(), ForSDK)
			w.failsWith(err, failure.ExitAWS, "AWS refused role")
		}()
	}
	all.Wait()
	if got := w.box.Count("sts") - before; got != 1 {
		t.Errorf("%d calls of STS for those who waited, want 1", got)
	}
	w.clock.Advance(time.Second)
	_, err := w.run()
	w.failsWith(err, failure.ExitAWS, "AWS refused role")
	if got := w.box.Count("sts") - before; got != 2 {
		t.Errorf("a later process did not ask AWS again")
	}
}

func TestLogoutWhileRenewingWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/sts") {
			if _, err := w.provider().Logout(t.Context()); err != nil {
				t.Errorf("logout: %v", err)
			}
		}
		return false
	})
	_, err := w.run(func(p *Provider) { p.Person = nil })
	w.failsWith(err, failure.ExitLogin, "removed or replaced")
	if _, err := w.provider().readRole(t.Context()); !notThere(err) {
		t.Errorf("credentials are there after the logout (%v)", err)
	}
}

func TestSomebodyElsesLoginDropsTheFirstPersonsRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	first := w.mustRun()
	w.answer = func(code string) {
		if err := w.box.Approve(code, "hanako"); err != nil {
			t.Error(err)
		}
	}
	w.clock.Advance(time.Second)
	if _, err := w.provider().Login(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.provider().readRole(t.Context()); !notThere(err) {
		t.Errorf("the first person's role is still there (%v)", err)
	}
	if second := w.mustRun(); second.AccessKeyID == first.AccessKeyID || !strings.Contains(second.AssumedRole, "hanako") {
		t.Errorf("got %s for hanako", second.AssumedRole)
	}
}

func TestSamePersonKeepsTheRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 5 * time.Minute})
	first := w.mustRun()
	w.clock.Advance(6 * time.Minute)
	if _, err := w.provider().Login(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if again := w.mustRun(); again.AccessKeyID != first.AccessKeyID {
		t.Error("the same person's next login dropped the credentials")
	}
}

// Ctrl-C and its like, at the moments that hurt: whatever the moment, the new
// refresh token is stored, and the next process needs no person.
func TestInterruptedRenewalLosesNothing(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"request sent", "answer on its way", "answer read", "at STS"} {
		t.Run(moment, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
			w.mustRun()
			w.clock.Advance(2 * time.Hour)
			ctx, interrupt := context.WithCancel(t.Context())
			w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.HasSuffix(r.URL.Path, "/token") && moment == "request sent":
					interrupt()
				case strings.HasSuffix(r.URL.Path, "/token") && moment == "answer on its way":
					w.box.Serve(rw, r)
					interrupt()
					return true
				case strings.HasSuffix(r.URL.Path, "/sts") && moment == "at STS":
					interrupt()
					<-r.Context().Done() // it hangs up
					return true
				}
				return false
			})
			store := w.store
			if moment == "answer read" {
				store = onSet{w.store, func(n int) {
					if n == 2 { // the first is the mark
						interrupt()
					}
				}, new(int)}
			}
			_, err := w.provider(func(p *Provider) { p.Store, p.Person = store, nil }).Credentials(ctx, ForSDK)
			w.failsWith(err, failure.ExitInterrupt, "interrupted")
			w.box.Intercept(nil)
			w.mustRun(func(p *Provider) { p.Person = nil })
			w.counts(map[string]int{"device": 1, "token:refresh": 1})
			if w.box.Reused() != 0 {
				t.Errorf("%d refresh tokens were sent twice", w.box.Reused())
			}
		})
	}
}

// onSet calls f with the count of each Set, before it.
type onSet struct {
	cache.Store
	f func(n int)
	n *int
}

func (s onSet) Set(ctx context.Context, key string, value []byte, until time.Time) error {
	*s.n++
	s.f(*s.n)
	return s.Store.Set(ctx, key, value, until)
}

// trustsNobody is the trust policy of a role that another provider's logins take.
const trustsNobody = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
	"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/elsewhere.example"},
	"Action": "sts:AssumeRoleWithWebIdentity",
	"Condition": {"StringEquals": {"elsewhere.example:aud": "nobody"}}}]}`

// Old credentials that a failed renewal left are served for as long as they serve,
// and not for the length of the pause.
func TestPauseDoesNotServeWhatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.clock.Advance(time.Hour - usableLeft - 10*time.Second)
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	w.mustRun()
	w.box.Intercept(nil)
	w.clock.Advance(renewalPause - 10*time.Second)
	if c := w.mustRun(); c.AccessKeyID == first.AccessKeyID {
		t.Errorf("credentials with %s left were served", c.Expires.Sub(w.clock.Now()))
	}
}

// Who waited until the old credentials were over is not content with the failure of
// a renewal that was to ask nobody.
func TestWaiterAsksWhereASilentRenewalCouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
	first := w.mustRun()
	w.box.EndLogins()
	w.clock.Advance(time.Hour - usableLeft - time.Second)
	started := w.clock.Now()
	w.mustRun() // finds that the login has ended, and asks nobody
	w.clock.Advance(2 * time.Second)
	r, err := w.provider().renewedRole(w.ctx(), started, ForSDK, nil)
	if err != nil || r.AccessKeyID == first.AccessKeyID {
		t.Errorf("the waiter was not asked (%v)", err)
	}
	w.counts(map[string]int{"device": 2})
}

// A process of its own that cannot be started costs nothing while old credentials
// serve.
func TestAsideCannotBeStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	c := w.mustRun(func(p *Provider) {
		p.Aside = func() (<-chan struct{}, error) { return nil, errors.New("too many processes") }
	})
	if c.AccessKeyID != first.AccessKeyID {
		t.Error("the old credentials were not served")
	}
}

// An ID token that AWS finds fault with is renewed once, for the provider may make
// better ones by now; a person is not asked for that.
func TestBadTokenIsRenewedSilently(t *testing.T) {
	t.Parallel()
	bad := sandbox.STSError{Code: "InvalidIdentityToken", Message: "The ID Token provided is not a valid JWT."}
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.box.FailSTS(bad)
	w.mustRun()
	w.counts(map[string]int{"device": 1, "token:refresh": 1, "sts": 3})

	w.clock.Advance(2 * time.Hour)
	w.box.FailSTS(bad)
	w.box.EndLogins()
	_, err := w.run()
	w.failsWith(err, failure.ExitAWS, "AWS does not accept this login's ID token")
	w.counts(map[string]int{"device": 1, "token:refresh": 2, "sts": 4})
}
