package process

import (
	"context"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// renew is the exchange of the refresh token. The login is marked before the
// token is sent: that proves that the answer can be stored, and tells the next
// process, should this one die, that an answer was lost.
//
// A failure with [failure.ExitLogin] says that the token is spent or that the
// provider wants to see a person; any other leaves the login as it was.
func (p *Pipeline) renew(ctx context.Context, l *login, n note, how manner) error {
	if n.pauses(p.Now()) && !how.typed() {
		return n.failure()
	}
	// Discovery first: what can be cancelled and retried is done before the mark.
	if _, err := p.Flow.Metadata(ctx); err != nil {
		return p.renewalFailure(ctx, n, err)
	}
	if !p.timeFor(ctx, exchangeTime) || ctx.Err() != nil {
		return outOfTime(ctx)
	}
	answerLost := !l.RefreshStarted.IsZero()
	l.RefreshStarted = wall(p.Now())
	if err := p.putLogin(ctx, l); err != nil {
		return p.keyringFailure(ctx, err)
	}
	if !p.timeFor(ctx, exchangeTime) || ctx.Err() != nil {
		return outOfTime(ctx) // the keyring was slow
	}
	p.debug("renew the login", "answer lost before", answerLost)
	p.connectToSTS(ctx)
	tokens, err := p.Flow.Refresh(ctx, l.RefreshToken.String)
	if idp.IsLost(err) && ctx.Err() == nil && p.timeFor(ctx, exchangeTime) {
		// At once, for some providers accept a used token only for a few seconds. Also
		// if the mark was there, for its process may have died before it sent anything.
		answerLost = true
		tokens, err = p.Flow.Refresh(ctx, l.RefreshToken.String)
	}
	if err == nil || !tokens.RefreshToken.Empty() {
		return p.storeRenewed(ctx, l, n, tokens, err)
	}
	if idp.IsLost(err) && !answerLost {
		// A signal came, or no time was left to send the token again. The next process
		// finds the mark, and does that at once: a pause could outlast the grace.
		if interrupted(ctx) {
			return failure.Interrupted(err)
		}
		return err
	}
	ended := idp.IsInvalidGrant(err)
	if ended || !answerLost && !idp.IsLost(err) {
		l.RefreshStarted = time.Time{} // else the mark stays: an answer is not known
	}
	if ended {
		l.RefreshToken = secret.Kept{}
	}
	l.NeedsPerson = idp.WantsPerson(err)
	if stored := p.putLogin(context.WithoutCancel(ctx), l); stored != nil {
		return p.keyringFailure(ctx, stored)
	}
	if ended || l.NeedsPerson {
		return failure.From(err)
	}
	return p.renewalFailure(ctx, n, err)
}

// storeRenewed stores the answer to a renewal: the refresh token before anything
// else, for the old one may be spent; the ID token after it was verified. lacking
// says what the answer lacks, or is nil.
func (p *Pipeline) storeRenewed(ctx context.Context, l *login, n note, tokens idp.Tokens, lacking error) error {
	exchange := context.WithoutCancel(ctx)
	rotated := !tokens.RefreshToken.Empty() && !tokens.RefreshToken.Equal(l.RefreshToken.String)
	if rotated {
		l.RefreshToken = secret.Keep(tokens.RefreshToken)
	}
	l.RefreshStarted, l.NeedsPerson = time.Time{}, false
	until := p.Now().Add(storeTime)
	store := func() error {
		return p.insist(exchange, until, func() error { return p.putLogin(exchange, l) })
	}
	var stored error
	if rotated {
		stored = store()
	}
	before := l.token().Subject // "" if the first ID token could not be verified
	var verified idp.Token
	err := lacking
	if err == nil {
		verified, err = p.verify(ctx, tokens.IDToken) // the refresh token brings another one
	}
	if err == nil && before != "" && verified.Subject != before {
		err = idp.AnotherPerson(verified.Subject, before)
	}
	if err != nil {
		if !rotated || stored != nil {
			_ = store()
		}
		return p.renewalFailure(ctx, n, err) // or each caller would renew once more
	}
	if before == "" {
		// Only now is it known whose login this is, and what the key seals may be
		// somebody else's.
		if l.key, err = p.Kept.NewKey(exchange); err != nil {
			l.unstored = err
		}
	}
	l.take(verified, p.Now())
	if l.unstored == nil {
		l.unstored = store()
	}
	if l.unstored != nil {
		l.key = cache.Key{} // nothing that comes of it is kept
	}
	if open, _ := p.readAuthorization(l.key); open == nil || !open.Anew { // else somebody wants another login all the same
		p.dropAuthorization()
	}
	p.dropNote(loginNote)
	return nil
}

// verify checks an ID token. The provider may not give it again, so the check is
// repeated, until ctx ends, if the provider's keys could not be fetched.
func (p *Pipeline) verify(ctx context.Context, idToken secret.String) (idp.Token, error) {
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		t, err := p.Flow.Verify(bounded, idToken)
		cancel()
		if err == nil || try == 3 || failure.From(err).Exit != failure.ExitNetwork || p.Sleep(ctx, time.Second) != nil {
			return t, err
		}
	}
}

// renewalFailure notes why the provider could not be asked, or what it answered,
// for the processes behind this one, which then leave it alone for a while.
func (p *Pipeline) renewalFailure(ctx context.Context, n note, err error) error {
	if !interrupted(ctx) || idp.IsLost(err) {
		n = n.ended(p.Now(), failure.From(err))
		n.Failed = true
		p.putNote(loginNote, n)
	}
	if interrupted(ctx) {
		return failure.Interrupted(err)
	}
	return err
}

// tellNotStored tells the person that an answer serves this command alone.
func (p *Pipeline) tellNotStored(what string, err error) {
	p.tell("daypass: the " + what + " could not be stored (" + reason(err) + "), so the next command starts over.")
}
