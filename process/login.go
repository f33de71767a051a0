package process

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// manner says how far obtaining an ID token may go.
type manner int

const (
	silently     manner = iota // old credentials still serve: renew, ask nobody
	asking                     // ask a person, if one is there and has not left before
	loggingIn                  // a person typed login: what became of earlier codes does not matter
	startingAnew               // likewise, and a login that still renews does not matter either
)

// typed reports whether a person is there and has asked for a login.
func (m manner) typed() bool { return m == loggingIn || m == startingAnew }

// LoggedIn says whose login there is, and for how long.
type LoggedIn struct {
	Who    string
	Until  time.Time // expiry of the ID token
	Renews bool      // a refresh token came: it renews by itself
	Kept   bool      // the login was there before, and was proven to renew
}

// Login logs in now, in front of the person. A login that still renews is kept, after a
// renewal has proved it; anew starts a new one all the same.
func (p *Pipeline) Login(ctx context.Context, anew bool) (LoggedIn, error) {
	started := p.Now()
	how := loggingIn
	if anew {
		how = startingAnew
	}
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return LoggedIn{}, p.Fill(err)
	}
	if l.unstored != nil {
		f := p.keyringFailure(ctx, l.unstored)
		f.Lines[0] = "you are logged in at {host}, but the login could not be stored: " + f.Lines[0]
		return LoggedIn{}, p.Fill(f)
	}
	return LoggedIn{
		Who: who(l.token()), Until: l.Expires, Renews: !l.RefreshToken.Empty(), Kept: l.LoggedIn.Before(started),
	}, nil
}

// IDToken returns an ID token that can be used, and when it expires.
func (p *Pipeline) IDToken(ctx context.Context) (secret.String, time.Time, error) {
	l, err := p.idToken(ctx, p.Now(), asking, secret.String{})
	if err != nil {
		return secret.String{}, time.Time{}, p.Fill(err)
	}
	return l.IDToken.String, l.Expires, nil
}

// idToken returns the login with an ID token that can be used: the cached one, else one
// from the refresh token, else one from a person. rejected is an ID token that AWS has
// refused as expired, whatever our clock says.
func (p *Pipeline) idToken(ctx context.Context, started time.Time, how manner, rejected secret.String) (*login, error) {
	if p.isWorkload() {
		return p.workloadLogin(ctx)
	}
	l, _, err := p.readLogin(ctx)
	if err == nil && l.serves(p.Now(), started, rejected) && !l.key.Empty() && !how.typed() {
		return l, nil
	}
	var tab *inTab
	for {
		l, err := p.lockedIDToken(ctx, started, how, rejected, tab)
		if err == nil && tab != nil && tab.show && !how.typed() {
			p.tellWho(l)
		}
		if err == nil && l.unstored != nil && !how.typed() { // login ends with it
			p.tellNotStored("login", l.unstored)
		}
		if !errors.As(err, &tab) {
			return l, err
		}
		if err := p.awaitTab(ctx, tab); err != nil {
			return nil, err
		}
	}
}

// lockedIDToken is idToken under the login's lock. waited is the browser tab that this
// process has waited for, and has to report how that ended, or nil.
func (p *Pipeline) lockedIDToken(ctx context.Context, started time.Time, how manner, rejected secret.String, waited *inTab) (*login, error) {
	lock, err := p.wait(ctx, p.loginLock(), how)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()

	l, key, err := p.readLogin(ctx)
	if cache.NeedsUnlock(err) && how != silently {
		if err = p.unlock(ctx, how, err); err == nil {
			l, key, err = p.readLogin(ctx)
		}
	}
	if notThere(err) {
		l, err = nil, nil
	}
	if err == nil && l != nil && l.key.Empty() {
		if l.key, err = p.Kept.NewKey(ctx); err == nil {
			err = p.putLogin(ctx, l)
		}
		key = l.key
	}
	if err != nil {
		return nil, p.keyringFailure(ctx, err)
	}
	// The clock may have been set back since.
	another := waited != nil && l != nil && (waited.login == nil || !l.LoggedIn.Equal(waited.login.LoggedIn))
	if l.serves(p.Now(), started, rejected) && (!how.typed() || another || !l.LoggedIn.Before(started)) {
		return l, nil
	}
	n, open := p.readAttempt(key)
	if n.Exit != 0 && n.newerThan(started, p.Now()) && (waited != nil || n.fromProvider() && !how.typed()) {
		return nil, n.failure() // it came while this process waited
	}
	if waited != nil {
		return nil, endedEarly()
	}

	if _, err := p.flow(); err != nil {
		return nil, err
	}
	var ended *failure.Error
	switch {
	case l == nil || l.RefreshToken.Empty() || how == startingAnew:
	case l.NeedsPerson && !how.typed():
		ended = idp.LoginEnded()
	default:
		err := p.renew(ctx, l, n, how)
		if err == nil {
			return l, nil
		}
		// Somebody who ran login is there to act on a refused renewal.
		if !errors.As(err, &ended) || ended.Exit != failure.ExitLogin && !(how.typed() && ended.Exit == failure.ExitRefused) {
			return nil, err
		}
		n, _ = p.readAttempt(key)
	}
	if how == silently {
		return nil, cmp.Or(ended, needsLogin("profile {profile} needs a login."))
	}
	return p.ask(ctx, started, request{login: l, key: key, note: n, open: open, how: how, ended: ended})
}

// serves reports whether the ID token can be sent to STS: it is not the rejected one,
// and not about to expire. One that came since started is as new as possible, however
// short its life.
func (l *login) serves(now, started time.Time, rejected secret.String) bool {
	if l == nil || l.IDToken.Empty() || !rejected.Empty() && l.IDToken.Equal(rejected) || l.Obtained.After(now.Add(5*time.Minute)) {
		return false
	}
	life, left := l.Expires.Sub(l.Obtained), l.Expires.Sub(now)
	return left > min(time.Minute, life/10) || !l.Obtained.Before(started)
}
