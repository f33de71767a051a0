package process

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

func TestFromNothingToCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.counts(map[string]int{"device": 1, "token:device": 1, "sts": 1})
	if len(w.shown) != 1 || !w.shown[0].tab {
		t.Errorf("shown %v, want one code with one tab", w.shown)
	}

	// A cached answer costs one small read of the keyring, and no network.
	before := w.box.Count("")
	ring := w.faulty(sound)
	second := w.mustRun(ring.with(w), func(p *Pipeline) {
		p.Missed = func(ctx context.Context) context.Context { t.Error("it was a miss"); return ctx }
	})
	if second.AccessKeyID != first.AccessKeyID || w.box.Count("") != before || !slices.Equal(ring.calls, []string{"get key"}) {
		t.Errorf("a warm call made %d requests, and %q", w.box.Count("")-before, ring.calls)
	}

	if other := w.mustRun(longRole); other.AccessKeyID == first.AccessKeyID {
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

func TestSilentRenewalIsTwoRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun()
	for i := range 5 {
		w.clock.Advance(2 * time.Hour)
		before := w.box.Count("")
		w.mustRun(nobody)
		if got := w.box.Count("") - before; got != 2 {
			t.Errorf("renewal %d made %d requests, want one to the provider and one to STS", i, got)
		}
	}
	w.counts(map[string]int{"device": 1, "token:refresh": 5, "discovery": 1, "keys": 1})
	if w.box.Reused() != 0 {
		t.Errorf("%d refresh tokens were sent twice", w.box.Reused())
	}
}

// trustsNobody is the trust policy of a role that another provider's logins take.
const trustsNobody = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
	"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/elsewhere.example"},
	"Action": "sts:AssumeRoleWithWebIdentity",
	"Condition": {"StringEquals": {"elsewhere.example:aud": "nobody"}}}]}`

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
			must(w.t, w.box.Trust(w.box.RoleARN, trustsNobody))
		}, failure.ExitAWS},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 10 * time.Minute})
			first := w.mustRun()
			c.breakIt(w)
			w.clock.Advance(50 * time.Minute)
			old, err := w.run()
			if err != nil || old.AccessKeyID != first.AccessKeyID || !old.Expires.Equal(first.Expires) {
				t.Fatalf("got %v (%v), want the old credentials with their true expiry", old, err)
			}
			if len(w.shown) != 1 {
				t.Error("somebody was asked while they serve")
			}
			w.person = Person{}
			w.clock.Advance(9*time.Minute + 30*time.Second) // 30 s left
			w.fails(c.exit, "")
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

// Old credentials that a failed renewal left are served for as long as they serve,
// without another try at every call, and not for the length of the pause.
func TestPauseDoesNotServeWhatIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.clock.Advance(time.Hour - usableLeft - 10*time.Second)
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	for range 10 {
		w.mustRun()
	}
	w.counts(map[string]int{"sts": 1 + stsTries})
	w.box.Intercept(nil)
	w.clock.Advance(renewalPause - 10*time.Second)
	if c := w.mustRun(); c.AccessKeyID == first.AccessKeyID {
		t.Errorf("credentials with %s left were served", c.Expires.Sub(w.clock.Now()))
	}
}

// Ctrl-C during a renewal while old credentials serve is still Ctrl-C.
func TestInterruptWhileOldCredentialsServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{IDTokenLife: 10 * time.Minute})
	w.mustRun()
	w.clock.Advance(50 * time.Minute)
	ctx, interrupt := context.WithCancel(t.Context())
	w.during("", interrupt)
	w.failsIn(ctx, failure.ExitInterrupt, "interrupted")
}

// An answer that takes until the time of a silent renewal is over, and until the
// old credentials nearly are, is no interruption: they are served. A keyring that
// does not take the mark is not waited for either.
func TestSlowRenewalWhileOldCredentialsServe(t *testing.T) {
	t.Parallel()
	for _, slow := range []string{"/sts", "keyring"} {
		t.Run(slow, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Options{IDTokenLife: 30 * time.Minute, Rotate: true})
			first := w.mustRun()
			w.clock.Advance(time.Hour - 62*time.Second)
			var asked atomic.Int32
			hang := func(ctx context.Context) {
				asked.Add(1)
				w.clock.Advance(5 * time.Second)
				<-ctx.Done()
			}
			ring := w.ring
			if slow == "keyring" {
				ring = hanging{w.ring, hang}
			}
			w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, slow) {
					hang(r.Context())
				}
				return false
			})
			began := time.Now()
			if c, err := w.run(w.on(ring)); err != nil || c.AccessKeyID != first.AccessKeyID || time.Since(began) > silentTime+10*time.Second {
				t.Errorf("got %v after %s, want the old credentials", err, time.Since(began))
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times, and the first had used up the time", n)
			}
			if len(w.told) != 1 || !strings.Contains(w.told[0], "cannot renew: no answer within 5 s.") {
				t.Errorf("told %q", w.told)
			}
		})
	}
}

// hanging is a keyring whose stores end with their context.
type hanging struct {
	cache.Keyring
	hang func(context.Context)
}

func (h hanging) Set(ctx context.Context, _, _ string, _ []byte) error {
	h.hang(ctx)
	return &cache.UnreachableError{Where: h.Name(), Err: ctx.Err()}
}

// Credentials that another process stored while this one waited are taken as they
// are, whatever they have left: they are as new as they get.
func TestCredentialsOfThisMomentAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	never := Fresh(func(_, _ time.Duration) bool { return false })
	started := w.clock.Now()
	first := w.mustRun()
	p := w.pipeline()
	r, err := p.renewedRole(w.ctx(), started, never, asking, nil, cache.ErrMiss)
	if err != nil || r.AccessKeyID != first.AccessKeyID {
		t.Errorf("credentials stored while it waited were renewed (%v)", err)
	}
	w.clock.Advance(time.Second)
	r, err = p.renewedRole(w.ctx(), w.clock.Now(), never, asking, nil, cache.ErrMiss)
	if err != nil || r.AccessKeyID == first.AccessKeyID {
		t.Errorf("older credentials were taken for new ones (%v)", err)
	}
}

// A refusal of AWS is told to those who waited, and not to a later process: an admin
// may have changed the role by then.
func TestSTSRefusalIsSharedWithWaitersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	must(t, w.box.Trust(w.box.RoleARN, trustsNobody))
	w.clock.Advance(2 * time.Hour)
	for range 2 { // the clock does not move, so both have begun by then
		w.fails(failure.ExitAWS, "AWS refused role")
	}
	w.counts(map[string]int{"sts": 2})
	w.clock.Advance(time.Second)
	w.fails(failure.ExitAWS, "AWS refused role")
	w.counts(map[string]int{"sts": 3})

	// Nor to one that finds old credentials that serve.
	w = newWorld(t, sandbox.Options{})
	first := w.mustRun()
	must(t, w.box.Trust(w.box.RoleARN, trustsNobody))
	w.clock.Advance(50 * time.Minute)
	started := w.clock.Now()
	w.mustRun()
	r, err := w.pipeline().renewedRole(w.ctx(), started, ForSDK, asking, nil, cache.ErrMiss)
	if err != nil || r.AccessKeyID != first.AccessKeyID {
		t.Errorf("the old ones do not serve: %v", err)
	}
}

// What kept one process from credentials is not everybody's: it could not ask, or
// its keyring was out of reach. Whoever waited behind it goes on.
func TestWhatIsNotSharedWithWaiters(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(*world) func(*Pipeline){
		"nobody to ask": func(*world) func(*Pipeline) { return nobody },
		"no keyring":    func(w *world) func(*Pipeline) { return w.on(away{w.ring}) },
		"its own certificates": func(*world) func(*Pipeline) {
			return func(p *Pipeline) { p.Profile.AWSCABundle = "/does/not/exist" }
		},
		"a keyring that takes nothing": func(w *world) func(*Pipeline) {
			return w.on(full{w.ring, &cache.UnreachableError{Where: "disk", Full: true, Err: syscall.ENOSPC}})
		},
	} {
		w := newWorld(t, sandbox.Options{})
		started := w.clock.Now()
		if _, err := w.run(fails(w)); err == nil {
			t.Fatalf("%s: it did not fail", name)
		}
		if n := w.pipeline().readNote(w.pipeline().roleNote()); n.Exit == 0 || n.FromAWS {
			t.Errorf("%s: noted %+v", name, n)
		}
		if _, err := w.pipeline().renewedRole(w.ctx(), started, ForSDK, asking, nil, cache.ErrMiss); err != nil {
			t.Errorf("%s: the one who waited: %v", name, err)
		}
	}
}

// An ID token that AWS finds fault with is renewed once, for the provider may make
// better ones by now; a person is not asked for that. One just obtained is not renewed.
func TestBadTokenIsRenewedSilently(t *testing.T) {
	t.Parallel()
	bad := sandbox.STSError{Code: "InvalidIdentityToken", Message: "The ID Token provided is not a valid JWT."}
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	for i, fault := range []sandbox.STSError{{Code: "ExpiredTokenException"}, bad} {
		w.clock.Advance(2 * time.Hour)
		w.box.FailSTS(fault)
		w.mustRun()
		w.counts(map[string]int{"device": 1, "token:refresh": i + 1, "sts": 2*i + 3})
	}
	w.clock.Advance(2 * time.Hour)
	w.box.FailSTS(sandbox.STSError{Code: "InvalidIdentityToken", Message: "Incorrect token audience"}) // the account's fault
	w.fails(failure.ExitAWS, "does not accept client ")
	w.counts(map[string]int{"device": 1, "token:refresh": 2, "sts": 6})
	w.clock.Advance(2 * time.Hour)
	w.box.FailSTS(bad)
	w.box.EndLogins()
	w.fails(failure.ExitAWS, "AWS does not accept this login's ID token")
	w.counts(map[string]int{"device": 1, "token:refresh": 3, "sts": 7})
	w = newWorld(t, sandbox.Options{NoRefreshToken: true})
	w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	w.fails(failure.ExitAWS, "AWS says that the ID token has expired, although it is new")
	w.counts(map[string]int{"device": 1, "sts": 1})
}

func TestVersion1(t *testing.T) {
	c := Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New(`wJal<&>"rX\Utn`), SessionToken: secret.New("IQoJ=="),
		AccountID: "012345678901", Expires: time.Date(2026, 11, 22, 13, 11, 28, 987, time.FixedZone("", 9*3600)),
	}
	document, err := c.Version1()
	if err != nil || strings.Count(string(document), "\n") != 1 || !strings.HasSuffix(string(document), "\n") {
		t.Fatalf("not one line: %q, %v", document, err)
	}
	var got map[string]any
	must(t, json.Unmarshal(document, &got))
	want := map[string]any{
		"Version": 1.0, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": `wJal<&>"rX\Utn`, "SessionToken": "IQoJ==",
		"Expiration": "2026-11-22T04:11:28Z", "AccountId": "012345678901",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A day at work: 500 aws commands in eight hours, at random moments and with one
// of five roles at random. What the login itself asks is not counted.
func TestADayOfCommandsCostsFewRequests(t *testing.T) {
	const commands, roles, hours = 500, 5, 8
	for _, test := range []struct {
		idTokenLife time.Duration
		most        int // requests to the provider and to STS together
	}{
		{10 * time.Hour, 60},
		{time.Hour, 60 + hours + 1}, // and the provider once an hour
		{5 * time.Minute, 60 + 60},  // once for each time that STS is asked, at most
	} {
		t.Run(test.idTokenLife.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Options{IDTokenLife: test.idTokenLife, Rotate: true})
			if _, err := w.pipeline().Login(w.ctx(), false); err != nil {
				t.Fatal(err)
			}
			login := w.box.Count("")
			for i := range roles {
				must(t, w.box.Trust(roleOfTheDay(i), ""))
			}
			chance := rand.New(rand.NewPCG(1, 2)) // the same day each time
			moments := make([]time.Duration, commands)
			for i := range moments {
				moments[i] = time.Duration(chance.Int64N(int64(hours * time.Hour)))
			}
			slices.Sort(moments)
			start := w.clock.Now()
			for _, moment := range moments {
				w.clock.Advance(start.Add(moment).Sub(w.clock.Now()))
				arn := roleOfTheDay(chance.IntN(roles))
				w.mustRun(func(p *Pipeline) { p.Profile.RoleARN = arn })
			}
			asked, sts := w.box.Count("")-login, w.box.Count("sts")
			t.Logf("ID tokens of %v: %d requests to the provider and %d to STS for %d commands", test.idTokenLife, asked-sts, sts, commands)
			if asked > test.most {
				t.Errorf("%d requests, want at most %d", asked, test.most)
			}
			if tabs := w.tabs(); tabs != 1 {
				t.Errorf("the person was asked %d times", tabs)
			}
		})
	}
}

func roleOfTheDay(i int) string { return fmt.Sprintf("arn:aws:iam::111122223333:role/day%d", i) }
