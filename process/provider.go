// Package process is the pipeline of daypass: cached role credentials, else
// renewed ones, else a login and new ones; and the Version-1 JSON that AWS SDKs
// read from a credential_process.
//
// The decision is [Provider.Credentials] (role credentials) and, beneath it,
// idToken (the login). Both follow the same order: look without a lock, take the
// lock, look again, act, store, and only then answer.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// Provider serves one profile: it is the one face of the pipeline to the
// commands. Network clients are built when first needed, so a cached answer
// costs one read of the keyring.
type Provider struct {
	// Profile is what to serve. For commands on a login alone, only its IDP is set.
	Profile profile.Profile
	Store   cache.Store
	// Everywhere is each storage of this machine, for Logout.
	Everywhere []cache.Store
	Locks      cache.Locks

	// Missed is called when no cached answer serves, before anything is done about
	// it, and returns the context for that; nil: it is the same as before.
	Missed func(context.Context) context.Context
	// Person finds out how a person can be reached from here; nil: nobody can. It
	// is called when there is something to ask.
	Person func() Person
	// Show shows an open device authorization to the person, and opens a browser
	// tab for it where openTab is set. The function it returns ends the showing
	// (a countdown, say). It is called after the authorization was stored.
	Show func(a deviceflow.Authorization, openTab bool) (done func(), err error)
	// Waiting tells the person, until ctx ends, that another process is logging
	// in. open returns the authorization that is waited for, if it is known yet.
	Waiting func(ctx context.Context, open func() (deviceflow.Authorization, bool))
	// Aside starts a process of its own that renews the profile silently, and
	// returns a channel that is closed at its end; nil: it is renewed here.
	Aside func() (ended <-chan struct{}, err error)
	// Tell shows the person one line, where there is a terminal. nil: nobody is told.
	Tell func(line string)

	// Debug takes notes of each step; nil: none are taken.
	Debug *slog.Logger
	// Flow is the OpenID Connect client; nil: built from the Profile.
	Flow *deviceflow.Flow
	// Now is the clock.
	Now func() time.Time
	// Sleep waits for d or until ctx ends.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Person says how a person can be reached. The zero value: not at all.
type Person struct {
	Terminal bool // text can be shown
	Browser  bool // a browser can be opened
	// Why says why nobody can be reached, as the end of "profile dev needs a login,
	// and ...".
	Why string
}

const (
	// exchangeTime is what must be left of the deadline for an exchange to begin:
	// its request has 10 s, and its answer must still be stored.
	exchangeTime = 12 * time.Second
	// storeTime bounds one try to store an answer.
	storeTime = 20 * time.Second
	// unlockTime bounds the wait for a person at the keyring's own dialog.
	unlockTime = 60 * time.Second
	// unlockPause is how long that dialog is not shown again by itself to somebody
	// who has left it: some SDKs start process twice for one command.
	unlockPause = 10 * time.Second
)

func (p *Provider) person() Person {
	if p.Person == nil {
		return Person{}
	}
	return p.Person()
}

func (p *Provider) tell(line string) {
	if p.Tell != nil {
		p.Tell(line)
	}
}

// timeFor reports whether d is left before ctx's deadline, by the Provider's clock.
func (p *Provider) timeFor(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || deadline.Sub(p.Now()) >= d
}

// interrupted reports whether ctx was ended by a signal, and not by its deadline.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// wait takes a lock. While another process holds it, the person is told what is
// waited for, unless old credentials serve and nobody needs to know.
func (p *Provider) wait(ctx context.Context, name string, how manner) (*cache.Lock, error) {
	lock, err := p.Locks.TryLock(name)
	if !errors.Is(err, cache.ErrBusy) {
		return lock, p.lockFailure(ctx, err)
	}
	if p.Waiting != nil && how != silently {
		told, stop := context.WithCancel(ctx)
		shown := make(chan struct{})
		go func() {
			defer close(shown)
			p.Waiting(told, func() (deviceflow.Authorization, bool) { return p.openAuthorization(told) })
		}()
		defer func() { stop(); <-shown }()
	}
	p.debug("wait for lock", "name", name)
	lock, err = p.Locks.Lock(ctx, name)
	p.debug("waited", "name", name, "got", err == nil)
	return lock, p.lockFailure(ctx, err)
}

// lockFailure explains why a lock was not had; nil stays nil.
func (p *Provider) lockFailure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case interrupted(ctx):
		return interruptedFailure(err)
	case errors.Is(err, context.DeadlineExceeded):
		if a, ok := p.openAuthorization(context.WithoutCancel(ctx)); ok {
			return p.gaveUp(a, p.Profile.IDP.ProcessTimeout)
		}
		return failure.New(failure.ExitNetwork, err,
			"another daypass is still renewing profile "+p.name()+" after "+whole(p.Profile.IDP.ProcessTimeout)+".",
			"Repeat your command. If it stays so: daypass status"+p.profileFlag())
	default:
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("no lock could be taken in the folder %q: %v.", p.Locks.Dir, reason(err)),
			"Check that the folder is yours, writable, and not full.")
	}
}

// openAuthorization is the device authorization that another process waits on.
func (p *Provider) openAuthorization(ctx context.Context) (deviceflow.Authorization, bool) {
	a, err := p.readAttempt(ctx)
	if err != nil || a.Open == nil || !p.Now().Before(a.Open.Expires) {
		return deviceflow.Authorization{}, false
	}
	return a.Open.deviceflow(), true
}

// refusedUnlock is a file of the state folder: when a person last left the
// keyring's dialog without unlocking it.
const refusedUnlock = "unlock-refused"

// unlock asks for the keyring to be unlocked. However many processes find it
// locked, of whatever login, one dialog is raised; those that waited behind one
// that was left end with it, and so does the next for [unlockPause]. Where nobody
// is asked to log in, nobody is asked for a password either.
func (p *Provider) unlock(ctx context.Context, started time.Time, how manner) error {
	who := p.person()
	if err := p.stillLocked(ctx); err == nil || !p.Store.CanAsk() || !who.Terminal && !who.Browser {
		return err // nobody waits for a dialog at another screen
	}
	lock, err := p.Locks.Lock(ctx, "unlock")
	if errors.Is(err, context.DeadlineExceeded) {
		return &cache.UnreachableError{Where: p.Store.Name(), Locked: true, Err: cache.ErrUnanswered}
	}
	if err != nil {
		return p.lockFailure(ctx, err)
	}
	defer lock.Unlock()
	if p.stillLocked(ctx) == nil {
		return nil // the one before us unlocked it
	}
	var left time.Time
	if data, err := cache.ReadFile(p.Locks.Dir, refusedUnlock, 64); err == nil {
		_ = left.UnmarshalText(data)
	}
	if !how.typed() {
		started = started.Add(-unlockPause)
	}
	if !left.Before(started) && !left.After(p.Now()) {
		return &cache.UnreachableError{Where: p.Store.Name(), Locked: true, Err: cache.ErrDismissed}
	}
	bounded, cancel := context.WithTimeout(ctx, unlockTime)
	defer cancel()
	err = p.Store.Unlock(bounded)
	if err != nil && !interrupted(ctx) {
		if text, textErr := wall(p.Now()).MarshalText(); textErr == nil {
			_ = cache.WriteFile(p.Locks.Dir, refusedUnlock, text)
		}
	}
	return err
}

// stillLocked returns the error with which a locked keyring keeps the login back,
// and nil for every other answer: whoever reads the login comes upon that.
func (p *Provider) stillLocked(ctx context.Context) error {
	if _, err := p.Store.Get(ctx, loginKey(p.Profile.IDP)); needsUnlock(err) {
		return err
	}
	return nil
}

func (p *Provider) loginLock() string { return "login-" + loginKey(p.Profile.IDP) }

// readLogin reads the login record.
func (p *Provider) readLogin(ctx context.Context) (*login, error) {
	data, err := p.Store.Get(ctx, loginKey(p.Profile.IDP))
	if err != nil {
		return nil, err
	}
	return decode(data, p.Store.Name(), func(l *login) int { return l.Version })
}

// readAttempt reads the attempt record; none is an empty one. An attempt older
// than a day no longer says whether somebody sits there.
func (p *Provider) readAttempt(ctx context.Context) (*attempt, error) {
	none := &attempt{Version: formVersion}
	data, err := p.Store.Get(ctx, attemptKey(loginKey(p.Profile.IDP)))
	if notThere(err) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	a, err := decode(data, p.Store.Name(), func(a *attempt) int { return a.Version })
	if err != nil {
		return none, nil
	}
	p.settle(a)
	// What a clock that ran ahead has stored says nothing.
	if a.Outcome != nil && !recent(a.Outcome.At, p.Now(), attemptKept) {
		a.Outcome = nil
	}
	if !recent(a.LastCode, p.Now(), attemptKept) {
		a.Codes = 0
	}
	return a, nil
}

// recent reports whether at lies within the time before now, give or take the
// second by which clocks are set.
func recent(at, now time.Time, within time.Duration) bool {
	age := now.Sub(at)
	return age > -time.Second && age < within
}

// put stores a record. The store belongs to the exchange whose answer it keeps,
// so it is not cancelled; it is bounded, and tried twice.
func (p *Provider) put(ctx context.Context, key string, record any) error {
	if l, ok := record.(*login); ok {
		l.Roles = p.rolesOf(l) // should the index be lost
	}
	var data []byte
	var err error
	var until time.Time // a login and its attempts are kept
	if r, ok := record.(*role); ok {
		until = r.until()
		data, err = r.text()
	} else {
		data, err = json.Marshal(record)
	}
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		err := p.Store.Set(bounded, key, data, until)
		cancel()
		p.debug("store", "in", p.Store.Name(), "bytes", len(data), "ok", err == nil)
		if err == nil || try == 1 {
			return err
		}
	}
}

// putAnswer stores what the provider gives only once. A keyring that is just being
// restarted or unlocked is waited for.
func (p *Provider) putAnswer(ctx context.Context, key string, l *login) error {
	ctx = context.WithoutCancel(ctx)
	until := p.Now().Add(storeTime)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := p.put(ctx, key, l)
		var unreachable *cache.UnreachableError
		if !errors.As(err, &unreachable) || !p.Now().Add(pause).Before(until) {
			return err
		}
		_ = p.Sleep(ctx, pause)
	}
}

// notThere reports whether a read found no usable record: none, or rubbish.
func notThere(err error) bool {
	var unreadable *cache.UnreadableError
	return errors.Is(err, cache.ErrMiss) || errors.As(err, &unreadable)
}

// needsUnlock reports whether a read failed because the storage is locked.
func needsUnlock(err error) bool {
	var unreachable *cache.UnreachableError
	return errors.As(err, &unreachable) && unreachable.Locked
}
