package process

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// ErrUnfit is the error of Provider.Show for an authorization whose code or
// address must not be shown: a damaged record, say.
var ErrUnfit = errors.New("unfit to be shown")

// ask gets a login from a person: it takes up the device authorization that an
// earlier process left open, or starts one, where somebody is there to answer.
// The login's lock is held. ended says why the login that stood no longer serves.
func (p *Provider) ask(ctx context.Context, started time.Time, l *login, a *attempt, how manner, ended *failure.Error) (*login, error) {
	flow, err := p.flow()
	if err != nil {
		return nil, err
	}
	person, openTab := p.person(), false
	if a.Open != nil {
		// Who takes a code over cannot know when it was last polled.
		a.Open.NextPoll = wall(p.Now().Add(a.Open.Interval))
		if !p.timeFor(ctx, a.Open.Interval+exchangeTime) {
			return nil, p.gaveUp(a.Open.deviceflow(), p.Now().Sub(started))
		}
		openTab = person.Browser && !a.Open.Opened && (how.typed() || a.Codes <= 1)
	} else {
		if err := p.mayAsk(a, how, person, ended); err != nil {
			return nil, err
		}
		openTab = person.Browser && (how.typed() || !a.emptyChair())
		if err := p.authorize(ctx, flow, a, how); err != nil {
			return nil, err
		}
	}
	a.Open.Opened = a.Open.Opened || openTab
	p.debug("ask a person", "terminal", person.Terminal, "tab", openTab, "code until", a.Open.Expires)
	key := loginKey(p.Profile.IDP)
	if err := p.put(ctx, attemptKey(key), a); err != nil {
		return nil, p.keyringFailure(ctx, err)
	}
	// Before the wait, for between the provider's answer and its store nothing else
	// may take time.
	p.remember(indexEntry{Kind: kindLogin, Key: key, Login: key, IDP: p.Profile.IDP.Name, Profile: p.Profile.Name})
	revocation, _ := flow.RevocationEndpoint(ctx)

	if p.Show != nil && (person.Terminal || openTab) {
		done, err := p.Show(a.Open.deviceflow(), openTab)
		if err != nil && (!openTab || errors.Is(err, ErrUnfit)) { // with a tab open, the wait is not in vain
			if errors.Is(err, ErrUnfit) {
				a.Open = nil // or the next process would meet the same
				_ = p.put(ctx, attemptKey(key), a)
			}
			return nil, failure.New(failure.ExitUnexpected, err, "the login at "+p.host()+" cannot be shown: "+reason(err)+".", "Run: "+p.loginCommand())
		}
		if done != nil {
			defer done()
		}
	}
	return p.await(ctx, started, flow, l, a, how, revocation)
}

// authorize starts a device authorization, once it is sure that it can be stored.
func (p *Provider) authorize(ctx context.Context, flow *deviceflow.Flow, a *attempt, how manner) error {
	if !p.timeFor(ctx, exchangeTime) {
		return p.outOfTime(ctx)
	}
	if err := p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a); err != nil {
		return p.keyringFailure(ctx, err)
	}
	opened, err := flow.Authorize(ctx)
	if interrupted(ctx) {
		return interruptedFailure(ctx.Err()) // nothing is lost with a code that nobody saw
	}
	if err != nil {
		return p.renewalFailure(ctx, a, err)
	}
	a.Open, a.Outcome = storedAuthorization(opened, false), nil
	if !how.typed() {
		a.Codes++
	}
	a.LastCode = wall(p.Now())
	return nil
}

// emptyChair reports whether the last code was refused or not answered.
func (a *attempt) emptyChair() bool {
	return a.Codes > 0 || a.Outcome != nil && (a.Outcome.Kind == refused || a.Outcome.Kind == unanswered)
}

// mayAsk decides whether a new code may be shown: where nobody can see it, or
// nobody answered the ones before, it would only add to the pile; and a provider
// that has just failed is left alone.
func (p *Provider) mayAsk(a *attempt, how manner, person Person, ended *failure.Error) error {
	switch {
	case how.typed():
		return nil
	case a.pausing(p.Now()) && a.Outcome.Exit != failure.ExitLogin:
		return a.Outcome.failure()
	case person.Terminal && a.Codes < codesForAnEmptyChair, person.Browser && !a.emptyChair():
		return nil
	case a.emptyChair() && a.Outcome != nil && a.Outcome.Kind == refused:
		return p.doesNotAskAgain("the login of " + p.clockTime(a.LastCode) + " was refused")
	case a.emptyChair():
		return p.doesNotAskAgain("nobody answered the login of " + p.clockTime(a.LastCode))
	case ended != nil:
		return ended
	}
	return p.noTerminal(person.Why)
}

// await polls until the person has answered, and stores what comes of it.
func (p *Provider) await(ctx context.Context, started time.Time, flow *deviceflow.Flow, l *login, a *attempt, how manner, revocation string) (*login, error) {
	open := a.Open.deviceflow()
	var fresh *login
	err := flow.Await(ctx, &open,
		func(changed deviceflow.Authorization) {
			a.Open.Interval = changed.Interval
			_ = p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a)
		},
		func(ctx context.Context, tokens deviceflow.Tokens) error {
			var err error
			fresh, err = p.storeLogin(ctx, l, tokens, how, revocation)
			return err
		})
	if err == nil {
		return fresh, nil
	}
	expired := errors.Is(err, deviceflow.ErrExpired) // first: it may wrap why the last poll timed out
	switch {
	case interrupted(ctx):
		return nil, interruptedFailure(err)
	case !expired && (errors.Is(err, deviceflow.ErrOutOfTime) || errors.Is(err, context.DeadlineExceeded)):
		if isLost(err) || isUnreachable(err) {
			return nil, p.explainProvider(err) // nobody could have approved it
		}
		return nil, p.gaveUp(open, p.Now().Sub(started))
	}
	f := p.endAttempt(a, open, err, expired)
	_ = p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a)
	return nil, f
}

// endAttempt notes how an attempt ended that brought no login, and explains it.
func (p *Provider) endAttempt(a *attempt, open deviceflow.Authorization, err error, expired bool) *failure.Error {
	now := wall(p.Now())
	a.Open = nil
	var f *failure.Error
	switch {
	case errors.As(err, &f): // from storeLogin
		a.Outcome = &outcome{Kind: renewalFailed, At: now}
	case expired && now.Before(open.Expires) && codeUnknown(err):
		// Spent before its time: a process was killed between the provider's answer
		// and its store. That says nothing about who sits there.
		a.Codes, a.Outcome = 0, nil
		return failure.New(failure.ExitLogin, err, "the code "+open.UserCode+" was used already, and its login was lost.", "Run: "+p.loginCommand())
	case expired:
		f = p.codeRanOut(open)
		a.Outcome = &outcome{Kind: unanswered, At: now}
	default:
		f = p.explainProvider(err)
		a.Outcome = &outcome{Kind: refused, At: now}
	}
	a.Outcome.Exit, a.Outcome.Lines = f.Exit, f.Lines
	return f
}

// storeLogin stores the answer to a login: the refresh token at once, the ID
// token after it was verified. The roles of another person go before it.
func (p *Provider) storeLogin(ctx context.Context, old *login, tokens deviceflow.Tokens, how manner, revocation string) (*login, error) {
	key := loginKey(p.Profile.IDP)
	now := p.Now()
	fresh := &login{
		Version: formVersion, ID: rand.Text(), IDP: p.Profile.IDP.Name,
		Issuer: p.Profile.IDP.Issuer, ClientID: p.Profile.IDP.ClientID, RevocationEndpoint: revocation,
		RefreshToken: keep(tokens.RefreshToken), LoggedIn: wall(now), Obtained: wall(now),
	}
	// Whose login this is only the verified ID token tells, and verifying may need
	// the network. What must not be lost meanwhile is the refresh token: it is
	// stored under an id that no role record names.
	id := fresh.ID
	if !fresh.RefreshToken.Empty() {
		_ = p.putAnswer(ctx, key, fresh) // tried again below
	}
	if tokens.IDToken.Empty() {
		return nil, p.noIDToken()
	}
	verified, err := p.verify(ctx, tokens.IDToken)
	if err != nil {
		return nil, p.explainProvider(err)
	}
	fresh.take(tokens.IDToken, verified, now)
	if old.samePerson(fresh) && how != startingAnew {
		fresh.ID = old.ID
	} else {
		p.dropRoles(ctx, old)
	}
	if err := p.put(ctx, key, fresh); err != nil {
		fresh.unstored = err
		p.tellNotStored("login", err)
	}
	if fresh.ID == id {
		p.dropRoles(ctx, old) // what another process stored while this one was at it
	}
	_ = p.remove(ctx, attemptKey(key))
	return fresh, nil
}

// samePerson reports whether two logins are of one person at one issuer.
func (l *login) samePerson(other *login) bool {
	return l != nil && l.Issuer == other.Issuer && l.Claims.Subject == other.Claims.Subject
}

// tellNotStored tells the person that an answer serves only this one command.
func (p *Provider) tellNotStored(what string, err error) {
	p.tell("daypass: the " + what + " could not be stored (" + reason(err) + "), so it serves this one command.")
}

// verify checks an ID token. It belongs to the exchange that brought the token, so
// it is not cancelled, but bounded; and since the token may not be had again, it
// is tried again where the provider's keys could not be fetched.
func (p *Provider) verify(ctx context.Context, idToken secret.String) (deviceflow.Claims, error) {
	flow, err := p.flow()
	if err != nil {
		return deviceflow.Claims{}, err
	}
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		c, err := flow.Verify(bounded, idToken)
		cancel()
		if err == nil || try == 3 || !isUnreachable(err) {
			return c, err
		}
		_ = p.Sleep(ctx, time.Second)
	}
}

// settle turns an open authorization whose code ran out into what it is: a code
// that nobody answered.
func (p *Provider) settle(a *attempt) {
	if a.Open == nil || p.Now().Before(a.Open.Expires) {
		return
	}
	a.Outcome = &outcome{Kind: unanswered, At: a.Open.Expires, Exit: failure.ExitLogin, Lines: p.codeRanOut(a.Open.deviceflow()).Lines}
	a.Open = nil
}
