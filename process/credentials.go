package process

import (
	"context"
	"encoding/json"
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
	Expires         time.Time
}

// Version1 is the document that the AWS SDKs read from a credential_process: one
// line, whole seconds, with the AccountId that newer SDKs use for endpoints.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
func (c Credentials) Version1() ([]byte, error) {
	document, err := json.Marshal(struct {
		Version         int
		AccessKeyID     string      `json:"AccessKeyId"`
		SecretAccessKey secret.Kept `json:"SecretAccessKey"`
		SessionToken    secret.Kept `json:"SessionToken"`
		Expiration      string
		AccountID       string `json:"AccountId"`
	}{1, c.AccessKeyID, secret.Keep(c.SecretAccessKey), secret.Keep(c.SessionToken), c.Expires.UTC().Format(time.RFC3339), c.AccountID})
	return append(document, '\n'), err
}

// Fresh decides whether cached role credentials are printed as they are: left is
// the time to their expiry, granted the life they were given. With nil, none are.
type Fresh func(left, granted time.Duration) bool

// ForSDK is the rule for credential_process: SDKs run the command again for every
// request once less than 15 minutes are left (botocore, .NET), so renewal comes
// before that, but never in more than the last third of a short life.
func ForSDK(left, granted time.Duration) bool { return left >= min(16*time.Minute, granted/3) }

// ForSession is the rule for a console session or a child process: what they get
// is not renewed, so it should last.
func ForSession(left, granted time.Duration) bool { return left >= granted*3/4 }

const (
	// usableLeft is what old credentials must have left to be served if they cannot be
	// renewed: credentials with less could expire during the request that they sign.
	usableLeft = 60 * time.Second
	// silentTime bounds a renewal while old credentials still serve.
	silentTime = 5 * time.Second
)

// Credentials returns role credentials for the profile: cached while they are
// fresh, else renewed without a person, else after a login, as far as a person
// can be asked.
func (p *Pipeline) Credentials(ctx context.Context, fresh Fresh) (Credentials, error) {
	r, err := p.currentRole(ctx, p.Now(), fresh, asking)
	if err != nil {
		return Credentials{}, p.Fill(err)
	}
	return p.credentials(r), nil
}

func (p *Pipeline) credentials(r *role) Credentials {
	return Credentials{
		AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey.String, SessionToken: r.SessionToken.String,
		AccountID: p.Profile.AccountID, AssumedRole: r.AssumedRole, Expires: r.Expires,
	}
}

// currentRole returns the role credentials in the cache while they are fresh, else
// renewed ones.
func (p *Pipeline) currentRole(ctx context.Context, started time.Time, fresh Fresh, how manner) (*role, error) {
	r, err := p.readRole(ctx)
	p.debug("read credentials", "found", err == nil, "left", r.left(started).Round(time.Second))
	if err == nil && r.fresh(p.Now(), fresh) {
		return r, nil
	}
	if p.Missed != nil {
		ctx = p.Missed(ctx)
	}
	return p.renewedRole(ctx, started, fresh, how, r, err)
}

// renewedRole takes the role's lock, reads again, and renews. While old credentials
// serve, it waits for nobody. read says why there are no old ones. A failure is noted
// before the lock is released, for those who wait for it.
func (p *Pipeline) renewedRole(ctx context.Context, started time.Time, fresh Fresh, how manner, old *role, read error) (renewed *role, err error) {
	var lock *cache.Lock
	defer func() {
		if err != nil {
			p.noteFailure(err)
		}
		if lock != nil {
			lock.Unlock()
		}
	}()
	if read != nil && !cache.NeedsUnlock(read) && !notThere(read) {
		return nil, p.keyringFailure(ctx, read)
	}
	serves := old.usable(p.Now())
	if serves {
		if recent(p.readNote(p.roleNote()).At, p.Now(), renewalPause) {
			return old, nil
		}
		if lock, err = p.Locks.TryLock(p.roleLock()); err != nil {
			return old, nil // another process renews them, or the folder is full
		}
	} else if lock, err = p.wait(ctx, p.roleLock(), how); err != nil {
		return nil, err
	}
	r, err := p.readRole(ctx)
	if cache.NeedsUnlock(err) && !serves && how != silently {
		if err = p.unlock(ctx, how, err); err == nil {
			r, err = p.readRole(ctx)
		}
	}
	switch {
	case notThere(err):
		r = nil // it may be old's: a login that is gone takes them with it
	case err != nil && old.usable(p.Now()):
		return old, nil // the keyring has become unreachable
	case err != nil:
		return nil, p.keyringFailure(ctx, err)
	case r.fresh(p.Now(), fresh), r.issuedSince(started, p.Now()):
		return r, nil
	}
	n := p.readNote(p.roleNote())
	serves = r.usable(p.Now())
	switch shared := n.FromAWS && n.Mark == p.workloadMark() && n.newerThan(started, p.Now()); {
	case shared && serves:
		return r, nil
	case shared:
		return nil, fromAWS{n.failure()}
	case serves:
		return p.renewInTime(ctx, started, r)
	}
	return p.renewRole(ctx, started, how)
}

// noteFailure keeps a failure for the processes that wait for this one, and for
// status: SDKs often lose what daypass said.
func (p *Pipeline) noteFailure(err error) {
	if f := failure.From(err); f.Exit != failure.ExitInterrupt {
		var aws fromAWS
		shared := errors.As(err, &aws) && f.Exit != failure.ExitUsage // what is set here, others may have set otherwise
		p.putNote(p.roleNote(), note{At: wall(p.Now()), Exit: f.Exit, Lines: f.Lines, FromAWS: shared, Mark: p.workloadMark()})
	}
}

// fromAWS wraps a failure of a request to AWS, or to another cloud: whoever waited for it
// would meet the same.
type fromAWS struct{ error }

func (e fromAWS) Unwrap() error { return e.error }

// renewInTime renews while old credentials still serve: silently, and within
// [silentTime], unless the provider has taken the refresh token and keeps its
// answer back. An exchange is not cancelled, so that takes up to 10 s more.
// Whatever goes wrong, the old credentials are the answer, unless their login is
// gone.
func (p *Pipeline) renewInTime(ctx context.Context, started time.Time, old *role) (*role, error) {
	bounded, cancel := endingAfter(ctx, silentTime)
	defer cancel()
	renewed, err := p.renewRole(bounded, started, silently)
	if err == nil {
		return renewed, nil
	}
	if interrupted(ctx) {
		return nil, failure.Interrupted(err)
	}
	if bounded.Err() != nil && failure.From(err).Exit == failure.ExitInterrupt {
		err = failure.New(failure.ExitNetwork, err, "cannot renew: no answer within "+whole(silentTime)+".", notNeeded)
	}
	switch kept, readErr := p.readRole(ctx); {
	case notThere(readErr):
		return nil, loginGone()
	case readErr == nil && kept.usable(p.Now()):
		old = kept
	}
	if p.readNote(p.roleNote()).Exit == 0 { // once in an outage
		p.tell("daypass: " + failure.From(p.Fill(err)).Lines[0] + " The old credentials serve until " + p.clockTime(old.Expires) + ".")
	}
	p.noteFailure(err)
	return old, nil
}

// renewRole trades an ID token for role credentials and stores them. A cached ID
// token that AWS calls expired is renewed once: STS is the judge of time.
func (p *Pipeline) renewRole(ctx context.Context, started time.Time, how manner) (*role, error) {
	if p.scope != "" || p.Profile.Source != nil {
		return p.renewByRole(ctx, started, how)
	}
	p.forRole = true
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return nil, err
	}
	renewed, err := p.assumeRole(ctx, started, l)
	switch {
	case stsSays(err, "ExpiredToken") && l.Obtained.Before(started):
		if l, err = p.idToken(ctx, started, how, l.IDToken.String); err != nil {
			return nil, err
		}
		renewed, err = p.assumeRole(ctx, started, l)
	case isBadToken(err) && started.Sub(l.Obtained) >= renewalPause:
		// The provider may make better ones now; but nobody is asked for that.
		if better, renewalErr := p.idToken(ctx, started, silently, l.IDToken.String); renewalErr == nil {
			l = better
			renewed, err = p.assumeRole(ctx, started, l)
		}
	}
	if err != nil {
		err = p.explain(ctx, l, err, stsRefusals(), tokenLine(l))
	}
	return p.keepRole(ctx, renewed, l.key, err)
}

// keepRole stores what was got for the login that has the key, or says why it was not
// got. A login that is gone is the reason that counts.
func (p *Pipeline) keepRole(ctx context.Context, renewed *role, key cache.Key, refused error) (*role, error) {
	switch {
	case refused == nil:
		renewed.key = key
		return renewed, p.storeRole(ctx, renewed)
	case p.isGone(ctx, key):
		return nil, loginGone()
	}
	return nil, fromAWS{refused}
}

// storeRole keeps new role credentials. The login's lock is not held, so the login may
// have been removed or replaced meanwhile. Then so was its key: the credentials are
// sealed under a key that nobody has any more, and they are not printed either.
func (p *Pipeline) storeRole(ctx context.Context, renewed *role) error {
	if !renewed.key.Empty() { // else nothing of this login is kept
		switch err := seal(p.Kept, renewed.key, p.roleName(), renewed); {
		case errors.Is(err, cache.ErrMiss):
			return loginGone()
		case err != nil:
			p.tellNotStored("new credentials", err)
		}
	}
	if p.isGone(ctx, renewed.key) {
		_ = p.Kept.Remove(p.roleName())
		return loginGone()
	}
	p.dropNote(p.roleNote())
	return nil
}

// isGone reports whether the login has been removed or replaced. That is known only if
// its files are sealed with that key.
func (p *Pipeline) isGone(ctx context.Context, sealed cache.Key) bool {
	key, err := p.Kept.Key(context.WithoutCancel(ctx)) // also if that is over just now
	return !sealed.Empty() && (notThere(err) || err == nil && !key.Equal(sealed.String))
}

// loginGone is the answer if the login was removed or replaced during a renewal.
func loginGone() *failure.Error {
	return needsLogin("the login was removed or replaced while profile {profile} renewed.")
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
	return left > 0 && fresh != nil && fresh(left, r.granted())
}

// issuedSince reports whether another process has stored the credentials while this one
// waited: they are as new as possible, however little time they have left.
func (r *role) issuedSince(started, now time.Time) bool {
	return r.left(now) > 0 && !r.Issued.Before(started)
}

func (r *role) usable(now time.Time) bool { return r.left(now) > usableLeft }
