package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// manner says how far obtaining an ID token may go.
type manner int

const (
	silently     manner = iota // old credentials still serve: renew, ask nobody
	asking                     // ask a person, if one is there and has not left before
	loggingIn                  // a person typed login: what became of earlier codes does not matter
	startingAnew               // likewise, and the login that stands does not matter either
)

// typed reports whether a person stands there and has asked for a login.
func (m manner) typed() bool { return m == loggingIn || m == startingAnew }

const (
	// attemptKept is how long an outcome keeps process from asking again.
	attemptKept = 24 * time.Hour
	// renewalPause is how long the provider is left alone after a failed renewal.
	renewalPause = 30 * time.Second
	// codesForAnEmptyChair is how many codes process shows before it stops asking
	// somebody who does not answer: one with a browser tab, the others as text.
	codesForAnEmptyChair = 3
)

// idToken returns the login with an ID token that serves: the cached one, else
// one from the refresh token, else one from a person. rejected is an ID token
// that AWS has refused as expired, whatever our clock says.
func (p *Provider) idToken(ctx context.Context, started time.Time, how manner, rejected secret.String) (*login, error) {
	l, err := p.readLogin(ctx)
	if err == nil && l.serves(p.Now(), rejected) && !how.typed() {
		return l, nil
	}
	lock, err := p.wait(ctx, p.loginLock(), how)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()

	l, err = p.readLogin(ctx)
	if needsUnlock(err) && how != silently {
		if err = p.unlock(ctx, started, how); err == nil {
			l, err = p.readLogin(ctx)
		}
	}
	if notThere(err) {
		l, err = nil, nil
	}
	if err != nil {
		return nil, p.keyringFailure(ctx, err)
	}
	if l.serves(p.Now(), rejected) && (!how.typed() || !l.LoggedIn.Before(started)) {
		return l, nil
	}
	a, err := p.readAttempt(ctx)
	if err != nil {
		return nil, p.keyringFailure(ctx, err)
	}
	if a.Outcome != nil && !a.Outcome.At.Before(started) && !how.typed() {
		return nil, a.Outcome.failure() // it came while this process waited
	}

	var ended *failure.Error
	switch {
	case l == nil || l.RefreshToken.Empty() || how == startingAnew:
	case l.NeedsPerson && !how.typed():
		ended = p.loginEnded(nil)
	default:
		err := p.renew(ctx, l, a, how)
		if err == nil {
			return l, nil
		}
		// Who typed login can answer a provider that refuses the renewal.
		if !errors.As(err, &ended) || ended.Exit != failure.ExitLogin && !(how.typed() && ended.Exit == failure.ExitRefused) {
			return nil, err
		}
	}
	if how == silently {
		if ended == nil {
			ended = p.noLogin()
		}
		return nil, ended
	}
	return p.ask(ctx, started, l, a, how, ended)
}

// serves reports whether the cached ID token can be sent to STS: it is not the
// rejected one and not about to expire.
func (l *login) serves(now time.Time, rejected secret.String) bool {
	if l == nil || l.IDToken.Empty() || !rejected.Empty() && l.IDToken.Equal(rejected) {
		return false
	}
	life, left := l.Expires.Sub(l.Obtained), l.Expires.Sub(now)
	return left > min(time.Minute, life/10) && !l.Obtained.After(now.Add(5*time.Minute))
}

// renew is the exchange of the refresh token. The login record is marked before
// the token is sent: that proves that the answer can be stored, and tells the
// next process, should this one die, that an answer was lost.
//
// A failure with [failure.ExitLogin] says that the token is spent or that the provider
// wants to see a person; any other leaves the login as it was.
func (p *Provider) renew(ctx context.Context, l *login, a *attempt, how manner) error {
	if a.pausing(p.Now()) && !how.typed() {
		return a.Outcome.failure()
	}
	flow, err := p.flow()
	if err != nil {
		return err
	}
	// Discovery first: what can be cancelled and retried is done before the mark.
	if err := flow.Prepare(ctx); err != nil {
		return p.renewalFailure(ctx, a, err)
	}
	if !p.timeFor(ctx, exchangeTime) || ctx.Err() != nil {
		return p.outOfTime(ctx)
	}
	key := loginKey(p.Profile.IDP)
	answerLost := !l.RefreshStarted.IsZero()
	l.RefreshStarted = wall(p.Now())
	if err := p.put(ctx, key, l); err != nil {
		return p.keyringFailure(ctx, err)
	}
	if !p.timeFor(ctx, exchangeTime) || ctx.Err() != nil {
		return p.outOfTime(ctx) // the keyring was slow
	}
	p.debug("renew the login", "answer lost before", answerLost)
	tokens, err := flow.Refresh(ctx, l.RefreshToken.String)
	if isLost(err) && ctx.Err() == nil && p.timeFor(ctx, exchangeTime) {
		// At once: the grace that some providers give a used token is seconds. Also
		// where the mark was there: its process may have died before it sent anything.
		answerLost = true
		tokens, err = flow.Refresh(ctx, l.RefreshToken.String)
	}
	if err == nil {
		return p.storeRenewed(ctx, l, a, tokens)
	}
	if isLost(err) && !answerLost {
		// A signal came, or no time was left to send the token again. The next process
		// finds the mark, and does that at once: a pause could outlast the grace.
		if interrupted(ctx) {
			return interruptedFailure(err)
		}
		return p.explainProvider(err)
	}
	ended := invalidGrant(err) && !isLost(err)
	if ended || !answerLost && !isLost(err) {
		l.RefreshStarted = time.Time{} // else the mark stays: an answer is not known
	}
	if ended {
		l.RefreshToken = kept{}
	}
	l.NeedsPerson = !ended && !isLost(err) && wantsPerson(err)
	if stored := p.put(ctx, key, l); stored != nil {
		return p.keyringFailure(ctx, stored)
	}
	if ended || l.NeedsPerson {
		return p.loginEnded(err)
	}
	return p.renewalFailure(ctx, a, err)
}

// storeRenewed stores the answer to a renewal: the refresh token before anything
// else, for the old one may be spent; the ID token after it was verified.
func (p *Provider) storeRenewed(ctx context.Context, l *login, a *attempt, tokens deviceflow.Tokens) error {
	ctx = context.WithoutCancel(ctx)
	key := loginKey(p.Profile.IDP)
	rotated := !tokens.RefreshToken.Empty() && !tokens.RefreshToken.Equal(l.RefreshToken.String)
	if rotated {
		l.RefreshToken = keep(tokens.RefreshToken)
	}
	l.RefreshStarted, l.NeedsPerson = time.Time{}, false
	var stored error
	if rotated {
		stored = p.putAnswer(ctx, key, l)
	}
	verified, err := p.verifyRenewed(ctx, l, tokens.IDToken)
	if err != nil {
		if !rotated || stored != nil {
			_ = p.put(ctx, key, l)
		}
		return p.renewalFailure(ctx, a, err) // or each caller would renew once more
	}
	if l.Claims.Subject == "" {
		p.dropRoles(ctx, l) // a login whose first ID token could not be verified: whose it is, is known only now
	}
	l.take(tokens.IDToken, verified, p.Now())
	if err := p.put(ctx, key, l); err != nil {
		l.unstored = err
		p.tellNotStored("renewed login", err)
	}
	if a.Open != nil || a.Codes > 0 || a.Outcome != nil {
		_ = p.remove(ctx, attemptKey(key)) // it has ended well
	}
	return nil
}

// verifyRenewed checks the ID token that came with a renewal: it must be the
// same person's, at the same issuer.
func (p *Provider) verifyRenewed(ctx context.Context, l *login, idToken secret.String) (deviceflow.Claims, error) {
	if idToken.Empty() {
		return deviceflow.Claims{}, p.noIDToken()
	}
	c, err := p.verify(ctx, idToken)
	if err == nil && l.Claims.Subject != "" && c.Subject != l.Claims.Subject {
		err = &deviceflow.TokenError{Claim: "sub", Got: c.Subject, Want: l.Claims.Subject}
	}
	if err != nil {
		return deviceflow.Claims{}, p.explainProvider(err)
	}
	return c, nil
}

// renewalFailure leaves the reason for the processes behind this one, who then
// leave the provider alone for a while.
func (p *Provider) renewalFailure(ctx context.Context, a *attempt, err error) error {
	f := p.explainProvider(err)
	a.Outcome = &outcome{Kind: renewalFailed, At: wall(p.Now()), Exit: f.Exit, Lines: f.Lines}
	if interrupted(ctx) {
		if isLost(err) {
			_ = p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a)
		}
		return interruptedFailure(err)
	}
	_ = p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a)
	return f
}

// take makes a verified ID token the login's.
func (l *login) take(idToken secret.String, c deviceflow.Claims, now time.Time) {
	l.IDToken = keep(idToken)
	l.Issuer = c.Issuer
	l.Obtained, l.Expires = wall(now), wall(c.Expires)
	l.Claims = claims{
		Subject: c.Subject, Audience: c.Audience, AuthorizedParty: c.AuthorizedParty,
		Email: c.Email, PreferredUsername: c.PreferredUsername, Name: c.Name,
	}
}

// pausing reports whether the provider is left alone after a failure.
func (a *attempt) pausing(now time.Time) bool {
	return a.Outcome != nil && a.Outcome.Kind == renewalFailed && recent(a.Outcome.At, now, renewalPause)
}

// failure is the outcome in the words of the process that met it. What is read
// from a storage is bounded like any other outside text.
func (o *outcome) failure() *failure.Error {
	f := &failure.Error{Exit: o.Exit}
	for _, line := range o.Lines[:min(len(o.Lines), 3)] {
		f.Lines = append(f.Lines, line[:min(len(line), 2000)])
	}
	if f.Exit <= 0 || f.Exit > failure.ExitInterrupt || len(f.Lines) == 0 {
		return failure.New(failure.ExitUnexpected, nil, "an earlier process failed, and its reason is not known.", "Repeat your command.")
	}
	return f
}
