package process

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// lockable is a keyring with a lock, and a dialog at which somebody unlocks it or
// leaves.
type lockable struct {
	cache.Keyring
	mu      sync.Mutex
	locked  error // why it is, or nil
	ends    error // how the dialog does; nil: it is unlocked
	dialogs int
	onAsk   func()
	blind   bool   // there is no display for the dialog
	only    string // how the names of items begin that are locked; "" is all
}

func (s *lockable) CanAsk() bool { return !s.blind }

func (s *lockable) lockedErr(err error) error {
	return &cache.UnreachableError{Where: "Secret Service", Locked: true, Err: err}
}

func (s *lockable) Get(ctx context.Context, item string) ([]byte, error) {
	s.mu.Lock()
	locked := s.locked
	s.mu.Unlock()
	if locked != nil && strings.HasPrefix(item, s.only) {
		return nil, s.lockedErr(locked)
	}
	return s.Keyring.Get(ctx, item)
}

func (s *lockable) Unlock(context.Context, ...string) error {
	s.mu.Lock()
	s.dialogs++
	s.mu.Unlock()
	if s.onAsk != nil {
		s.onAsk()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends != nil {
		return s.lockedErr(s.ends)
	}
	s.locked = nil
	return nil
}

var errLocked = errors.New("locked")

// lockRing locks the world's keyring.
func (w *world) lockRing(opens bool) *lockable {
	l := &lockable{Keyring: w.ring, locked: errLocked}
	if !opens {
		l.ends = cache.ErrDismissed
	}
	w.ring = l
	return l
}

const (
	notGiven    = "the keyring that holds the login of corp is locked: its dialog was dismissed."
	cannotShown = "the keyring that holds the login of corp is locked, and no dialog is shown here."
)

// A dialog that is dismissed is not raised again for those who waited behind it. It
// is no reason to log in anew: the login is in the keyring.
func TestDismissedDialogIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ring := w.lockRing(false)
	next := func(dialogs int, when string) {
		t.Helper()
		w.fails(failure.ExitKeyring, notGiven)
		if ring.dialogs != dialogs {
			t.Errorf("%d dialogs %s, want %d", ring.dialogs, when, dialogs)
		}
	}
	for _, err := range w.storm(25) {
		w.failsWith(err, failure.ExitKeyring, notGiven)
	}
	// Nor is one raised by the second process that an SDK starts for its command.
	w.clock.Advance(unlockPause - time.Second)
	next(1, "for 25 waiting processes and the next one")
	w.clock.Advance(2 * time.Second)
	next(2, "a while later")
	// The note of a clock that ran ahead says nothing.
	w.clock.Advance(-time.Hour)
	next(3, "after the clock was set right")
	// Whoever types login sees it again at once.
	ring.ends = nil
	w.mustLogin(false)
	if ring.dialogs != 4 {
		t.Errorf("%d dialogs after daypass login", ring.dialogs)
	}
	w.clock.Advance(3 * time.Hour)
	w.mustRun()
	w.counts(map[string]int{"device": 1})
}

// signal is a context that says when somebody waits for its end.
type signal struct {
	context.Context
	waits func()
}

func (s signal) Done() <-chan struct{} {
	s.waits()
	return s.Context.Done()
}

// The processes of two roles, or of two logins, that find one keyring locked meet
// at one dialog, and the second ends as the first did. A keyring that asks about each
// program asks about both.
func TestOneDialogForTwo(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]func(*Pipeline){
		"roles":                longRole,
		"logins":               func(p *Pipeline) { longRole(p); p.Profile.IDP.Name = "second" },
		"logins with one role": func(p *Pipeline) { p.Profile.IDP.Name = "second" },
		"programs":             longRole,
	} {
		for _, opens := range []bool{true, false} {
			w := newWorld(t, sandbox.Options{Rotate: true})
			w.mustRun()
			w.mustRun(second)
			ring := w.lockRing(opens)
			theirs, dialogs := ring, 1
			if name == "programs" {
				ring.locked, theirs = cache.ErrConfirms, &lockable{Keyring: ring.Keyring, locked: cache.ErrConfirms}
				if opens {
					dialogs = 2
				}
			}
			behind := make(chan error)
			ring.onAsk = func() {
				waits := make(chan struct{})
				ctx := signal{w.ctx(), sync.OnceFunc(func() { close(waits) })}
				go func() { _, err := w.pipeline(second, w.on(theirs)).Credentials(ctx, ForSDK); behind <- err }()
				<-waits
				ring.onAsk = nil
			}
			_, err := w.run()
			for _, err := range []error{err, <-behind} {
				if opens && err != nil {
					t.Errorf("two %s: %v", name, err)
				} else if !opens {
					w.failsWith(err, failure.ExitKeyring, "is locked: its dialog was dismissed.")
				}
			}
			if theirs != ring {
				ring.dialogs += theirs.dialogs
			}
			if ring.dialogs != dialogs {
				t.Errorf("two %s, unlocked %v: %d dialogs, want %d", name, opens, ring.dialogs, dialogs)
			}
			w.counts(map[string]int{"sts": 2})
		}
	}
}

// Whoever waits behind a dialog until the end is told that nobody answered it.
func TestNobodyAtTheDialog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	ring := w.lockRing(false)
	lock := w.lock(unlockLock())
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w.failsIn(short, failure.ExitKeyring, "is locked: nobody answered its dialog.")
	if ring.dialogs != 0 {
		t.Errorf("%d dialogs", ring.dialogs)
	}
	lock.Unlock()
	ring.ends = cache.ErrUnanswered
	for range 2 { // and so is the next one, which does not ask at once
		w.fails(failure.ExitKeyring, "is locked: nobody answered its dialog.")
	}
	if ring.dialogs != 1 {
		t.Errorf("%d dialogs", ring.dialogs)
	}
}

// Ctrl-C at the dialog is not a refusal: the next process asks again.
func TestInterruptAtTheDialog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ctx, interrupt := context.WithCancel(t.Context())
	ring := w.lockRing(false)
	ring.onAsk = interrupt
	w.failsIn(ctx, failure.ExitInterrupt, "interrupted")
	if n := w.pipeline().readNote(loginNote); n.Exit != 0 {
		t.Errorf("noted for those who wait: %+v", n)
	}
	ring.onAsk, ring.ends = nil, nil
	w.mustRun()
}

// The login of a profile without credentials is locked as well, and so is a keyring
// that is to take the first login: that is found out before a code is shown.
func TestLockedLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, opens bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		w, codes := newWorld(t, sandbox.Options{Rotate: true}), 1
		if !c.first {
			w.mustRun()
		}
		ring := w.lockRing(c.opens)
		token, _, err := w.pipeline().IDToken(w.ctx())
		switch {
		case c.opens && (err != nil || token.Empty()):
			t.Errorf("%+v: %v", c, err)
		case c.opens:
		case c.first: // nothing was kept there, so the next one may be kept elsewhere
			codes = 0
			w.failsWith(err, failure.ExitKeyring, "the keyring that would hold the login of corp is locked: its dialog was dismissed.")
			if _, err := w.kept(w.profile()).Place(); !errors.Is(err, cache.ErrMiss) {
				t.Errorf("a place was written: %v", err)
			}
		default:
			w.failsWith(err, failure.ExitKeyring, notGiven)
		}
		w.counts(map[string]int{"device": codes})
		if ring.dialogs != 1 {
			t.Errorf("%+v: %d dialogs", c, ring.dialogs)
		}
	}
}

// Items can be locked one by one: a login whose key can be read is unlocked too.
func TestLockedItem(t *testing.T) {
	t.Parallel()
	for _, item := range []string{"login", "key"} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun(longRole)
		ring := w.lockRing(true)
		ring.only = item
		if _, err := w.run(); err != nil || ring.dialogs != 1 {
			t.Errorf("the %s is locked: %d dialogs, %v", item, ring.dialogs, err)
		}
		w.counts(map[string]int{"device": 1})
	}
}

// Where nobody may be asked for a login, the keyring's password is not asked for;
// nor is it by what renews while old credentials serve, and by status.
func TestNobodyIsAskedForThePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	ring := w.lockRing(true)
	for name, change := range map[string]func(*Pipeline){
		"never":  func(p *Pipeline) { p.Person = func() Person { return Person{Why: "DAYPASS_PROMPT=never"} } },
		"nobody": nobody,
		"no display": func(p *Pipeline) {
			w.on(&lockable{Keyring: ring.Keyring, locked: errLocked, blind: true, onAsk: func() { t.Error("a dialog without a display") }})(p)
		},
	} {
		w.fails(failure.ExitKeyring, cannotShown, change)
		_, _, err := w.pipeline(change).IDToken(w.ctx())
		w.failsWith(err, failure.ExitKeyring, cannotShown)
		_, err = w.pipeline(change).Logout(t.Context())
		w.failsWith(err, failure.ExitKeyring, cannotShown)
		if ring.dialogs != 0 {
			t.Errorf("%s: %d dialogs, want 0", name, ring.dialogs)
		}
	}
	p := w.pipeline()
	_, err := p.idToken(w.ctx(), w.clock.Now(), silently, secret.String{})
	w.failsWith(p.Fill(err), failure.ExitKeyring, cannotShown)
	if s := p.Status(t.Context()); s.Problem != cannotShown || s.Login != nil {
		t.Errorf("status: %+v", s)
	}
	if ring.dialogs != 0 {
		t.Errorf("%d dialogs, want 0", ring.dialogs)
	}
	w.mustRun()
	if ring.dialogs != 1 {
		t.Errorf("%d dialogs where a person is, want 1", ring.dialogs)
	}
}

// Of the two items of a login, one may be gone or damaged. Without its key the login
// renews by itself, and only the roles are gone; without the login a person has to
// come.
func TestOneOfTwoItems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		item    string
		rubbish bool
		device  int
	}{{"key", false, 1}, {"key", true, 1}, {"login", false, 2}, {"login", true, 2}} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		first := w.mustRun()
		items := w.ring.(*memory).items
		for name := range items {
			if strings.HasPrefix(name, c.item) {
				delete(items, name)
				if c.rubbish {
					items[name] = []byte("rubbish")
				}
			}
		}
		w.clock.Advance(time.Hour)
		if again := w.mustRun(); again.AccessKeyID == first.AccessKeyID {
			t.Errorf("%s gone, rubbish %v: the old credentials", c.item, c.rubbish)
		}
		w.counts(map[string]int{"device": c.device, "sts": 2})
		w.mustRun()
		w.mustRun(longRole)
		w.counts(map[string]int{"device": c.device, "sts": 3})
	}
}

// A keyring that gives only one of the key and the login is out of reach. That is
// neither a login that is gone nor a reason for a new key, which would cost all roles.
func TestKeyringFailsBetweenKeyAndLogin(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"get key", "get login"} {
		w := newWorld(t, sandbox.Options{Rotate: true})
		w.mustRun(longRole)
		half := w.failing(broken)
		w.fails(failure.ExitKeyring, "the login of corp is in the disk, which this session cannot reach (input/output error).", half.with(w))
		_, err := w.pipeline(half.with(w)).Login(w.ctx(), true)
		w.failsWith(err, failure.ExitKeyring, "which this session cannot reach")
		if slices.Contains(half.calls, "set key") {
			t.Errorf("%s failed, and a new key was made: %q", broken, half.calls)
		}
		w.mustRun(longRole)
		w.mustRun()
		w.counts(map[string]int{"device": 1, "sts": 2})
	}
}

// cancellable is a keyring that does nothing for a context that has ended, as one
// that is reached over a bus.
type cancellable struct{ cache.Keyring }

func (s cancellable) Get(ctx context.Context, item string) ([]byte, error) {
	value, err := s.Keyring.Get(ctx, item)
	if ctx.Err() != nil {
		return nil, &cache.UnreachableError{Where: "bus", Err: ctx.Err()}
	}
	return value, err
}

func (s cancellable) Set(ctx context.Context, item, label string, value []byte) error {
	if ctx.Err() != nil {
		return &cache.UnreachableError{Where: "bus", Err: ctx.Err()}
	}
	return s.Keyring.Set(ctx, item, label, value)
}

// The store of an answer is not cut off by Ctrl-C: neither new tokens nor a refusal,
// after which a refresh token that has ended is not sent again.
func TestStoreIsNotCancelled(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		w := dueWorld(t, sandbox.Options{})
		before := w.readLogin()
		if refused {
			w.box.EndLogins()
		}
		ctx, interrupt := context.WithCancel(t.Context())
		w.during("/token", interrupt)
		_, err := w.pipeline(w.on(cancellable{w.ring})).Credentials(ctx, ForSDK)
		l := w.readLogin()
		if refused {
			if !l.RefreshToken.Empty() {
				t.Error("the refresh token was kept")
			}
			continue
		}
		w.failsWith(err, failure.ExitInterrupt, "interrupted")
		if l.RefreshToken.Equal(before.RefreshToken.String) || l.IDToken.Equal(before.IDToken.String) || !l.RefreshStarted.IsZero() {
			t.Error("the answer was not stored whole")
		}
	}
}
