package process

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/daypass/daypass/browserflow"
	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/idp"
)

// The browser flow in two processes. An SDK may kill its credential_process at any
// moment, and the person's tab must stay good: so a helper, one for each login, in a
// process and a session of its own, waits for the answer of the browser.
//
//   - The caller, under the login's lock, starts the helper, which listens, stores its
//     authorization, and says that it is ready. The caller opens the tab. If it was
//     killed before, the next process does.
//   - Everybody then waits for the helper's own lock, without the login's. The system
//     releases it however the helper ends.
//   - The helper redeems the code under the login's lock if its authorization is still
//     the one that is stored. A logout, or Ctrl-C at daypass login, deletes it, and
//     the helper ends.
//   - It leaves what every login leaves: the record, or the note of how asking ended.
//     Whoever has waited looks for these, and asks nobody a second time.

// The flows, as the setting flow names them.
const (
	DeviceFlow  = "device"
	BrowserFlow = "browser"
)

const (
	// helperTime bounds the start of a helper, whose discovery is remembered.
	helperTime = 15 * time.Second
	// redeemLockTime bounds the wait of an answer for the login's lock.
	redeemLockTime = 30 * time.Second
	// lookTime is between two looks of the helper at whether it is still wanted.
	lookTime = 500 * time.Millisecond
)

// FlowFor returns the flow of a login at a provider that publishes m, and why it is that.
func (p *Pipeline) FlowFor(m idp.Metadata) (flow, why string) {
	switch {
	case p.Profile.IDP.Flow == DeviceFlow, p.Profile.IDP.Flow == BrowserFlow:
		return p.Profile.IDP.Flow, "the configuration says so"
	case p.Flow.DeviceEndpoint(m) != "":
		return DeviceFlow, "the provider has a device endpoint"
	case m.AuthorizationEndpoint != "":
		return BrowserFlow, "the provider has no device endpoint"
	}
	return DeviceFlow, "the provider names no endpoint for either"
}

// fallsBack reports whether the browser takes the place of the device codes that a
// provider which publishes m has refused.
func (p *Pipeline) fallsBack(err error, m idp.Metadata) bool {
	return idp.RefusesDeviceCodes(err) && p.Profile.IDP.Flow != DeviceFlow && m.AuthorizationEndpoint != ""
}

func (p *Pipeline) helperLock() string { return "browser-" + LoginKey(p.Profile.IDP) }

// canGoOn reports whether an open authorization is of a flow that is still set, and its
// helper, if it has one, was not killed.
func (p *Pipeline) canGoOn(open *Open) bool {
	if open.Redirect == "" {
		return p.Profile.IDP.Flow != BrowserFlow
	}
	lock, err := cache.Locks{Dir: p.Locks.Dir, Shared: true}.TryLock(p.helperLock())
	if err == nil {
		lock.Unlock()
	}
	return err != nil && p.Profile.IDP.Flow != DeviceFlow
}

// inTab is why asking has brought no login yet: it goes on in a browser.
type inTab struct {
	request
	show, openTab bool // what the person is still to be shown
}

func (*inTab) Error() string { return "the login goes on in a browser" }

// awaitTab waits for the end of the login in a browser tab, whatever it is. The
// login's lock is free: the helper needs it, and a person can be through in no time.
func (p *Pipeline) awaitTab(ctx context.Context, tab *inTab) error {
	telling := tab.how
	if tab.show {
		done, err := p.show(tab.key, tab.open, tab.openTab, func(change func()) { p.changeTab(ctx, tab, change) })
		if err != nil {
			return err
		}
		defer done()
		telling = silently // there is a line already
	}
	waiting, stop := context.WithCancel(ctx)
	var pasting sync.WaitGroup
	pasting.Go(func() { p.paste(waiting, tab.open.Redirect) })
	lock, err := p.wait(ctx, p.helperLock(), telling)
	stop()
	pasting.Wait()
	if err == nil {
		lock.Unlock()
	}
	if interrupted(ctx) && tab.how.typed() {
		p.changeTab(ctx, tab, p.dropAuthorization)
	}
	return err
}

// paste brings what the person pastes to the helper, until it takes one.
func (p *Pipeline) paste(ctx context.Context, redirectURI string) {
	for p.Paste != nil && ctx.Err() == nil {
		pasted, err := p.Paste(ctx)
		if err != nil {
			return
		}
		if err = browserflow.Deliver(ctx, redirectURI, pasted); err == nil || ctx.Err() != nil { // the login is over
			return
		}
		p.tell("daypass: that address cannot be used: " + err.Error() + ".")
	}
}

// changeTab changes what is stored of a login in a tab, under the login's lock, unless
// the login is over, or just being stored.
func (p *Pipeline) changeTab(ctx context.Context, tab *inTab, change func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if lock, err := p.Locks.Lock(ctx, p.loginLock()); err == nil {
		defer lock.Unlock()
		if open := p.awaited(tab.key, tab.open.VerificationURI); open != nil {
			*tab.open = *open // another process may have changed it
			change()
		}
	}
}

// Listen is the helper: it waits for a browser's answer, and stores the login that
// comes of it. ready is called once the authorization is stored, or with why there is
// none; it fails if the caller is gone.
func (p *Pipeline) Listen(ctx context.Context, ready func(error) error) error {
	starting, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	lock, err := p.Locks.Lock(starting, p.helperLock())
	if err != nil {
		return ready(p.lockFailure(starting, err))
	}
	defer lock.Unlock()
	l, key, err := p.startListening(starting)
	if l != nil {
		defer l.Close()
	}
	if err := errors.Join(err, ready(err)); err != nil {
		return err
	}
	awaited, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	go func() {
		for awaited.Err() == nil && p.awaited(key, l.Address) != nil {
			time.Sleep(lookTime)
		}
		over()
	}()
	select {
	case answer := <-l.Answers:
		in, err := p.redeem(awaited, l, answer)
		lock.Unlock() // whoever waits need not wait for the page
		l.Finish(p.lastPage(in, err))
	case <-awaited.Done():
	case <-ctx.Done():
	}
	return nil
}

// startListening makes an authorization, and stores it under the key of the login.
func (p *Pipeline) startListening(ctx context.Context) (*browserflow.Listener, cache.Key, error) {
	key, err := p.Kept.Key(ctx)
	if err != nil {
		return nil, key, p.keyringFailure(ctx, err)
	}
	flow, err := p.flow()
	if err != nil {
		return nil, key, err
	}
	l, err := browserflow.Listen(ctx, flow.Client, p.Profile.IDP.RedirectURIs)
	if err != nil {
		return nil, key, err
	}
	issued := wall(p.Now())
	err = p.putAuthorization(key, &Open{Start: l.Start, Redirect: l.Redirect, Authorization: deviceflow.Authorization{
		VerificationURI: l.Address, Issued: issued, Expires: issued.Add(browserflow.Lifetime),
	}})
	if err != nil {
		err = p.folderFailure(err)
	}
	return l, key, err
}

// redeem stores the login that comes of an answer, or notes why none does. It waits for
// the login's lock until ctx ends: whoever has it may have ended this login, and wait in
// turn for the helper.
func (p *Pipeline) redeem(ctx context.Context, l *browserflow.Listener, answer browserflow.Answer) (*login, error) {
	bounded, cancel := context.WithTimeout(ctx, redeemLockTime)
	defer cancel()
	lock, err := p.Locks.Lock(bounded, p.loginLock())
	if err != nil && interrupted(ctx) {
		return nil, endedEarly()
	}
	if err != nil {
		return nil, p.lockFailure(bounded, err)
	}
	defer lock.Unlock()
	ctx = context.WithoutCancel(ctx) // which ends once the answer is taken
	r := request{note: p.readNote(loginNote)}
	if r.login, r.key, err = p.readLogin(ctx); err != nil && !notThere(err) {
		return nil, p.keyringFailure(ctx, err)
	}
	if r.open = p.awaited(r.key, l.Address); r.open == nil {
		return nil, endedEarly()
	}
	tokens, err := l.Redeem(ctx, answer)
	fresh, err := p.storeLogin(ctx, r, tokens, err)
	if err == nil && fresh.unstored != nil {
		err = p.keyringFailure(ctx, fresh.unstored)
	}
	if err != nil {
		return nil, p.endAttempt(r, err)
	}
	return fresh, nil
}

// lastPage says in the browser how the login ended.
func (p *Pipeline) lastPage(in *login, err error) browserflow.Page {
	if err == nil {
		return browserflow.Page{Title: "You are logged in", Text: who(in.token()) + " is logged in to " + p.Names().Host + ".\nYou can close this tab."}
	}
	text := p.Fill(err).Error()
	if again := "daypass login"; !strings.Contains(text, again) {
		text += "\nTo try again, run in a terminal: " + again + p.Names().Flag
	}
	return browserflow.Page{Title: "The login failed", Text: text, Failed: true}
}

// awaited is the authorization that is stored, or nil if it is not that of the address.
func (p *Pipeline) awaited(key cache.Key, address string) *Open {
	if open, _ := p.readAuthorization(key); open != nil && open.VerificationURI == address {
		return open
	}
	return nil
}
