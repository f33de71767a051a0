package process

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/secret"
)

// ask gets a login from a person: it takes up the device authorization that an
// earlier process left open, or starts one, where somebody is there to answer.
// The login's lock is held. ended says why the login that stood no longer serves.
func (p *Provider) ask(ctx context.Context, l *login, a *attempt, how manner, ended *Failure) (*login, error) {
	flow, err := p.flow()
	if err != nil {
		return nil, err
	}
	person, openTab := p.person(), false
	if a.Open != nil {
		// Who takes a code over cannot know when it was last polled.
		a.Open.NextPoll = p.now().Add(a.Open.Interval)
		openTab = person.Browser && !a.Open.Opened && (how.typed() || a.Codes <= 1)
	} else {
		if err := p.mayAsk(a, how, person, ended); err != nil {
			return nil, err
		}
		openTab = person.Browser && (how.typed() || a.Codes == 0)
		if !p.timeFor(ctx, exchangeTime) {
			return nil, p.outOfTime(ctx)
		}
		opened, err := flow.Authorize(ctx)
		if err != nil {
			return nil, p.renewalFailure(ctx, a, err)
		}
		a.Open, a.Outcome = storedAuthorization(opened, false), nil
		a.Codes++
		a.LastCode = wall(p.now())
	}
	a.Open.Opened = a.Open.Opened || openTab
	if err := p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a); err != nil {
		return nil, p.keyringFailure(err)
	}
	if p.Show != nil && (person.Terminal || openTab) {
		done, err := p.Show(a.Open.deviceflow(), openTab)
		if err != nil {
			return nil, fail(ExitUnexpected, err, "the login at "+p.host()+" cannot be shown: "+reason(err)+".", "Run: "+p.loginCommand())
		}
		defer done()
	}
	return p.await(ctx, flow, l, a, how)
}

// mayAsk decides whether a new code may be shown: where nobody can see it, or
// nobody answered the ones before, it would only add to the pile; and a provider
// that has just failed is left alone.
func (p *Provider) mayAsk(a *attempt, how manner, person Person, ended *Failure) error {
	if how.typed() {
		return nil
	}
	if a.pausing(p.now()) {
		return a.Outcome.failure()
	}
	if !person.Terminal && (!person.Browser || a.Codes > 0) || a.Codes >= codesForAnEmptyChair {
		switch {
		case a.Codes > 0 && a.Outcome != nil && a.Outcome.Kind == refused:
			return p.doesNotAskAgain("the login of " + p.clockTime(a.LastCode) + " was refused")
		case a.Codes > 0:
			return p.emptyChair(a.LastCode)
		case ended != nil:
			return ended
		}
		return p.noTerminal(person.Why)
	}
	return nil
}

// await polls until the person has answered, and stores what comes of it.
func (p *Provider) await(ctx context.Context, flow *deviceflow.Flow, l *login, a *attempt, how manner) (*login, error) {
	open := a.Open.deviceflow()
	started := p.now()
	var fresh *login
	err := flow.Await(ctx, &open,
		func(changed deviceflow.Authorization) {
			a.Open.Interval = changed.Interval
			_ = p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a)
		},
		func(ctx context.Context, tokens deviceflow.Tokens) error {
			var err error
			fresh, err = p.storeLogin(ctx, flow, l, tokens, how)
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
		return nil, p.gaveUpAfter(open, p.now().Sub(started))
	}
	var f *Failure
	switch {
	case errors.As(err, &f): // from storeLogin
	case expired:
		f = p.emptyChair(open.Issued)
	default:
		f = p.explainProvider(err)
	}
	kind := refused
	if expired {
		kind = unanswered
	}
	a.Open = nil
	a.Outcome = &outcome{Kind: kind, At: wall(p.now()), Exit: f.Exit, Lines: f.Lines}
	if err := p.put(ctx, attemptKey(loginKey(p.Profile.IDP)), a); err != nil {
		return nil, p.keyringFailure(err)
	}
	return nil, f
}

// storeLogin stores the answer to a login: the refresh token at once, the ID
// token after it was verified. The roles of another person go before it.
func (p *Provider) storeLogin(ctx context.Context, flow *deviceflow.Flow, old *login, tokens deviceflow.Tokens, how manner) (*login, error) {
	key := loginKey(p.Profile.IDP)
	now := p.now()
	fresh := &login{
		Version: formVersion, ID: rand.Text(), IDP: p.Profile.IDP.Name,
		Issuer: p.Profile.IDP.Issuer, ClientID: p.Profile.IDP.ClientID,
		RefreshToken: keep(tokens.RefreshToken), LoggedIn: wall(now), Obtained: wall(now),
	}
	fresh.RevocationEndpoint, _ = flow.RevocationEndpoint(ctx)
	p.remember(indexEntry{Kind: kindLogin, Key: key, Login: key, IDP: p.Profile.IDP.Name, Profile: p.Profile.Name})

	// Whose login this is only the verified ID token tells, and verifying may need
	// the network. What must not be lost meanwhile is the refresh token: it is
	// stored under an id that no role record names.
	id, stored := fresh.ID, error(nil)
	if !fresh.RefreshToken.Empty() {
		stored = p.put(ctx, key, fresh)
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
		p.dropRoles(ctx)
	}
	if stored == nil {
		stored = p.put(ctx, key, fresh)
	}
	if stored != nil {
		fresh.ID = id
		p.tellNotStored("login", stored)
		return fresh, nil
	}
	if fresh.ID == id {
		p.dropRoles(ctx) // what another process stored while this one was at it
	}
	_ = p.Store.Delete(ctx, attemptKey(key))
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

// verify checks an ID token. It belongs to the exchange that brought the token,
// so it is not cancelled, but bounded.
func (p *Provider) verify(ctx context.Context, idToken secret.String) (deviceflow.Claims, error) {
	flow, err := p.flow()
	if err != nil {
		return deviceflow.Claims{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return flow.Verify(ctx, idToken)
}

// settle turns an open authorization whose code ran out into what it is: a code
// that nobody answered.
func (p *Provider) settle(a *attempt) {
	if a.Open == nil || p.now().Before(a.Open.Expires) {
		return
	}
	a.Outcome = &outcome{Kind: unanswered, At: a.Open.Expires, Exit: ExitLogin, Lines: p.emptyChair(a.Open.Issued).Lines}
	a.Open = nil
}
