package process

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

// clock is a clock that sleepers advance.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() == nil {
		c.Advance(d)
	}
	return ctx.Err()
}

// deadline is a context whose deadline is on the fake clock: nothing in it
// passes by itself.
type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

// world is a provider and an AWS on loopback, one machine's state folder, and a
// clock; each call of provider is another process of that machine.
type world struct {
	t     *testing.T
	box   *sandbox.Sandbox
	clock *clock
	dir   string
	store cache.Store

	mu    sync.Mutex
	shown []shown
	told  []string
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
	c := &clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
	o.Now = c.Now
	box, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	store := &memory{records: map[string][]byte{}}
	w := &world{t: t, box: box, clock: c, dir: dir, store: store, person: Person{Terminal: true, Browser: true}}
	w.answer = w.approve
	return w
}

// newFileWorld is a world with its records in files.
func newFileWorld(t *testing.T, o sandbox.Options) *world {
	t.Helper()
	w := newWorld(t, o)
	store, err := cache.Open(cache.Options{Storage: "file", StateDir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	return w
}

// memory is a storage that takes no time: these tests make worlds by the hundred,
// and a file that is safe from a crash takes milliseconds.
type memory struct {
	mu      sync.Mutex
	records map[string][]byte
}

func (m *memory) Get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if record, ok := m.records[key]; ok {
		return slices.Clone(record), nil
	}
	return nil, cache.ErrMiss
}

func (m *memory) Set(_ context.Context, key string, value []byte, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, key)
	return nil
}

func (*memory) Unlock(context.Context) error { return nil }

func (*memory) CanAsk() bool        { return true }
func (*memory) Name() string        { return "memory" }
func (*memory) Where(string) string { return "memory" }

func (w *world) approve(code string) {
	if err := w.box.Approve(code, "taro"); err != nil {
		w.t.Errorf("approve %s: %v", code, err)
	}
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

// provider is a new process that serves the profile, changed by the options.
func (w *world) provider(change ...func(*Provider)) *Provider {
	p := &Provider{
		Profile: w.profile(), Store: w.store, Locks: cache.Locks{Dir: w.dir},
		Person: func() Person { return w.person },
		Show: func(a deviceflow.Authorization, openTab bool) (func(), error) {
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
			w.told = append(w.told, line)
		},
		Now: w.clock.Now, Sleep: w.clock.Sleep,
	}
	for _, f := range change {
		f(p)
	}
	return p
}

// ctx is the context of a process with the usual time-out, on the fake clock.
func (w *world) ctx() context.Context {
	return deadline{w.t.Context(), w.clock.Now().Add(50 * time.Second)}
}

// run is one run of daypass process.
func (w *world) run(change ...func(*Provider)) (Credentials, error) {
	w.t.Helper()
	return w.provider(change...).Credentials(w.ctx(), ForSDK)
}

func (w *world) mustRun(change ...func(*Provider)) Credentials {
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
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
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

// answerWith answers every request to an endpoint with a status and a body.
func (w *world) answerWith(endpoint string, status int, body string) {
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, endpoint) {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
		return true
	})
}
