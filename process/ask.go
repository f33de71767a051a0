package process

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// Errors of Pipeline.Show.
var (
	// ErrUnfit says that the code or the address must not be shown.
	ErrUnfit = errors.New("unfit to be shown")
	// ErrNoBrowser wraps why no browser started. The authorization can still have been shown
	// on a terminal.
	ErrNoBrowser = errors.New("the browser did not start")
)

// codesForNobody is how many codes process shows before it stops asking somebody
// who does not answer: one with a browser tab, the others as text.
const codesForNobody = 3

// request is what is known when a person is to be asked. The login's lock is held.
type request struct {
	login *login    // that no longer serves, or nil
	key   cache.Key // empty if there is none yet
	note  note      // how asking ended last
	open  *Open     // that is waited for; at first the one that an earlier process left open, or nil
	how   manner
	ended *failure.Error // why the login no longer serves, or nil
	again bool           // a person may be asked once more, as an earlier authorization is of no use
}

// ask gets a login from a person: it takes up the authorization that an earlier
// process left open, or starts one if somebody is there to answer. In the browser
// flow the error is an [inTab]: the login comes to a helper.
func (p *Pipeline) ask(ctx context.Context, started time.Time, r request) (*login, error) {
	person := p.person()
	if r.how.typed() && !person.there() {
		return nil, failure.New(failure.ExitLogin, nil, "a login needs a person, but "+person.Why+".",
			"If you are there to approve it, set DAYPASS_PROMPT=terminal and repeat: daypass login{flag}")
	}
	if r.open != nil && !p.canGoOn(r.open) {
		// Which says nothing about the person, who is asked again, once.
		r.again = r.note.Codes <= 1 && !r.note.Asked
		r.open = nil
	}
	taken := r.open != nil
	switch {
	case !taken:
		if err := p.mayAsk(r, person); err != nil {
			return nil, err
		}
		if err := p.authorize(ctx, person, &r); err != nil {
			return nil, err
		}
	case r.open.Redirect != "" && !r.open.Tried && !person.Browser && p.Paste == nil:
		return nil, needsBrowser()
	case r.open.Redirect == "" && !p.timeFor(ctx, r.open.Interval):
		return nil, p.gaveUp(r.open, p.Now().Sub(started))
	default:
		// Whoever takes a code over cannot know when it was last polled.
		r.open.NextPoll = wall(p.Now().Add(r.open.Interval))
	}
	openTab := person.Browser && !r.open.Tried && (r.how.typed() || r.again || r.note.Codes <= 1 && !r.note.Asked)
	waits := r.open.Redirect != "" && !r.open.Opened.IsZero() && !r.how.typed() // for a tab that is open
	show := openTab || person.Terminal && !waits
	if openTab {
		r.open.Tried, r.open.Opened = true, wall(p.Now())
	}
	p.debug("ask a person", "terminal", person.Terminal, "tab", openTab, "open until", r.open.Expires)
	r.open.Anew = r.open.Anew || r.how == startingAnew
	if err := p.putAuthorization(r.key, r.open); err != nil {
		return nil, p.folderFailure(err)
	}
	if !taken {
		// Only now: a code that counts, but is kept nowhere, would keep the next process
		// from asking.
		p.putNote(loginNote, note{Asked: r.note.Asked, Refused: r.note.Refused, Codes: r.note.Codes, LastCode: r.note.LastCode})
	}
	if r.open.Redirect != "" {
		return nil, &inTab{r, show, openTab}
	}
	ctx, cancel := p.bounded(ctx, show)
	defer cancel()
	if show {
		done, err := p.show(r.key, r.open, openTab, func(change func()) { change() })
		if err != nil {
			return nil, err
		}
		defer done()
	}
	l, err := p.await(ctx, started, r)
	if err == nil && !r.how.typed() { // login says it itself
		p.tellWho(l)
	}
	return l, err
}

// tellWho tells whoever was shown a login as whom it was approved: that may be another.
func (p *Pipeline) tellWho(l *login) { p.tell("daypass: logged in as " + who(l.token()) + ".") }

// show shows an open authorization to the person. What becomes of that is stored by
// change, under the login's lock.
func (p *Pipeline) show(key cache.Key, a *Open, openTab bool, change func(func())) (done func(), err error) {
	done, err = p.Show(*a, openTab)
	noTab := errors.Is(err, ErrNoBrowser)
	if noTab {
		change(func() {
			a.Tried, a.Opened = done != nil, time.Time{}
			_ = p.putAuthorization(key, a)
		})
	}
	switch {
	case done != nil:
		return done, nil
	case noTab:
		return nil, failure.New(failure.ExitLogin, err, "profile {profile} needs a login, but "+reason(err)+".",
			"Correct browser_command in {section}, or BROWSER. Or run in a terminal: daypass login{flag}")
	case errors.Is(err, ErrUnfit):
		change(p.dropAuthorization) // or the next process would meet the same
	}
	return nil, failure.New(failure.ExitUnexpected, err, "the login at {host} cannot be shown: "+reason(err)+".", "Run: daypass login{flag}")
}

// nobodyAnswered reports whether the last code was refused or not answered.
func (n note) nobodyAnswered() bool { return n.Codes > 0 || n.Asked }

// mayAsk decides whether a new code may be shown: if nobody can see it, or nobody
// answered the ones before, it would only add to the pile; and a provider that has
// just failed is left alone.
func (p *Pipeline) mayAsk(r request, person Person) error {
	n := r.note
	switch {
	case r.how.typed(), r.again && person.there():
		return nil
	case n.pauses(p.Now()) && n.Exit != failure.ExitLogin:
		return n.failure()
	case person.Terminal && n.Codes < codesForNobody, person.Browser && !n.nobodyAnswered():
		return nil
	case n.nobodyAnswered():
		login := "the login of " + p.clockTime(n.LastCode)
		switch {
		case n.Refused:
			login += " was refused"
		case !n.Asked && n.fromProvider():
			login += " failed"
		default:
			login = "nobody answered " + login
		}
		return needsLogin(login + ", so profile {profile} does not ask again.")
	case r.ended != nil:
		return r.ended
	}
	why := cmp.Or(person.Why, "there is no terminal to ask on")
	return failure.New(failure.ExitLogin, nil, "profile {profile} needs a login, but "+why+".",
		"Run in a terminal, as the same user: daypass login{flag}")
}

// needsLogin is a failure after which somebody has to run daypass login.
func needsLogin(why string) *failure.Error {
	return failure.New(failure.ExitLogin, nil, why, "Run: daypass login{flag}")
}

// endedEarly is how a login in the browser ends whose helper is gone.
func endedEarly() *failure.Error {
	return needsLogin("the login in the browser ended before it was finished.")
}

// needsBrowser is a failure after which somebody has to open a browser elsewhere.
func needsBrowser() *failure.Error {
	return failure.New(failure.ExitLogin, nil, "profile {profile} needs a login in a browser, but none can be opened here.",
		"Run in a terminal: daypass login --no-browser{flag}")
}

// authorize starts an authorization, once it is sure that the login which comes of it
// can be stored.
func (p *Pipeline) authorize(ctx context.Context, person Person, r *request) error {
	if !p.timeFor(ctx, exchangeTime) {
		return outOfTime(ctx)
	}
	metadata, err := p.Flow.Metadata(ctx)
	if err != nil {
		return p.renewalFailure(ctx, r.note, err)
	}
	kind, _ := p.FlowFor(metadata)
	canOpen := person.Browser || p.Paste != nil
	if kind == BrowserFlow && !canOpen {
		return needsBrowser()
	}
	if err := p.prepareStore(ctx, r); err != nil {
		return p.keyringFailure(ctx, err)
	}
	r.open = &Open{}
	if kind != BrowserFlow {
		r.open.Authorization, err = p.Flow.Authorize(ctx)
		if p.fallsBack(err, metadata) && canOpen {
			p.tell("daypass: " + p.Names().Host + " gives this client no device codes, so you log in with the browser.")
			kind = BrowserFlow
		}
	}
	if kind == BrowserFlow {
		if err = p.Helper(); err == nil {
			if r.open, _ = p.readAuthorization(r.key); r.open == nil {
				err = endedEarly()
			}
		}
	}
	if interrupted(ctx) {
		p.dropAuthorization()
		return failure.Interrupted(ctx.Err()) // nothing is lost with a code that nobody saw
	}
	if err != nil {
		return p.renewalFailure(ctx, r.note, err)
	}
	if !r.how.typed() {
		r.note.Codes++
	}
	r.note.LastCode = wall(p.Now())
	return nil
}

// prepareStore makes sure that there is a place for the login, written down, and
// that it takes items, by writing what is there already, or a new key.
func (p *Pipeline) prepareStore(ctx context.Context, r *request) error {
	unlock := func(items cache.Items, locked error) error { return p.unlockItems(ctx, r.how, items, locked) }
	if err := p.Kept.Choose(ctx, p.Profile.IDP.Name, unlock); err != nil {
		return err
	}
	_, err := p.Kept.Key(ctx)
	switch {
	case err == nil && r.login != nil:
		r.key = r.login.key
		return p.putLogin(ctx, r.login)
	case err == nil, notThere(err):
		r.key, err = p.Kept.NewKey(ctx)
	}
	return err
}

// await polls until the person has answered, and stores what comes of it.
func (p *Pipeline) await(ctx context.Context, started time.Time, r request) (*login, error) {
	store := func() { _ = p.putAuthorization(r.key, r.open) }
	killed := r.open.Polled
	r.open.Polled = true
	store()
	r.open.Unanswered = r.open.Unanswered || killed // until the first answer, see endAttempt
	tokens, err := p.Flow.Await(ctx, &r.open.Authorization, store)
	if errors.Is(err, deviceflow.ErrOutOfTime) || errors.Is(err, context.Canceled) { // which is no outcome
		unanswered := idp.IsLost(err) || idp.IsUnreachable(err)
		r.open.Polled, r.open.Unanswered = false, r.open.Unanswered || unanswered
		store() // or whoever finds that it ran out would blame the person
		switch {
		case interrupted(ctx):
			return nil, failure.Interrupted(err)
		case unanswered:
			return nil, err // nobody could have approved it
		}
		return nil, p.gaveUp(r.open, p.Now().Sub(started))
	}
	fresh, err := p.storeLogin(ctx, r, tokens, err)
	if err != nil {
		return nil, p.endAttempt(r, err)
	}
	return fresh, nil
}

// endAttempt notes how an attempt ended that brought no login, and explains it.
func (p *Pipeline) endAttempt(r request, err error) *failure.Error {
	defer p.dropAuthorization() // last, for a note of a code that is gone would have nobody asked
	f, expired := failure.From(err), errors.Is(err, deviceflow.ErrExpired)
	if r.open.Unanswered && !expired && isSpent(err) {
		// The answer that was lost, or that a killed process took along, held the tokens.
		// That says nothing about the person, who may be asked again.
		p.dropNote(loginNote)
		return needsLogin("the code " + r.open.UserCode + " is no longer valid, and the login was not completed.")
	}
	asked := errors.Is(err, idp.ErrDenied)
	if expired && f.Exit != failure.ExitNetwork { // else the provider could not be asked whether somebody approved it
		f, asked = p.codeRanOut(r.open), true
	}
	n := r.note.ended(p.Now(), f)
	n.Failed, n.Asked, n.Refused = !asked, n.Asked || asked, asked && !expired
	p.putNote(loginNote, n)
	return f
}

// isSpent reports whether a poll was refused because the provider no longer knows
// the code. invalid_grant is also what Entra and Keycloak say of a person whom they
// do not let in.
func isSpent(err error) bool {
	var refusal *idp.ProviderError
	if !errors.As(err, &refusal) {
		return false
	}
	return refusal.Code == "bad_verification_code" || refusal.Code == "invalid_grant" &&
		!strings.HasPrefix(refusal.Description, "AADSTS") && !strings.Contains(refusal.Description, "not fully set up")
}

// storeLogin stores the answer to a login, which may be an error with or without a
// refresh token: the refresh token at once, the ID token after it was verified.
// Another person's login gets a new key first, so that what was sealed for the one
// before can never be read again. It is not cancelled with ctx.
func (p *Pipeline) storeLogin(ctx context.Context, r request, tokens idp.Tokens, err error) (*login, error) {
	if err != nil && tokens.RefreshToken.Empty() {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	metadata, _ := p.Flow.Metadata(ctx) // known, or there would be no tokens
	// First, for the person has answered, and the code is spent: if this process is
	// killed before the login is stored, the next one may ask.
	p.dropNote(loginNote)
	p.dropAuthorization() // last, as in endAttempt
	now := p.Now()
	fresh := &login{
		Version: formVersion, IDP: p.Profile.IDP.Name,
		Issuer: p.Profile.IDP.Issuer, ClientID: p.Profile.IDP.ClientID, RevocationEndpoint: metadata.RevocationEndpoint,
		RefreshToken: secret.Keep(tokens.RefreshToken), LoggedIn: wall(now), Obtained: wall(now),
		key: r.key,
	}
	// Whose login this is only the verified ID token tells, and verifying may need
	// the network. Until then the token's word is enough to throw keys away.
	claimed, _ := idp.Parse(tokens.IDToken)
	same := !r.open.Anew && r.login.isOf(claimed)
	fresh.unstored = p.insist(ctx, now.Add(storeTime), func() (err error) {
		if !same {
			if fresh.key, err = p.Kept.NewKey(ctx); err != nil {
				return err
			}
		}
		if fresh.RefreshToken.Empty() {
			return nil
		}
		return p.putLogin(ctx, fresh)
	})
	if tokens.IDToken.Empty() {
		return nil, err // which says so
	}
	verified, err := p.verify(ctx, tokens.IDToken)
	if err != nil {
		return nil, err
	}
	fresh.take(verified, now)
	if !fresh.key.Empty() {
		fresh.unstored = p.insist(ctx, now.Add(storeTime), func() error { return p.putLogin(ctx, fresh) })
	}
	if fresh.unstored != nil {
		fresh.key = cache.Key{} // nothing that comes of it is kept
	}
	return fresh, nil
}

// isOf reports whether the login is of the person that an ID token names.
func (l *login) isOf(t idp.Token) bool {
	return l != nil && t.Subject != "" && l.Issuer == t.Issuer && l.token().Subject == t.Subject
}

// codeRanOut is the answer when an authorization expires that nobody approved.
func (p *Pipeline) codeRanOut(open *Open) *failure.Error {
	if open.UserCode == "" {
		return needsLogin("nobody finished the login of " + p.clockTime(open.Issued) + " in the browser.")
	}
	f := needsLogin("nobody answered the login of " + p.clockTime(open.Issued) + ": its code " + open.UserCode + " ran out.")
	if p.Profile.IDP.Flow != DeviceFlow {
		f.Lines = []string{f.Lines[0], "If the page did not take the code, set flow = browser in {section}.", f.Lines[1]}
	}
	return f
}

// gaveUp is the answer when the time of this process is over, and not the code's.
func (p *Pipeline) gaveUp(a *Open, waited time.Duration) *failure.Error {
	if a.UserCode == "" {
		tab := "the browser tab that was opened at " + p.clockTime(a.Opened)
		if a.Opened.IsZero() {
			tab = "the address that was shown at " + p.clockTime(a.Issued)
		}
		return failure.New(failure.ExitLogin, nil, "not approved within "+whole(waited)+", but "+tab+" stays good until "+p.clockTime(a.Expires)+".",
			"Finish the login there, then repeat your command. Or: daypass login{flag}")
	}
	address := cmp.Or(a.VerificationURIComplete, a.VerificationURI+"  and enter  "+a.UserCode)
	return failure.New(failure.ExitLogin, nil,
		"not approved within "+whole(waited)+". Code "+a.UserCode+" stays good until "+p.clockTime(a.Expires)+":",
		"  "+address,
		"Approve it, then repeat your command. Or: daypass login{flag}")
}
