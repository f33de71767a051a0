package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// Credentials are role credentials from STS.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String
	AccountID       string
	AssumedRole     string // ARN of the session
	Issued, Expires time.Time
}

// Fresh decides whether cached role credentials are printed as they are: left is
// the time to their expiry, granted the life they were given.
type Fresh func(left, granted time.Duration) bool

// ForSDK is the rule for credential_process: SDKs run the command again for every
// request once less than 15 minutes are left (botocore, .NET), so renewal comes
// before that, but never in more than the last third of a short life.
func ForSDK(left, granted time.Duration) bool { return left >= min(16*time.Minute, granted/3) }

// ForSession is the rule for a console session or a child process: what they get
// is not renewed, so it should last.
func ForSession(left, granted time.Duration) bool { return left >= granted*3/4 }

const (
	// usableLeft is what old credentials must have left to be served when they
	// cannot be renewed: less could end within the request they are signed for.
	usableLeft = 60 * time.Second
	// silentTime bounds a renewal while old credentials still serve.
	silentTime = 5 * time.Second
)

// Credentials returns role credentials for the profile: cached while they are
// fresh, else renewed without a person, else after a login, as far as a person
// can be asked. Every error is a [*failure.Error].
func (p *Provider) Credentials(ctx context.Context, fresh Fresh) (Credentials, error) {
	started := p.Now()
	old, err := p.readRole(ctx)
	p.debug("read credentials", "in", p.Store.Name(), "found", err == nil, "left", old.left(started).Round(time.Second))
	if err == nil && (old.fresh(p.Now(), fresh) || old.usable(p.Now()) && old.pausing(p.Now())) {
		return old.credentials(p.Profile.AccountID), nil
	}
	if p.Missed != nil {
		ctx = p.Missed(ctx)
	}
	if err != nil && !needsUnlock(err) && !notThere(err) {
		return Credentials{}, p.failed(p.keyringFailure(ctx, err))
	}
	found, err := p.renewedRole(ctx, started, fresh, old)
	if err != nil {
		return Credentials{}, p.failed(err)
	}
	return found.credentials(p.Profile.AccountID), nil
}

// renewedRole takes the role's lock, reads again, and renews. While old
// credentials serve it waits for nobody, and they are the answer to whatever
// goes wrong, but for a login that is gone.
func (p *Provider) renewedRole(ctx context.Context, started time.Time, fresh Fresh, old *role) (*role, error) {
	name := "role-" + roleKey(p.Profile)
	var lock *cache.Lock
	var err error
	if old.usable(p.Now()) {
		lock, err = p.Locks.TryLock(name)
		if err != nil {
			return old, nil // another process renews them, or the folder is full
		}
	} else if lock, err = p.wait(ctx, name, asking); err != nil {
		return nil, err
	}
	defer lock.Unlock()

	now, err := p.readRoleUnlocking(ctx, started)
	switch {
	case err != nil && old.usable(p.Now()):
		return old, nil // the keyring went away in between
	case err != nil:
		return nil, p.keyringFailure(ctx, err)
	case now.fresh(p.Now(), fresh), now.issuedSince(started, p.Now()):
		return now, nil
	}
	if refusal := now.refusedSince(started, p.Now()); refusal != nil {
		return nil, refusal.failure()
	}
	switch {
	case !now.usable(p.Now()):
		return p.renewRole(ctx, started, asking, now)
	case p.Aside != nil:
		lock.Unlock() // it is the other process that takes it
		return p.renewAside(ctx, name, now)
	}
	return p.renewInTime(ctx, started, now)
}

// renewInTime renews while old credentials still serve: silently, and within
// [silentTime], unless the provider has taken the refresh token and keeps its
// answer back. An exchange is not cancelled, so that takes up to 10 s more.
func (p *Provider) renewInTime(ctx context.Context, started time.Time, old *role) (*role, error) {
	// Ended by a timer and not by a deadline: what is left to ctx's deadline
	// decides whether an exchange may start.
	bounded, cancel := context.WithCancel(ctx)
	defer time.AfterFunc(silentTime, cancel).Stop()
	defer cancel()
	renewed, err := p.renewRole(bounded, started, silently, old)
	switch {
	case err == nil:
		return renewed, nil
	case interrupted(ctx), errors.Is(err, errLoginGone):
		return nil, err
	}
	if old.Failed == nil || old.Failed.At.Before(started) {
		if p.storeFailed(ctx, old, old.LoginID, renewalFailed, failure.From(err)) {
			return nil, p.loginGone()
		}
	}
	return old, nil
}

// renewAside renews while old credentials still serve, in a process of its own
// that may outlive this one: so the caller has an answer within [silentTime],
// whatever the provider does, and no exchange is cut off.
func (p *Provider) renewAside(ctx context.Context, name string, old *role) (*role, error) {
	// Held by whoever started the other process: the next ones start no more.
	lock, err := p.Locks.TryLock("aside-" + name)
	if err != nil {
		return old, nil
	}
	defer lock.Unlock()
	ended, err := p.Aside()
	if err != nil {
		return old, nil
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	slept := make(chan error, 1)
	go func() { slept <- p.Sleep(waiting, silentTime) }()
	select {
	case <-ended:
	case <-slept:
	}
	if interrupted(ctx) {
		return nil, interruptedFailure(ctx.Err())
	}
	renewed, err := p.readRole(ctx)
	switch {
	case errors.Is(err, cache.ErrMiss):
		return nil, p.loginGone()
	case err == nil && renewed.LoginID != old.LoginID && !renewed.usable(p.Now()):
		return nil, p.loginGone() // somebody else's, and what is old is not theirs
	case err != nil || !renewed.usable(p.Now()):
		return old, nil
	}
	if renewed.Failed != nil && old.Failed == nil { // once an outage
		p.tell("daypass: " + renewed.Failed.Lines[0] + " The old credentials serve until " + p.clockTime(renewed.Expires) + ".")
	}
	return renewed, nil
}

// renewRole trades an ID token for role credentials and stores them. A cached ID
// token that AWS calls expired is renewed once: STS is the judge of time.
func (p *Provider) renewRole(ctx context.Context, started time.Time, how manner, old *role) (*role, error) {
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return nil, err
	}
	renewed, err := p.assumeRole(ctx, l)
	p.debug("assume role", "role", p.Profile.RoleARN, "ok", err == nil)
	switch {
	case isExpiredToken(err) && l.Obtained.Before(started):
		if l, err = p.idToken(ctx, started, how, l.IDToken.String); err != nil {
			return nil, err
		}
		renewed, err = p.assumeRole(ctx, l)
	case isBadToken(err) && started.Sub(l.Obtained) >= renewalPause:
		// The provider may make better ones now; but nobody is asked for that.
		if better, renewalErr := p.idToken(ctx, started, silently, l.IDToken.String); renewalErr == nil {
			l = better
			renewed, err = p.assumeRole(ctx, l)
		}
	}
	if err != nil {
		f := p.explainSTS(ctx, l, err)
		if f.Exit != failure.ExitInterrupt {
			if p.storeFailed(ctx, old, l.ID, refused, f) {
				return nil, p.loginGone()
			}
		}
		return nil, f
	}
	if err := p.storeRole(ctx, l, renewed); err != nil {
		return nil, err
	}
	return renewed, nil
}

// errLoginGone says that the login was removed or replaced during a renewal.
var errLoginGone = errors.New("the login is gone")

func (p *Provider) loginGone() *failure.Error {
	return failure.New(failure.ExitLogin, errLoginGone, "the login was removed or replaced while profile "+p.name()+" renewed.", "Run: "+p.loginCommand())
}

// storeRole keeps new role credentials, unless the login they were made from has
// been removed or replaced meanwhile: a logout wins.
func (p *Provider) storeRole(ctx context.Context, l *login, renewed *role) error {
	key := roleKey(p.Profile)
	p.remember(indexEntry{Kind: kindRole, Key: key, Login: loginKey(p.Profile.IDP), IDP: p.Profile.IDP.Name, Profile: p.Profile.Name})
	if err := p.put(ctx, key, renewed); err != nil {
		p.tellNotStored("new credentials", err)
		return nil
	}
	if l.unstored == nil && p.withdrawIfGone(ctx, l.ID) {
		return p.loginGone()
	}
	return nil
}

// withdrawIfGone deletes the role record that was just written if the login with
// the id no longer stands.
//
// There is no lock over the login here, so the order matters: the record is
// written first and the login read after. A logout removes the login first and
// the roles after; so one of the two always sees the other.
func (p *Provider) withdrawIfGone(ctx context.Context, loginID string) bool {
	current, err := p.readLogin(ctx)
	if err == nil && current.ID != loginID {
		// A login of the same person stands under a passing id while its ID token is
		// verified: who holds the lock has finished.
		bounded, cancel := context.WithTimeout(ctx, exchangeTime)
		defer cancel()
		lock, lockErr := p.Locks.Lock(bounded, p.loginLock())
		if lockErr != nil {
			return false // whoever holds it drops this role, if it is another person
		}
		current, err = p.readLogin(ctx)
		lock.Unlock()
	}
	gone := errors.Is(err, cache.ErrMiss) || err == nil && current.ID != loginID
	if gone {
		_ = p.remove(ctx, roleKey(p.Profile))
	}
	return gone
}

// storeFailed leaves a failure beside the credentials. One of STS (refused) is for
// the processes that wait behind this one: they would only fail too. Any keeps
// AWS and the provider from being asked at every call while old credentials serve.
// It reports whether the login of the credentials is gone.
func (p *Provider) storeFailed(ctx context.Context, old *role, loginID, kind string, f *failure.Error) (gone bool) {
	record := &role{LoginID: loginID}
	if old != nil && old.LoginID == loginID {
		record = old
	}
	record.Failed = &outcome{Kind: kind, At: wall(p.Now()), Exit: f.Exit, Lines: f.Lines}
	if p.put(ctx, roleKey(p.Profile), record) != nil {
		return false
	}
	return p.withdrawIfGone(ctx, loginID)
}

// readRole reads the role record without a lock and without unlocking anything.
func (p *Provider) readRole(ctx context.Context) (*role, error) {
	data, err := p.Store.Get(ctx, roleKey(p.Profile))
	if err != nil {
		return nil, err
	}
	return decodeRole(data, p.Store.Name())
}

// readRoleUnlocking reads the role record under its lock, asks for a locked
// keyring to be unlocked, and drops what no longer counts: a record made from
// another login than the one that stands. No record is nil.
func (p *Provider) readRoleUnlocking(ctx context.Context, started time.Time) (*role, error) {
	r, err := p.readRole(ctx)
	if needsUnlock(err) {
		lock, lockErr := p.wait(ctx, p.loginLock(), asking)
		if lockErr != nil {
			return nil, lockErr
		}
		err = p.unlock(ctx, started, asking)
		lock.Unlock()
		if err != nil {
			return nil, err
		}
		r, err = p.readRole(ctx)
	}
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := p.readLogin(ctx)
	if err == nil && l.ID != r.LoginID || notThere(err) {
		return nil, nil
	}
	return r, nil
}

// left is what remains of the credentials; nothing for no record, or for one that
// cannot be true: issued in the future, or with more left than was granted.
func (r *role) left(now time.Time) time.Duration {
	if r == nil || r.AccessKeyID == "" || r.Issued.After(now.Add(5*time.Minute)) {
		return 0
	}
	left := r.Expires.Sub(now)
	if left > r.granted() {
		return 0
	}
	return left
}

func (r *role) granted() time.Duration { return r.Expires.Sub(r.Issued) }

func (r *role) fresh(now time.Time, fresh Fresh) bool {
	left := r.left(now)
	return left > 0 && fresh(left, r.granted())
}

// issuedSince reports whether another process has stored the credentials while
// this one waited: they are as new as they get, whatever they have left.
func (r *role) issuedSince(started, now time.Time) bool {
	return r.left(now) > 0 && !r.Issued.Before(started)
}

func (r *role) usable(now time.Time) bool { return r.left(now) > usableLeft }

// refusedSince is the failure of STS that a process met while this one waited.
func (r *role) refusedSince(started, now time.Time) *outcome {
	if r == nil || r.Failed == nil || r.Failed.Kind != refused || r.Failed.At.Before(started) || r.Failed.At.After(now) {
		return nil
	}
	return r.Failed
}

// pausing reports whether a renewal has just failed.
func (r *role) pausing(now time.Time) bool {
	return r.Failed != nil && recent(r.Failed.At, now, renewalPause)
}

func (r *role) credentials(account string) Credentials {
	return Credentials{
		AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey, SessionToken: r.SessionToken,
		AccountID: account, AssumedRole: r.AssumedRole, Issued: r.Issued, Expires: r.Expires,
	}
}
