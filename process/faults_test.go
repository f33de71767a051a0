package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// fault is what becomes of one call of a storage.
type fault int

const (
	works      fault = iota
	fails            // it is not done, and says so
	failsAfter       // it is done, and says that it is not
	dies             // the process is killed before it
	diesAfter        // the process is killed after it
)

// killed is the panic that stands for the end of a process.
const killed = "killed"

// faulty is a keyring with faults in it. Its calls are counted from 1 and named
// after what they do: "get key", "set login", "remove login".
type faulty struct {
	cache.Keyring
	fault func(n int, call string) fault

	mu         sync.Mutex
	calls      []string
	failedSets int
}

func (w *world) faulty(f func(n int, call string) fault) *faulty {
	return &faulty{Keyring: w.ring, fault: f}
}

// with makes p a process that has the keyring.
func (f *faulty) with(w *world) func(*Pipeline) { return w.on(f) }

func (f *faulty) Name() string { return "disk" }

func (f *faulty) do(operation, item string, act func() error) error {
	what, _, _ := strings.Cut(item, "-")
	call := operation + " " + what
	f.mu.Lock()
	f.calls = append(f.calls, call)
	n := len(f.calls)
	f.mu.Unlock()
	kind := f.fault(n, call)
	if operation == "set" && kind == fails {
		f.mu.Lock()
		f.failedSets++
		f.mu.Unlock()
	}
	broken := &cache.UnreachableError{Where: "disk", Err: errors.New("input/output error")}
	switch kind {
	case fails:
		return broken
	case failsAfter:
		return cmp.Or(act(), error(broken))
	case dies:
		panic(killed)
	case diesAfter:
		_ = act()
		panic(killed)
	}
	return act()
}

func (f *faulty) Get(ctx context.Context, item string) (value []byte, err error) {
	err = f.do("get", item, func() error { value, err = f.Keyring.Get(ctx, item); return err })
	return value, err
}

func (f *faulty) Set(ctx context.Context, item, label string, value []byte) error {
	return f.do("set", item, func() error { return f.Keyring.Set(ctx, item, label, value) })
}

func (f *faulty) Remove(ctx context.Context, item string) error {
	return f.do("remove", item, func() error { return f.Keyring.Remove(ctx, item) })
}

// nth is the number of the n-th call of that name, counted from 1.
func nth(calls []string, call string, n int) int {
	for i, c := range calls {
		if c == call {
			if n--; n == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// untilKilled runs a process that may be killed on the way.
func untilKilled(run func()) {
	defer func() {
		if e := recover(); e != nil && e != killed {
			panic(e)
		}
	}()
	run()
}

// sorts are the ways in which the n-th call can go wrong, and perhaps some after it.
func sorts(n int) map[string]func(int, string) fault {
	all := map[string]func(int, string) fault{}
	for name, sort := range map[string]struct {
		kind  fault
		calls int
	}{
		"fails once": {fails, 1}, "fails twice": {fails, 2}, "fails for good": {fails, 1e6},
		"fails for a moment": {fails, 10}, // as a keyring does that is restarted
		"works, says no":     {failsAfter, 1}, "killed before it": {dies, 1}, "killed after it": {diesAfter, 1},
	} {
		all[name] = func(i int, _ string) fault {
			if n <= i && i < n+sort.calls {
				return sort.kind
			}
			return works
		}
	}
	return all
}

// sound is a keyring without faults.
func sound(int, string) fault { return works }

// Whichever call of the keyring fails during a renewal, and wherever the process
// is killed: the next process renews, without a person, and no refresh token is
// sent twice. The one exception is an answer that is never stored at all.
func TestRenewalSurvivesEveryFault(t *testing.T) {
	start := func(t *testing.T) *world {
		w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 30 * time.Minute})
		w.mustRun()
		w.clock.Advance(2 * time.Hour)
		w.person = Person{}
		return w
	}
	clean := start(t)
	store := clean.faulty(sound)
	clean.mustRun(store.with(clean))
	mark, answer := nth(store.calls, "set login", 1), nth(store.calls, "set login", 2)
	if mark == 0 || answer == 0 {
		t.Fatalf("a renewal is not a mark and an answer: %v", store.calls)
	}
	for kind := range sorts(0) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for n := 1; n <= len(store.calls); n++ {
				w := start(t)
				f := w.faulty(sorts(n)[kind])
				var err error
				untilKilled(func() { _, err = w.run(f.with(w)) })
				where := fmt.Sprintf("call %d (%s)", n, f.calls[n-1])
				if err != nil && failure.From(err).Exit != failure.ExitKeyring {
					t.Errorf("%s: %v", where, err)
				}
				if kind == "fails for good" && err == nil && f.failedSets > 0 && len(w.told) == 0 {
					t.Errorf("%s: nobody was told that nothing was stored", where)
				}
				lost := kind == "killed before it" && n == answer || kind == "fails for good" && mark < n && n <= answer
				w.clock.Advance(renewalPause + time.Second)
				_, err = w.run()
				if lost {
					w.failsWith(err, failure.ExitLogin, "has ended (invalid_grant)")
				} else if err != nil || w.box.Reused() != 0 {
					t.Errorf("%s: the next process: %v; %d refresh tokens sent twice", where, err, w.box.Reused())
				}
			}
		})
	}
}

// The same for a login. A person is shown a second code only where the answer to
// the first was never stored, and never two tabs for one code.
func TestLoginSurvivesEveryFault(t *testing.T) {
	for _, noRefresh := range []bool{false, true} {
		start := func(t *testing.T) *world {
			w := newWorld(t, sandbox.Options{Rotate: true, NoRefreshToken: noRefresh})
			w.person = Person{Browser: true}                                 // who is asked no second time, if it looks as if nobody answered
			w.answer = func(code string) { _ = w.box.Approve(code, "taro") } // shown again, it is spent
			return w
		}
		clean := start(t)
		store := clean.faulty(sound)
		clean.mustRun(store.with(clean))
		// A key is made before the code is shown, and another one for whoever approves it.
		answer, shown := nth(store.calls, "set login", 1), nth(store.calls, "set key", 1)
		if answer == 0 || shown == 0 {
			t.Fatalf("a login is not stored, or its key is not: %v", store.calls)
		}
		for kind := range sorts(0) {
			if noRefresh && (strings.HasPrefix(kind, "fails ") && kind != "fails for good" || kind == "works, says no") {
				continue // retries, which are the same for both
			}
			t.Run(fmt.Sprintf("%s, no refresh token: %v", kind, noRefresh), func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= len(store.calls); n++ {
					w := start(t)
					f := w.faulty(sorts(n)[kind])
					var err error
					untilKilled(func() { _, err = w.run(f.with(w)) })
					where := fmt.Sprintf("call %d (%s)", n, f.calls[n-1])
					if err != nil && failure.From(err).Exit != failure.ExitKeyring {
						t.Errorf("%s: %v", where, err)
					}
					lost := shown < n && (kind == "killed before it" && n <= answer || kind == "killed after it" && n < answer ||
						kind == "fails for good" && n <= answer)
					for range 3 {
						w.clock.Advance(renewalPause + time.Second)
						if _, err = w.run(); err != nil {
							t.Errorf("%s: a later process: %v", where, err)
						}
					}
					codes := map[string]int{}
					for _, s := range w.shown {
						if s.tab {
							codes[s.code]++
						} else {
							codes[s.code] += 0
						}
					}
					if len(codes) > 1 && !lost || len(codes) > 2 {
						t.Errorf("%s: %d codes were shown", where, len(codes))
					}
					for code, tabs := range codes {
						if tabs > 1 {
							t.Errorf("%s: %d tabs for code %s", where, tabs, code)
						}
					}
				}
			})
		}
	}
}

// Ctrl-C at any call of the keyring and before and after any request ends with
// 130 or with credentials, no exchange begins after it, and the next process needs
// nobody but for the code that it takes over.
func TestInterruptAnywhere(t *testing.T) {
	for _, scene := range []string{"renewal", "login", "login without a refresh token"} {
		t.Run(scene, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				w := newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: 30 * time.Minute, NoRefreshToken: strings.HasSuffix(scene, "token")})
				w.answer = func(code string) { _ = w.box.Approve(code, "taro") }
				if scene == "renewal" {
					w.mustRun()
					w.clock.Advance(2 * time.Hour)
					w.person = Person{}
				}
				ctx, interrupt := context.WithCancel(t.Context())
				var mu sync.Mutex
				var points []string
				point := func(name string) {
					mu.Lock()
					defer mu.Unlock()
					if points = append(points, name); len(points) == n {
						interrupt()
					}
				}
				f := w.faulty(func(_ int, call string) fault { point(call); return works })
				w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
					point("request to " + r.URL.Path)
					w.box.Serve(rw, r)
					point("answer of " + r.URL.Path)
					return true
				})
				_, err := w.pipeline(f.with(w)).Credentials(ctx, ForSDK)
				interrupt()
				w.box.Intercept(nil)
				mu.Lock() // a request that was cut off may still be at it
				reached := points
				mu.Unlock()
				if len(reached) < n {
					if n < 10 {
						t.Fatalf("only %d moments: %v", n, points)
					}
					return
				}
				where := fmt.Sprintf("moment %d (%s)", n, reached[n-1])
				if err != nil && failure.From(err).Exit != failure.ExitInterrupt {
					t.Errorf("%s: %v", where, err)
				}
				if slices.Contains(reached[n:], "request to /idp/token") {
					t.Errorf("%s: then came %q", where, reached[n:])
				}
				w.clock.Advance(time.Second)
				if _, err := w.run(); err != nil {
					t.Errorf("%s: the next process: %v", where, err)
				}
				if w.box.Reused() != 0 || w.tabs() > 1 {
					t.Errorf("%s: %d refresh tokens sent twice, %d tabs", where, w.box.Reused(), w.tabs())
				}
				for _, s := range w.shown {
					if s.code != w.shown[0].code {
						t.Errorf("%s: a second code was shown", where)
					}
				}
			}
		})
	}
}

// A keyring that becomes unreachable under the lock costs nothing while old
// credentials serve; nor does a state folder that cannot be used.
func TestOldCredentialsServeWithoutKeyringOrLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.clock.Advance(50 * time.Minute)
	for name, change := range map[string]func(*Pipeline){
		"keyring gone after the first read": w.faulty(func(n int, _ string) fault {
			if n > 1 {
				return fails
			}
			return works
		}).with(w),
		"state folder is a file": func(p *Pipeline) { p.Locks = cache.Locks{Dir: filepath.Join(w.kept(p.Profile).Dir(), "place.json")} },
	} {
		if c, err := w.run(change); err != nil || c.AccessKeyID != first.AccessKeyID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A keyring that takes the key and not the login: the credentials serve, and
// daypass login does not say that all is well. If it does not take the key of another
// person, their login is not stored either: it would open what was sealed before.
func TestLoginThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	noLogin := w.failing("set login").with(w)
	if _, err := w.run(noLogin); err != nil {
		t.Errorf("not served this once: %v", err)
	}
	if !slices.ContainsFunc(w.told, func(line string) bool { return strings.Contains(line, "the login could not be stored") }) {
		t.Errorf("told %q", w.told)
	}
	if _, err := w.pipeline().readRole(t.Context()); !notThere(err) {
		t.Errorf("credentials are kept without the login that they came of (%v)", err)
	}
	w.clock.Advance(time.Minute)
	w.told = nil
	_, err := w.pipeline(noLogin).Login(w.ctx(), false)
	w.failsWith(err, failure.ExitKeyring, "but the login could not be stored")
	if len(w.told) > 0 {
		t.Errorf("login told %q before it failed with that", w.told)
	}
	w.mustLogin(false)
	w.byHanako()
	w.clock.Advance(time.Minute)
	_, err = w.pipeline(w.failing("set key").with(w)).Login(w.ctx(), true)
	w.failsWith(err, failure.ExitKeyring, "but the login could not be stored")
	if who := w.readLogin().token().Subject; who != "sandbox|taro" {
		t.Errorf("the login is %q's", who)
	}
}

// A state folder that somebody deletes while the provider answers costs no login.
func TestStateFolderThatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, w := range []*world{newWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour}), dueWorld(t, sandbox.Options{})} {
		w.during("/token", func() { must(t, os.RemoveAll(w.kept(w.profile()).Dir())) })
		_, _ = w.run() // a renewal cannot tell it from a logout
		w.box.Intercept(nil)
		w.clock.Advance(2 * time.Hour)
		w.person = Person{}
		w.mustRun()
		w.counts(map[string]int{"device": 1})
	}
}

// Role credentials that the disk does not take are served once, and said.
func TestRoleThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun(longRole)
	place := filepath.Join(w.kept(w.profile()).Dir(), nameOfRole(w.profile())+".sealed")
	w.during("/sts", func() {
		if err := os.Mkdir(place, 0o700); err != nil {
			t.Error(err)
		}
	})
	first := w.mustRun()
	must(t, os.Remove(place))
	second := w.mustRun()
	if first.AccessKeyID == second.AccessKeyID {
		t.Error("credentials that were not stored came again")
	}
	if len(w.told) != 2 || !strings.Contains(w.told[0], "new credentials could not be stored") {
		t.Errorf("told %q", w.told)
	}
	w.counts(map[string]int{"device": 1, "sts": 3})
}

// Between the provider's answer and its store nothing else takes time: there is no
// request.
func TestNothingComesBetweenAnswerAndStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.answer = nil
	w.fails(failure.ExitLogin, "not approved within")
	w.forgetDiscovery()
	w.approve(w.shown[0].code)
	stored := false
	w.mustRun(w.at("set login", func() {
		requests := w.box.Requests()
		if last := requests[len(requests)-1]; !stored && last.Endpoint != "token:device" {
			t.Errorf("a request to %s came between", last.Endpoint)
		}
		stored = true
	}).with(w))
	if !stored {
		t.Error("no login was stored")
	}
}
