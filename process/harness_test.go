package process

import (
	"context"
	"errors"
	"maps"
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
	"github.com/daypass/daypass/profile"
)

// world is a provider and an AWS on loopback, one machine's state folder and
// keyring, and a clock; each call of pipeline is another process of that machine.
type world struct {
	t     *testing.T
	box   *sandbox.Sandbox
	clock *sandbox.Clock
	dir   string
	ring  cache.Keyring
	rings []cache.Keyring // in place of ring, if there are several
	// storage is the setting.
	storage string

	mu    sync.Mutex
	shown []shown
	told  []string
	// greeted are those to whom it was said that they are logged in.
	greeted []string
	// answer is what the person does when a code is shown; nil: nothing.
	answer func(code string)
	person Person
}

type shown struct {
	code string
	tab  bool
}

func newWorld(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	c := sandbox.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	o.Now = c.Now
	box, err := sandbox.Start(o)
	must(t, err)
	t.Cleanup(box.Close)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	w := &world{
		t: t, box: box, clock: c, dir: dir, ring: newMemory("memory"), storage: "auto",
		person: Person{Terminal: true, Browser: true},
	}
	w.answer = w.approve
	return w
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a keyring that takes no time.
type memory struct {
	kind  string
	mu    sync.Mutex
	items map[string][]byte
}

func newMemory(kind string) *memory { return &memory{kind: kind, items: map[string][]byte{}} }

func (m *memory) Get(_ context.Context, item string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value, ok := m.items[item]; ok {
		return slices.Clone(value), nil
	}
	return nil, cache.ErrMiss
}

func (m *memory) Set(_ context.Context, item, _ string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items[item] = slices.Clone(value)
	return nil
}

func (m *memory) Remove(_ context.Context, item string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[item]; !ok {
		return cache.ErrMiss
	}
	delete(m.items, item)
	return nil
}

func (m *memory) List(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.items)), nil
}

func (*memory) Unlock(context.Context, ...string) error { return nil }
func (*memory) CanAsk() bool                            { return true }
func (m *memory) Kind() string                          { return m.kind }
func (m *memory) Name() string                          { return m.kind }

// storages are those that a new process opens.
func (w *world) storages() *cache.Storages {
	if w.rings != nil {
		return w.open(w.rings...)
	}
	return w.open(w.ring)
}

func (w *world) open(rings ...cache.Keyring) *cache.Storages {
	return cache.Open(w.dir, nil, rings)
}

// on makes p a process that finds that keyring.
func (w *world) on(ring cache.Keyring) func(*Pipeline) {
	return func(p *Pipeline) {
		p.Storages = w.open(ring)
		var err error
		if p.Kept, err = p.Storages.Login(LoginKey(p.Profile.IDP), w.storage); err != nil {
			w.t.Error(err)
		}
	}
}

// kept is where a profile's login is kept.
func (w *world) kept(p profile.Profile) *cache.Login {
	w.t.Helper()
	kept, err := w.storages().Login(LoginKey(p.IDP), w.storage)
	must(w.t, err)
	return kept
}

func (w *world) approve(code string) {
	if err := w.box.Approve(code, "taro"); err != nil {
		w.t.Errorf("approve %s: %v", code, err)
	}
}

// dueWorld is a world whose login must be renewed, with nobody there.
func dueWorld(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	o.Rotate, o.IDTokenLife = true, time.Hour
	w := newWorld(t, o)
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.person = Person{}
	return w
}

func (w *world) readLogin() *login {
	w.t.Helper()
	l, _, err := w.pipeline().readLogin(w.t.Context())
	must(w.t, err)
	return l
}

// openCode is the authorization that waits for a person, or nil.
func (w *world) openCode() *Open {
	w.t.Helper()
	p := w.pipeline()
	key, err := p.Kept.Key(w.t.Context())
	must(w.t, err)
	open, _ := p.readAuthorization(key)
	return open
}

func (w *world) profile() profile.Profile {
	return profile.Profile{
		Name: "dev",
		IDP: profile.IDP{
			Name: "corp", Issuer: w.box.Issuer, ClientID: w.box.ClientID, ProcessTimeout: 50 * time.Second,
		},
		RoleARN: w.box.RoleARN, AccountID: "111122223333", RoleName: "Developer", Partition: "aws",
		Region: "eu-west-1", Duration: time.Hour, STSEndpoint: w.box.STSEndpoint,
	}
}

// pipeline is a new process that serves the profile, changed by the options.
func (w *world) pipeline(change ...func(*Pipeline)) *Pipeline {
	p := &Pipeline{
		Profile: w.profile(), Storages: w.storages(), Locks: cache.Locks{Dir: w.dir},
		Person: func() Person { return w.person },
		Show: func(a Open, openTab bool) (func(), error) {
			w.mu.Lock()
			w.shown = append(w.shown, shown{a.UserCode, openTab})
			answer := w.answer
			w.mu.Unlock()
			if answer != nil {
				answer(a.UserCode)
			}
			return func() {}, nil
		},
		Tell: func(line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if who, greets := strings.CutPrefix(line, "daypass: logged in as "); greets {
				w.greeted = append(w.greeted, who)
			} else {
				w.told = append(w.told, line)
			}
		},
		Now: w.clock.Now, Sleep: w.clock.Sleep,
	}
	for _, f := range change {
		f(p)
	}
	if p.Kept == nil {
		p.Kept = w.kept(p.Profile)
	}
	return p
}

// nobody makes p a process from which nobody can be reached.
func nobody(p *Pipeline) { p.Person = nil }

// ctx is the context of a process with the usual time-out, on the fake clock.
func (w *world) ctx() context.Context {
	return sandbox.Deadline(w.t.Context(), w.clock.Now().Add(50*time.Second))
}

// ending is a context whose deadline has come once over is closed.
type ending struct {
	context.Context
	over chan struct{}
}

func (e ending) Done() <-chan struct{} { return e.over }

func (e ending) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// run is one run of daypass process.
func (w *world) run(change ...func(*Pipeline)) (Credentials, error) {
	w.t.Helper()
	return w.pipeline(change...).Credentials(w.ctx(), ForSDK)
}

func (w *world) mustRun(change ...func(*Pipeline)) Credentials {
	w.t.Helper()
	c, err := w.run(change...)
	if err != nil {
		w.t.Fatalf("process: %v", err)
	}
	if c.AccessKeyID == "" || c.SecretAccessKey.Empty() || c.SessionToken.Empty() || !c.Expires.After(w.clock.Now()) {
		w.t.Fatalf("process: credentials are not whole: %+v", c)
	}
	return c
}

// fails is a run of daypass process that fails.
func (w *world) fails(exit int, first string, change ...func(*Pipeline)) error {
	w.t.Helper()
	_, err := w.run(change...)
	w.failsWith(err, exit, first)
	return err
}

// failsIn is such a run with another context.
func (w *world) failsIn(ctx context.Context, exit int, first string) {
	w.t.Helper()
	_, err := w.pipeline().Credentials(ctx, ForSDK)
	w.failsWith(err, exit, first)
}

// at is a keyring before each call of which, of that name, something is done.
func (w *world) at(name string, do func()) *faulty {
	return w.faulty(func(_ int, call string) fault {
		if call == name {
			do()
		}
		return works
	})
}

// failing is a keyring that fails at that call.
func (w *world) failing(at string) *faulty {
	return w.faulty(func(_ int, call string) fault {
		if call == at {
			return fails
		}
		return works
	})
}

// during does something while an endpoint is asked; "" is every one.
func (w *world) during(endpoint string, do func()) {
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, endpoint) {
			do()
		}
		return false
	})
}

// lock is a lock that another process holds.
func (w *world) lock(name string) *cache.Lock {
	w.t.Helper()
	lock, err := cache.Locks{Dir: w.dir}.TryLock(name)
	must(w.t, err)
	return lock
}

// mustLogin is a login that a person types.
func (w *world) mustLogin(anew bool) {
	w.t.Helper()
	if _, err := w.pipeline().Login(w.ctx(), anew); err != nil {
		w.t.Errorf("daypass login: %v", err)
	}
}

func (w *world) mustLogout() {
	w.t.Helper()
	if _, err := w.pipeline().Logout(w.t.Context()); err != nil {
		w.t.Errorf("daypass logout: %v", err)
	}
}

func (w *world) mustReadRole() *role {
	w.t.Helper()
	r, err := w.pipeline().readRole(w.t.Context())
	must(w.t, err)
	return r
}

// failsWith checks the exit code and the first line of a failure, and that it has
// at most three lines.
func (w *world) failsWith(err error, exit int, first string) {
	w.t.Helper()
	var f *failure.Error
	if !errors.As(err, &f) {
		w.t.Fatalf("got %v, want a failure with exit %d", err, exit)
	}
	if f.Exit != exit || len(f.Lines) == 0 || len(f.Lines) > 3 || !strings.Contains(f.Lines[0], first) {
		w.t.Fatalf("exit %d, want %d; first line must contain %q:\n%s", f.Exit, exit, first, f.Error())
	}
}

// counts checks how often endpoints were asked.
func (w *world) counts(want map[string]int) {
	w.t.Helper()
	for endpoint, n := range want {
		if got := w.box.Count(endpoint); got != n {
			w.t.Errorf("%d requests to %s, want %d", got, endpoint, n)
		}
	}
}

func (w *world) tabs() int {
	n := 0
	for _, s := range w.shown {
		if s.tab {
			n++
		}
	}
	return n
}

// forgetDiscovery removes what is remembered of the provider.
func (w *world) forgetDiscovery() {
	w.t.Helper()
	remembered, err := filepath.Glob(filepath.Join(w.dir, "provider-*"))
	if err != nil || len(remembered) == 0 {
		w.t.Fatalf("nothing is remembered of the provider (%v)", err)
	}
	for _, path := range remembered {
		must(w.t, os.Remove(path))
	}
}

// drop answers matching requests by closing the connection; acted says whether
// the provider acts on them first.
func (w *world) drop(endpoint string, acted bool, times int) {
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, endpoint) || times == 0 {
			return false
		}
		times--
		if acted {
			w.box.Serve(discard{http.Header{}}, r)
		}
		panic(http.ErrAbortHandler)
	})
}

// discard is a ResponseWriter that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// onTheWay makes p a process whose requests to the provider end with the error of see,
// if it has one.
func (w *world) onTheWay(see func(*http.Request) error) func(*Pipeline) {
	return func(p *Pipeline) {
		flow, err := p.flow()
		must(w.t, err)
		network := flow.Transport
		flow.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if err := see(r); err != nil {
				return nil, err
			}
			return network.RoundTrip(r)
		})
	}
}

// roundTrip is a transport that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answerWith answers every request to an endpoint with a status and a body.
func (w *world) answerWith(endpoint string, status int, body string) {
	w.answerIf(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, endpoint) }, status, body)
}

// answerRefresh does so with every request to renew.
func (w *world) answerRefresh(status int, body string) {
	w.answerIf(func(r *http.Request) bool { return r.PostForm.Get("grant_type") == "refresh_token" }, status, body)
}

func (w *world) answerIf(matches func(*http.Request) bool, status int, body string) {
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !matches(r) {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Location", "/elsewhere") // of a redirect
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
		return true
	})
}
