package process

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/browserflow"
	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// browserWorld is a world whose provider has no device endpoint, with a person who
// answers each tab.
type browserWorld struct {
	*world
	tabs    []Open // that were opened
	read    []Open // that were shown as text
	answers func(Open)
	kill    context.CancelFunc // ends the helper that was started last, as SIGKILL would
	helpers sync.WaitGroup
}

func newBrowserWorld(t *testing.T, o sandbox.Options) *browserWorld {
	t.Helper()
	o.OmitDeviceEndpoint = true
	w := &browserWorld{world: newWorld(t, o)}
	w.answers = w.finish
	t.Cleanup(w.helpers.Wait)
	t.Cleanup(func() { w.kill() })
	w.kill = func() {}
	return w
}

// inBrowser makes p a process whose helpers are goroutines.
func (w *browserWorld) inBrowser(p *Pipeline) {
	p.Profile.IDP.RedirectURIs = []string{"http://127.0.0.1/callback"}
	p.Helper = func() error {
		helper := w.pipeline(w.inBrowser)
		nobody(helper)
		ready := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
		w.mu.Lock()
		w.kill = cancel
		w.mu.Unlock()
		w.helpers.Go(func() { _ = helper.Listen(ctx, func(err error) error { ready <- err; return nil }) })
		return <-ready
	}
	p.Show = func(a Open, openTab bool) (func(), error) {
		w.mu.Lock()
		answers := w.answers
		if openTab {
			w.tabs = append(w.tabs, a)
		} else {
			w.read = append(w.read, a)
		}
		w.mu.Unlock()
		if answers != nil {
			answers(a)
		}
		return func() {}, nil
	}
}

// untilShown is the context of a process whose time is over once the person has been
// shown the login, and does nothing.
func (w *browserWorld) untilShown() context.Context {
	over := make(chan struct{})
	w.answers = func(Open) { close(over) }
	return ending{w.ctx(), over}
}

// finish is the person in the browser, from the start address to the last page.
func (w *browserWorld) finish(a Open) {
	go func() {
		address := get(w.t, a.Start).Header.Get("Location")
		if address == "" {
			address = a.VerificationURI // it was opened before
		}
		back, err := w.box.Authorize(address, "taro")
		if err != nil {
			w.t.Errorf("the provider's page says: %v", err)
			return
		}
		last := get(w.t, back)
		if where := last.Header.Get("Location"); last.StatusCode != http.StatusSeeOther || strings.ContainsAny(where, "?=") {
			w.t.Errorf("the redirect got status %d, to %q", last.StatusCode, where)
			return
		}
		page := get(w.t, strings.TrimSuffix(back[:strings.IndexByte(back, '?')], "/callback")+last.Header.Get("Location"))
		if page.StatusCode != http.StatusOK {
			w.t.Errorf("the last page has status %d", page.StatusCode)
		}
	}()
}

// get is one request, without redirects.
func get(t *testing.T, address string) *http.Response {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	var response *http.Response
	if err == nil {
		response, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	}
	if err != nil {
		t.Error(err)
		return &http.Response{Header: http.Header{}}
	}
	_ = response.Body.Close()
	return response
}

// authorized is where the provider redirects a person who logs in.
func (w *browserWorld) authorized(a Open) string {
	w.t.Helper()
	back, err := w.box.Authorize(a.VerificationURI, "taro")
	must(w.t, err)
	return back
}

// Without a device endpoint the browser is used, with nothing set but issuer and
// client, and the login renews as any other.
func TestBrowserLogin(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	w.mustRun(w.inBrowser)
	w.counts(map[string]int{"device": 0, "token:code": 1, "token:device": 0})
	if len(w.tabs) != 1 || len(w.read) != 0 {
		t.Errorf("tabs %v, texts %v", w.tabs, w.read)
	}
	w.clock.Advance(2 * time.Hour)
	w.person = Person{}
	w.mustRun(w.inBrowser)
	w.counts(map[string]int{"token:code": 1, "token:refresh": 1})
	if open := w.openCode(); open != nil || w.pipeline().readNote(loginNote).Codes != 0 {
		t.Errorf("left open: %+v", open)
	}

	// A renewal beside it ends no login that somebody forces.
	w.clock.Advance(2 * time.Hour)
	w.person = Person{Browser: true}
	w.answers = func(a Open) { w.mustRun(w.inBrowser); w.finish(a) }
	if _, err := w.pipeline(w.inBrowser).Login(w.ctx(), true); err != nil {
		t.Error(err)
	}
	w.counts(map[string]int{"token:code": 2, "token:refresh": 2})

	// A chained role opens the same tab.
	w = newBrowserWorld(t, sandbox.Options{})
	if c := w.mustRun(w.inBrowser, w.spoke("spoke")); c.AccountID != "444455556666" {
		t.Errorf("%+v", c)
	}
	w.mustRun()
	w.counts(map[string]int{"token:code": 1, "sts": 1, "sts:chained": 1})
}

// A caller that is out of time leaves the tab good; so does one that is killed, as
// package command tests.
func TestBrowserCallerIsKilled(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 10 * time.Minute})
	w.mustRun(w.inBrowser)
	before := w.readLogin()
	w.clock.Advance(24 * time.Hour)
	_, err := w.pipeline(w.inBrowser).Credentials(w.untilShown(), ForSDK)
	w.failsWith(err, failure.ExitLogin, "but the browser tab that was opened at 09:00 stays good until 09:10.")
	// Whoever forces a login takes it over, and keeps nothing of the one before.
	w.answers = w.finish
	if _, err := w.pipeline(w.inBrowser).Login(w.ctx(), true); err != nil || w.readLogin().key.Equal(before.key.String) {
		t.Errorf("%v, or the old key is kept", err)
	}
	w.counts(map[string]int{"token:code": 2})

	// That of a helper that was killed is none, also if others wait for its end.
	w = newBrowserWorld(t, sandbox.Options{})
	_, err = w.pipeline(w.inBrowser).Credentials(w.untilShown(), ForSDK)
	w.failsWith(err, failure.ExitLogin, "stays good until")
	w.kill()
	w.helpers.Wait()
	waiter, err := cache.Locks{Dir: w.dir, Shared: true}.TryLock(w.pipeline().helperLock())
	must(t, err)
	w.answers = w.finish
	time.AfterFunc(100*time.Millisecond, waiter.Unlock)
	w.mustRun(w.inBrowser)

	// A helper whose caller is gone ends.
	p := w.pipeline(w.inBrowser)
	if err := p.Listen(t.Context(), func(error) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it goes on: %v", err)
	}
	w.lock(p.helperLock()).Unlock()

	// Before it opened the tab: the next one does. After Ctrl-C there is nothing to open.
	for _, signal := range []bool{false, true} {
		w = newBrowserWorld(t, sandbox.Options{})
		ctx, cancel := context.WithCancel(w.ctx())
		dies := func(p *Pipeline) {
			w.inBrowser(p)
			start := p.Helper
			p.Helper = func() error {
				if err := start(); err != nil || !signal {
					runtime.Goexit()
				}
				cancel()
				return nil
			}
		}
		var caller sync.WaitGroup
		caller.Go(func() { _, _ = w.pipeline(dies).Credentials(ctx, ForSDK) })
		caller.Wait()
		cancel()
		if open := w.openCode(); (open == nil) != signal {
			t.Fatalf("signal %t: left open: %+v", signal, open)
		}
		if signal {
			w.helpers.Wait()
		}
		w.mustRun(w.inBrowser)
		if w.counts(map[string]int{"token:code": 1}); len(w.tabs) != 1 {
			t.Errorf("%d tabs", len(w.tabs))
		}
	}
}

// An ID token that has expired by this machine's clock as it comes is for AWS to judge.
func TestBrowserLoginWithAClockAhead(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{IDTokenLife: -time.Minute})
	if token, _, err := w.pipeline(w.inBrowser).IDToken(w.ctx()); err != nil || token.Empty() {
		t.Error(err)
	}
	w.counts(map[string]int{"token:code": 1, "token:refresh": 0})

	// One that was set back meanwhile does not hide the login that came.
	w = newBrowserWorld(t, sandbox.Options{})
	w.answers = func(a Open) { w.clock.Advance(-time.Minute); w.finish(a) }
	for range 2 {
		if _, err := w.pipeline(w.inBrowser).Login(w.ctx(), true); err != nil {
			t.Error(err)
		}
	}
}

// A login that the keyring does not take is not one that nobody finished.
func TestBrowserLoginThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{})
	look := sync.OnceFunc(func() { time.Sleep(lookTime + 200*time.Millisecond) }) // by then the helper has looked whether it is wanted
	w.ring = w.faulty(func(_ int, call string) fault {
		if call != "set login" {
			return works
		}
		look()
		return fails
	})
	w.answers = func(a Open) {
		back := w.authorized(a)
		go get(t, back)
	}
	w.fails(failure.ExitKeyring, "which this session cannot reach (input/output error).", w.inBrowser)
}

// The person's no is exit 4, and is not asked about again.
func TestBrowserLoginIsRefused(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{})
	w.person = Person{Browser: true}
	w.answers = func(a Open) {
		go func() {
			back, err := w.box.Authorize(a.VerificationURI, "")
			if err != nil {
				t.Error(err)
				return
			}
			get(t, back)
		}()
	}
	w.fails(failure.ExitRefused, "the login at 127.0.0.1", w.inBrowser)
	w.clock.Advance(time.Minute)
	w.fails(failure.ExitLogin, "was refused, so profile dev does not ask again.", w.inBrowser)
	_, err := w.pipeline(w.inBrowser).Login(w.ctx(), false)
	w.failsWith(err, failure.ExitRefused, "the login at 127.0.0.1")
	w.counts(map[string]int{"token:code": 0})
}

// A provider that knows the client and gives it no device codes gets a browser login,
// and the person is told; any other refusal is what it is.
func TestDeviceCodesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		refusal, flow string
		browser       bool
		first         string // of the failure; "": it succeeds
	}{
		{"unauthorized_client", "auto", true, ""},
		{"unsupported_grant_type", "", true, ""},
		{"unauthorized_client", "device", true, "does not accept client"},
		{"unauthorized_client", "auto", false, "does not accept client"},
		{"invalid_client", "auto", true, "does not accept client"},
		{"access_denied", "auto", true, "was refused"},
	} {
		w := newBrowserWorld(t, sandbox.Options{NoDeviceCodes: c.refusal})
		w.box.Set(func(o *sandbox.Options) { o.OmitDeviceEndpoint = false })
		w.person.Browser = c.browser
		run := func(p *Pipeline) { w.inBrowser(p); p.Profile.IDP.Flow = c.flow }
		if c.first != "" {
			w.fails(failure.ExitRefused, c.first, run)
			if len(w.tabs) != 0 {
				t.Errorf("%+v: tabs %v", c, w.tabs)
			}
			continue
		}
		w.mustRun(run)
		if len(w.tabs) != 1 || len(w.told) != 1 || !strings.HasSuffix(w.told[0], " gives this client no device codes, so you log in with the browser.") {
			t.Errorf("%+v: tabs %v, told %q", c, w.tabs, w.told)
		}
	}
	w := newBrowserWorld(t, sandbox.Options{})
	w.fails(failure.ExitUsage, "names no device_authorization_endpoint", func(p *Pipeline) { w.inBrowser(p); p.Profile.IDP.Flow = "device" })
	w = newBrowserWorld(t, sandbox.Options{OmitAuthorization: true})
	w.fails(failure.ExitUsage, "names no authorization_endpoint, so nobody can log in with a browser there.", func(p *Pipeline) { w.inBrowser(p); p.Profile.IDP.Flow = "browser" })
}

// A flow that was set while a code or a tab of the other one is open takes its place.
func TestFlowIsSetMeanwhile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, then  string
		codes, polls int
	}{{DeviceFlow, BrowserFlow, 1, 0}, {BrowserFlow, DeviceFlow, 0, 1}} {
		w := newBrowserWorld(t, sandbox.Options{})
		w.box.Set(func(o *sandbox.Options) { o.OmitDeviceEndpoint = false })
		set := func(flow string) *Pipeline {
			return w.pipeline(w.inBrowser, func(p *Pipeline) { p.Profile.IDP.Flow = flow })
		}
		_, err := set(c.first).Credentials(w.untilShown(), ForSDK)
		w.failsWith(err, failure.ExitLogin, "not approved within")
		w.answers = func(a Open) {
			if a.Redirect != "" {
				w.finish(a)
			} else {
				w.approve(a.UserCode)
			}
		}
		if _, err := set(c.then).Login(w.ctx(), false); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		w.counts(map[string]int{"device": 1, "token:code": c.codes, "token:device": c.polls})
	}
}

// A tab that nobody finishes ends after ten minutes; a logout ends it at once, and
// what the person then answers brings no login.
func TestBrowserLoginEnds(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{})
	w.answers = func(Open) { w.clock.Advance(10 * time.Minute) }
	w.fails(failure.ExitLogin, "nobody finished the login of 09:00 in the browser.", w.inBrowser)
	w.helpers.Wait()

	// An answer after the logout, if it is there before the helper has looked again.
	for try, late := 0, false; !late; try++ {
		if try == 10 {
			t.Fatal("no answer was there in time")
		}
		w = newBrowserWorld(t, sandbox.Options{})
		w.answers = func(a Open) {
			request, err := http.NewRequest(http.MethodGet, w.authorized(a), nil)
			must(t, err)
			w.mustLogout()
			answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
			if late = err == nil; late && answer.StatusCode != http.StatusSeeOther {
				t.Errorf("status %d", answer.StatusCode)
			}
		}
		w.fails(failure.ExitLogin, "the login in the browser ended before it was finished.", w.inBrowser)
		w.helpers.Wait()
	}
	w.counts(map[string]int{"token:code": 0})

	// Also if it has an answer, and whoever ended it starts another with the lock.
	_, err := w.pipeline(w.inBrowser).Credentials(w.untilShown(), ForSDK)
	w.failsWith(err, failure.ExitLogin, "stays good until")
	p := w.pipeline(w.inBrowser)
	lock := w.lock(p.loginLock())
	defer lock.Unlock()
	back := w.authorized(*w.openCode())
	statuses := make(chan int, 2)
	for range cap(statuses) {
		w.helpers.Go(func() { statuses <- get(t, back).StatusCode })
	}
	<-statuses // of the second, for the first is the answer
	p.dropAuthorization()
	if err := p.Helper(); err != nil {
		t.Errorf("another login: %v", err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	_, err = p.redeem(over, nil, browserflow.Answer{})
	w.failsWith(err, failure.ExitLogin, "the login in the browser ended before it was finished.")

	// An address that is on its way when the login is over is not called wrong.
	over, end = context.WithCancel(t.Context())
	busy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { end(); <-r.Context().Done() }))
	defer busy.Close()
	p.Paste = func(context.Context) (secret.String, error) { return secret.New(busy.URL + "?code=x"), nil }
	if p.paste(over, busy.URL); len(w.told) != 0 {
		t.Errorf("told %q", w.told)
	}
}

// A browser that does not start, with a terminal there, is no tab to finish in: the
// address is what was shown, and the next process does not try the browser again.
func TestNoTabWithATerminal(t *testing.T) {
	t.Parallel()
	w := newBrowserWorld(t, sandbox.Options{})
	noTab := func(p *Pipeline) {
		w.inBrowser(p)
		show := p.Show
		p.Show = func(a Open, openTab bool) (func(), error) {
			_, _ = show(a, openTab)
			return func() {}, ErrNoBrowser
		}
	}
	for range 2 {
		_, err := w.pipeline(noTab).Credentials(w.untilShown(), ForSDK)
		w.failsWith(err, failure.ExitLogin, "but the address that was shown at 09:00 stays good until 09:10.")
	}
	if len(w.tabs) != 1 || len(w.read) != 1 || w.openCode().Opened != (time.Time{}) {
		t.Errorf("tabs %v, texts %v, %+v", w.tabs, w.read, w.openCode())
	}

	// A login that comes of it meanwhile, for a browser that was said to have failed, is
	// over: the next one is asked for as ever.
	w = newBrowserWorld(t, sandbox.Options{NoRefreshToken: true, IDTokenLife: 10 * time.Minute})
	w.mustRun(w.inBrowser)
	w.helpers.Wait()
	w.clock.Advance(2 * time.Hour)
	w.answers = func(a Open) { w.finish(a); w.helpers.Wait() }
	w.mustRun(noTab)
	if open := w.openCode(); open != nil {
		t.Errorf("left open: %+v", open)
	}
}
