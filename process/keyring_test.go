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
	"github.com/daypass/daypass/secret"
)

// lockable is a keyring with a lock, and a dialog at which somebody opens it or
// leaves.
type lockable struct {
	cache.Store
	mu      sync.Mutex
	locked  bool
	opens   bool // what who is at the dialog does
	dialogs int
	onAsk   func()
	blind   bool // there is no display for the dialog
}

func (s *lockable) CanAsk() bool { return !s.blind }

func (s *lockable) lockedErr(err error) error {
	return &cache.UnreachableError{Where: "Secret Service", Locked: true, Err: err}
}

func (s *lockable) isLocked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked
}

func (s *lockable) Get(ctx context.Context, key string) ([]byte, error) {
	if s.isLocked() {
		return nil, s.lockedErr(errors.New("locked"))
	}
	return s.Store.Get(ctx, key)
}

func (s *lockable) Set(ctx context.Context, key string, value []byte, until time.Time) error {
	if s.isLocked() {
		return s.lockedErr(errors.New("locked"))
	}
	return s.Store.Set(ctx, key, value, until)
}

func (s *lockable) Delete(ctx context.Context, key string) error {
	if s.isLocked() {
		return s.lockedErr(errors.New("locked"))
	}
	return s.Store.Delete(ctx, key)
}

func (s *lockable) Unlock(context.Context) error {
	s.mu.Lock()
	s.dialogs++
	onAsk := s.onAsk
	s.mu.Unlock()
	if onAsk != nil {
		onAsk()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opens {
		return s.lockedErr(cache.ErrDismissed)
	}
	s.locked = false
	return nil
}

// Twenty-five processes at a locked keyring raise one dialog. Unlocked, each gets
// the credentials that are in it.
func TestOneDialogForManyProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	first := w.mustRun()
	w.clock.Advance(time.Minute)
	keyring := &lockable{Store: w.store, locked: true, opens: true}
	w.store = keyring
	for _, err := range w.storm(25) {
		if err != nil {
			t.Error(err)
		}
	}
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs", keyring.dialogs)
	}
	if c := w.mustRun(); c.AccessKeyID != first.AccessKeyID {
		t.Error("the credentials in the keyring were not used")
	}
	w.counts(map[string]int{"device": 1, "sts": 1})
}

// A dialog that is left is not raised again for those who waited behind it. It is
// no reason to log in anew: the login is in the keyring.
func TestDismissedDialogIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	keyring := &lockable{Store: w.store, locked: true}
	w.store = keyring
	for _, err := range w.storm(25) {
		w.failsWith(err, failure.ExitKeyring, "the keyring is locked: its password was not given.")
	}
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs for 25 waiting processes", keyring.dialogs)
	}
	// Nor is one raised by the second process that an SDK starts for its command.
	w.clock.Advance(unlockPause - time.Second)
	_, err := w.run()
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked: its password was not given.")
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs for the next process at once, want 1", keyring.dialogs)
	}
	// The next process, a while later, may ask again.
	w.clock.Advance(2 * time.Second)
	_, err = w.run()
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
	if keyring.dialogs != 2 {
		t.Errorf("%d dialogs after the next process, want 2", keyring.dialogs)
	}
	// The note of a clock that ran ahead says nothing.
	w.clock.Advance(-time.Hour)
	if _, err = w.run(); err == nil || keyring.dialogs != 3 {
		t.Errorf("%d dialogs after the clock was set right, want 3", keyring.dialogs)
	}
	w.counts(map[string]int{"device": 1})
}

// Ctrl-C at the dialog is no refusal: the next process asks again.
func TestInterruptAtTheDialog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ctx, interrupt := context.WithCancel(t.Context())
	keyring := &lockable{Store: w.store, locked: true, onAsk: interrupt}
	w.store = keyring
	_, err := w.provider().Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	keyring.onAsk, keyring.opens = nil, true
	w.mustRun()
}

// The login of a profile without credentials is behind the lock as well.
func TestLockedLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	for _, opens := range []bool{false, true} {
		w.clock.Advance(2 * unlockPause)
		keyring := &lockable{Store: w.store, locked: true, opens: opens}
		token, _, err := w.provider(func(p *Provider) { p.Store = keyring }).IDToken(w.ctx())
		if opens && (err != nil || token.Empty()) {
			t.Errorf("unlocked: %v", err)
		}
		if !opens {
			w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
		}
		if keyring.dialogs != 1 {
			t.Errorf("%d dialogs", keyring.dialogs)
		}
	}
	w.counts(map[string]int{"device": 1})
}

// Looking at the state unlocks nothing.
func TestStatusUnlocksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	keyring := &lockable{Store: w.store, locked: true, opens: true}
	s := w.provider(func(p *Provider) { p.Store = keyring }).Status(t.Context())
	if keyring.dialogs != 0 || s.Problem == "" || s.Login != nil {
		t.Errorf("%d dialogs, %+v", keyring.dialogs, s)
	}
}

// A keyring that nobody answers for is an error of its own, and no reason to log
// in; warm credentials are not looked for elsewhere.
func TestUnreachableKeyring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	gone := func(p *Provider) { p.Store = unreachable{w.store} }
	_, err := w.run(gone)
	w.failsWith(err, failure.ExitKeyring, "memory is out of reach: no bus.")
	_, err = w.provider(gone).Login(w.ctx(), false)
	w.failsWith(err, failure.ExitKeyring, "memory is out of reach: no bus.")
	_, _, err = w.provider(gone).IDToken(w.ctx())
	w.failsWith(err, failure.ExitKeyring, "memory is out of reach: no bus.")
	w.counts(map[string]int{"device": 1})
}

// A record that cannot be read is none, under the lock: one code mends it.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	for _, rubbish := range []string{"", "{", "null", `{"v":2}`, `{"v":1,"expires":7}`} {
		w := newWorld(t, sandbox.Options{})
		login := loginKey(w.profile().IDP)
		for _, key := range []string{login, attemptKey(login), roleKey(w.profile())} {
			if err := w.store.Set(t.Context(), key, []byte(rubbish), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		w.mustRun()
		w.counts(map[string]int{"device": 1, "sts": 1})
		w.mustRun()
		w.counts(map[string]int{"device": 1, "sts": 1})
	}
}

// A whole record of another form version is none.
func TestRecordOfAnotherVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	first := w.mustRun()
	p := w.provider()
	key := roleKey(p.Profile)
	data, err := w.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(data), "v 1\n", "v 2\n", 1)
	if err := w.store.Set(t.Context(), key, []byte(other), time.Time{}); err != nil || other == string(data) {
		t.Fatal(err)
	}
	if c := w.mustRun(); c.AccessKeyID == first.AccessKeyID {
		t.Error("it was read")
	}
	w.counts(map[string]int{"device": 1, "sts": 2})
}

// Processes of two profiles meet at the login's lock: the second finds the keyring
// unlocked, and raises no dialog.
func TestOneDialogForTwoProfiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.mustRun(longRole)
	keyring := &lockable{Store: w.store, locked: true, opens: true}
	w.store = keyring
	release, watched := w.holdLogin(2)
	var all sync.WaitGroup
	for _, change := range []func(*Provider){func(*Provider) {}, longRole} {
		all.Go(func() {
			if _, err := w.provider(change, watched).Credentials(t.Context(), ForSDK); err != nil {
				t.Error(err)
			}
		})
	}
	release()
	all.Wait()
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs", keyring.dialogs)
	}
	w.counts(map[string]int{"sts": 2})
}

// A person who types login right after having left the dialog sees it again.
func TestLoginAsksForThePasswordAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	keyring := &lockable{Store: w.store, locked: true}
	w.store = keyring
	_, err := w.run()
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
	w.clock.Advance(time.Second)
	keyring.opens = true
	if _, err := w.provider().Login(w.ctx(), false); err != nil || keyring.dialogs != 2 {
		t.Errorf("%v after %d dialogs, want a login after 2", err, keyring.dialogs)
	}
}

// Where nobody may be asked for a login, the keyring's password is not asked for.
func TestNobodyIsAskedForThePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	keyring := &lockable{Store: w.store, locked: true, opens: true}
	w.store = keyring
	for name, change := range map[string]func(*Provider){
		"never": func(p *Provider) { p.Person = func() Person { return Person{Why: "DAYPASS_PROMPT=never"} } },
		"renew": func(p *Provider) { p.Person = nil },
		"no display": func(p *Provider) {
			p.Store = &lockable{Store: w.store, locked: true, blind: true, onAsk: func() { keyring.dialogs++ }}
		},
	} {
		_, err := w.run(change)
		w.failsWith(err, failure.ExitKeyring, "the keyring is locked, and nothing here can ask you to unlock it.")
		if keyring.dialogs != 0 {
			t.Errorf("%s: %d dialogs, want 0", name, keyring.dialogs)
		}
	}
	w.mustRun()
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs where a person is, want 1", keyring.dialogs)
	}
}

// Two logins of one keyring meet at one dialog.
func TestOneDialogForTwoLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	second := func(p *Provider) { p.Profile.IDP.Name = "second" }
	w.mustRun()
	w.mustRun(second)
	keyring := &lockable{Store: w.store, locked: true}
	w.store = keyring
	var all sync.WaitGroup
	for _, change := range []func(*Provider){func(*Provider) {}, second} {
		all.Go(func() {
			_, err := w.provider(change).Credentials(w.ctx(), ForSDK)
			w.failsWith(err, failure.ExitKeyring, "the keyring is locked: its password was not given.")
		})
	}
	all.Wait()
	if keyring.dialogs != 1 {
		t.Errorf("%d dialogs for two logins, want 1", keyring.dialogs)
	}
}

// What renews while old credentials serve asks nobody, whoever is there.
func TestSilentRenewalUnlocksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	keyring := &lockable{Store: w.store, locked: true, opens: true}
	_, err := w.provider(func(p *Provider) { p.Store = keyring }).idToken(w.ctx(), w.clock.Now(), silently, secret.String{})
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
	if keyring.dialogs != 0 {
		t.Errorf("%d dialogs, want 0", keyring.dialogs)
	}
}

// A keyring that is back within seconds, as after its restart, takes the answer of
// the provider, which is not had twice; and a fault of one moment is not even told.
func TestKeyringAwayForAMoment(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	before := w.readLogin()
	logins, roles := 0, 0
	c := w.mustRun(func(p *Provider) {
		p.Store = w.faulty(func(_ int, call string) fault {
			switch call {
			case "set login":
				if logins++; 1 < logins && logins < 10 { // after the mark
					return fails
				}
			case "set role":
				if roles++; roles == 1 {
					return fails
				}
			}
			return works
		})
	})
	if l := w.readLogin(); l.RefreshToken.Equal(before.RefreshToken.String) || !l.RefreshStarted.IsZero() {
		t.Error("the answer was not stored")
	}
	if len(w.told) != 0 {
		t.Errorf("told %q", w.told)
	}
	if again := w.mustRun(); again.AccessKeyID != c.AccessKeyID {
		t.Error("the credentials were not stored")
	}
}

// The store of a refusal is not cut off by Ctrl-C: a refresh token that has ended is not sent again.
func TestStoreOfARefusalIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := dueWorld(t, sandbox.Options{})
	w.box.EndLogins()
	ctx, interrupt := context.WithCancel(t.Context())
	w.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			interrupt()
		}
		return false
	})
	_, _ = w.provider(func(p *Provider) { p.Store = cancellable{w.store} }).Credentials(ctx, ForSDK)
	if l := w.readLogin(); !l.RefreshToken.Empty() {
		t.Error("the refresh token was kept")
	}
}

// cancellable is a storage that does nothing for a context that has ended, as one
// that is reached over a bus.
type cancellable struct{ cache.Store }

func (s cancellable) Set(ctx context.Context, key string, value []byte, until time.Time) error {
	if ctx.Err() != nil {
		return &cache.UnreachableError{Where: "bus", Err: ctx.Err()}
	}
	return s.Store.Set(ctx, key, value, until)
}

func (s cancellable) Delete(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return &cache.UnreachableError{Where: "bus", Err: ctx.Err()}
	}
	return s.Store.Delete(ctx, key)
}
