package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
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
// can be asked. Every error is a [*Failure].
func (p *Provider) Credentials(ctx context.Context, fresh Fresh) (Credentials, error) {
	started := p.now()
	old, err := p.readRole(ctx)
	if err == nil && (old.fresh(p.now(), fresh) || old.usable(p.now()) && old.pausing(p.now())) {
		return old.credentials(p.Profile.AccountID), nil
	}
	if err != nil && !needsUnlock(err) && !notThere(err) {
		return Credentials{}, p.keyringFailure(err)
	}
	lock, err := p.lockRole(ctx, old)
	if errors.Is(err, cache.ErrBusy) {
		return old.credentials(p.Profile.AccountID), nil // another process renews them
	}
	if err != nil {
		return Credentials{}, err
	}
	defer lock.Unlock()

	old, err = p.readRoleUnlocking(ctx)
	if err != nil {
		return Credentials{}, p.keyringFailure(err)
	}
	if old.fresh(p.now(), fresh) || old.issuedSince(started, p.now()) {
		return old.credentials(p.Profile.AccountID), nil
	}
	if refusal := old.refusedSince(started); refusal != nil {
		return Credentials{}, refusal.failure()
	}
	if !old.usable(p.now()) {
		renewed, err := p.renewRole(ctx, started, asking, old)
		if err != nil {
			return Credentials{}, err
		}
		return renewed.credentials(p.Profile.AccountID), nil
	}
	if p.Aside != nil {
		lock.Unlock() // it is the other process that takes it
		return p.renewAside(ctx, old)
	}
	return p.renewInTime(ctx, started, old)
}

// renewInTime renews while old credentials still serve: silently, and within
// [silentTime], unless the provider has taken the refresh token and keeps its
// answer back. An exchange is not cancelled, so that takes up to 10 s more.
func (p *Provider) renewInTime(ctx context.Context, started time.Time, old *role) (Credentials, error) {
	// Ended by a timer and not by a deadline: what is left to ctx's deadline
	// decides whether an exchange may start.
	bounded, cancel := context.WithCancel(ctx)
	defer time.AfterFunc(silentTime, cancel).Stop()
	defer cancel()
	renewed, err := p.renewRole(bounded, started, silently, old)
	switch {
	case err == nil:
		return renewed.credentials(p.Profile.AccountID), nil
	case interrupted(ctx):
		return Credentials{}, err
	}
	if old.Failed == nil || old.Failed.At.Before(started) {
		p.storeFailed(ctx, old, old.LoginID, renewalFailed, asFailure(err))
	}
	return old.credentials(p.Profile.AccountID), nil
}

// renewAside renews while old credentials still serve, in a process of its own
// that may outlive this one: so the caller has an answer within [silentTime],
// whatever the provider does, and no exchange is cut off.
func (p *Provider) renewAside(ctx context.Context, old *role) (Credentials, error) {
	ended, err := p.Aside()
	if err == nil {
		waiting, stop := context.WithCancel(ctx)
		defer stop()
		slept := make(chan error, 1)
		go func() { slept <- p.Sleep(waiting, silentTime) }()
		select {
		case <-ended:
		case <-slept:
		}
		if interrupted(ctx) {
			return Credentials{}, interruptedFailure(ctx.Err())
		}
	}
	if renewed, err := p.readRole(ctx); err == nil && renewed.usable(p.now()) {
		return renewed.credentials(p.Profile.AccountID), nil
	}
	return old.credentials(p.Profile.AccountID), nil
}

// lockRole takes the role's lock. While old credentials still serve it does not
// wait: [cache.ErrBusy] then says that another process is renewing them.
func (p *Provider) lockRole(ctx context.Context, old *role) (*cache.Lock, error) {
	name := "role-" + roleKey(p.Profile)
	if old.usable(p.now()) {
		return p.Locks.TryLock(name)
	}
	return p.wait(ctx, name)
}

// renewRole trades an ID token for role credentials and stores them. An ID token
// that AWS calls expired is renewed once: STS is the judge of time.
func (p *Provider) renewRole(ctx context.Context, started time.Time, how manner, old *role) (*role, error) {
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return nil, err
	}
	renewed, err := p.assumeRole(ctx, l)
	if isExpiredToken(err) {
		if l, err = p.idToken(ctx, started, how, l.IDToken.String); err != nil {
			return nil, err
		}
		renewed, err = p.assumeRole(ctx, l)
	}
	if err != nil {
		f := p.explainSTS(ctx, l, err)
		if f.Exit != ExitInterrupt {
			p.storeFailed(ctx, old, l.ID, refused, f)
		}
		return nil, f
	}
	if err := p.storeRole(ctx, l, renewed); err != nil {
		return nil, err
	}
	return renewed, nil
}

// storeRole keeps new role credentials, unless the login they were made from has
// been removed or replaced meanwhile: a logout wins.
//
// There is no lock over the login here, so the order matters: the record is
// written first and the login read after. A logout removes the login first and
// the roles after; so one of the two always sees the other.
func (p *Provider) storeRole(ctx context.Context, l *login, renewed *role) error {
	key := roleKey(p.Profile)
	p.remember(indexEntry{Kind: kindRole, Key: key, Login: loginKey(p.Profile.IDP), IDP: p.Profile.IDP.Name, Profile: p.Profile.Name})
	if err := p.put(ctx, key, renewed); err != nil {
		p.tellNotStored("new credentials", err)
		return nil
	}
	current, err := p.readLogin(ctx)
	gone := errors.Is(err, cache.ErrMiss) || err == nil && current.ID != l.ID
	if !gone {
		return nil
	}
	_ = p.Store.Delete(context.WithoutCancel(ctx), key)
	return fail(ExitLogin, nil,
		"the login was removed or replaced while profile "+p.name()+" renewed.",
		"Run: "+p.loginCommand())
}

// storeFailed leaves a failure beside the credentials. One of STS (refused) is for
// the processes that wait behind this one: they would only fail too. Any keeps
// AWS and the provider from being asked at every call while old credentials serve.
func (p *Provider) storeFailed(ctx context.Context, old *role, loginID, kind string, f *Failure) {
	record := &role{Version: formVersion, LoginID: loginID, RoleARN: p.Profile.RoleARN}
	if old != nil {
		record = old
	}
	record.Failed = &outcome{Kind: kind, At: wall(p.now()), Exit: f.Exit, Lines: f.Lines}
	_ = p.put(ctx, roleKey(p.Profile), record)
}

// readRole reads the role record without a lock and without unlocking anything.
func (p *Provider) readRole(ctx context.Context) (*role, error) {
	data, err := p.Store.Get(ctx, roleKey(p.Profile))
	if err != nil {
		return nil, err
	}
	return decode(data, p.Store.Name(), func(r *role) int { return r.Version })
}

// readRoleUnlocking reads the role record under its lock, asks for a locked
// keyring to be unlocked, and drops what no longer counts: a record made from
// another login than the one that stands. No record is nil.
func (p *Provider) readRoleUnlocking(ctx context.Context) (*role, error) {
	r, err := p.readRole(ctx)
	if needsUnlock(err) {
		if err := p.unlock(ctx); err != nil {
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
func (r *role) refusedSince(started time.Time) *outcome {
	if r == nil || r.Failed == nil || r.Failed.Kind != refused || r.Failed.At.Before(started) {
		return nil
	}
	return r.Failed
}

// pausing reports whether a renewal has just failed.
func (r *role) pausing(now time.Time) bool {
	return r.Failed != nil && now.Sub(r.Failed.At) < renewalPause
}

func (r *role) credentials(account string) Credentials {
	return Credentials{
		AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey.String, SessionToken: r.SessionToken.String,
		AccountID: account, AssumedRole: r.AssumedRole, Issued: r.Issued, Expires: r.Expires,
	}
}
