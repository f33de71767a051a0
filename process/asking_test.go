package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// A login that nobody can be shown starts nothing and says why.
func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	for why, want := range map[string]string{"": "there is no terminal to ask on", "DAYPASS_PROMPT says never": "DAYPASS_PROMPT says never"} {
		w.person = Person{Why: why}
		w.fails(failure.ExitLogin, "profile dev needs a login, but "+want+".")
	}
	w.person = Person{Why: "CI is set"}
	_, err := w.pipeline().Login(w.ctx(), true)
	w.failsWith(err, failure.ExitLogin, "a login needs a person, but CI is set.")
	w.counts(map[string]int{"device": 0})
	// After a login that ended, that is what is said.
	w = dueWorld(t, sandbox.Options{})
	w.box.EndLogins()
	w.fails(failure.ExitLogin, "has ended (invalid_grant)")
}

// Whoever takes a code over waits a whole interval, which slow_down has made
// longer; opens a tab only if none was opened; and ends the showing when the wait is
// over.
func TestTakingACodeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
	w.person, w.answer = Person{Terminal: true}, nil
	slow := 1
	w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/token") || slow == 0 {
			return false
		}
		slow--
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write([]byte(`{"error":"slow_down"}`))
		return true
	})
	_, err := w.run()
	w.failsWith(err, failure.ExitLogin, "not approved within 50 s")
	if text := err.Error(); !strings.Contains(text, "Code "+w.shown[0].code+" stays good until ") || !strings.Contains(text, "user_code="+w.shown[0].code) {
		t.Errorf("neither code nor address is named:\n%s", text)
	}
	if open := w.openCode(); open == nil || open.Interval != 10*time.Second || !open.Opened.IsZero() {
		t.Fatalf("the slower interval was not stored: %+v", open)
	}
	// One that cannot be polled before the process must end is not shown, but named.
	polls := w.box.Count("token:device")
	w.failsIn(sandbox.Deadline(t.Context(), w.clock.Now().Add(10*time.Second-1)), failure.ExitLogin, "Code "+w.shown[0].code+" stays good until ")
	if w.counts(map[string]int{"token:device": polls}); len(w.shown) != 1 {
		t.Errorf("shown %v", w.shown)
	}
	w.person.Browser = true
	w.clock.Advance(time.Second)
	ended, begun := 0, w.clock.Now()
	showing := func(answer func(code string)) func(*Pipeline) {
		return func(p *Pipeline) {
			p.Show = func(a Open, openTab bool) (func(), error) {
				if open := w.openCode(); open == nil || open.UserCode != a.UserCode || openTab && open.Opened.IsZero() {
					t.Errorf("shown before it was stored: %+v", open)
				}
				w.shown = append(w.shown, shown{a.UserCode, openTab})
				if answer != nil {
					answer(a.UserCode)
				}
				return func() { ended++ }, nil
			}
		}
	}
	for range 2 {
		w.fails(failure.ExitLogin, "not approved within", showing(nil))
	}
	w.mustRun(showing(w.approve))
	if w.tabs() != 1 || !w.shown[1].tab || ended != 3 {
		t.Errorf("shown %v, and %d showings were ended", w.shown, ended)
	}
	for _, r := range w.box.Requests() {
		if r.Endpoint == "token:device" && !r.Time.Before(begun) && r.Time.Sub(begun) < 10*time.Second {
			t.Errorf("polled %s after the take-over", r.Time.Sub(begun))
		}
	}
	w.counts(map[string]int{"device": 1})
}

// A code that somebody else approved logs in as somebody else: whoever saw it is
// told as whom, also by a process that took it over.
func TestWhoApprovedIsTold(t *testing.T) {
	t.Parallel()
	for name, takenOver := range map[string]bool{"at once": false, "taken over": true} {
		w := newWorld(t, sandbox.Options{})
		if takenOver {
			w.answer = nil
			w.fails(failure.ExitLogin, "not approved within")
			w.clock.Advance(time.Second)
		}
		w.byHanako()
		w.mustRun()
		w.clock.Advance(time.Second)
		w.mustRun()
		w.mustLogin(true) // says it itself
		if want := []string{"hanako@example.com."}; !slices.Equal(w.greeted, want) {
			t.Errorf("%s: told %q, want %q", name, w.greeted, want)
		}
	}
}

// A poll that is under way at the deadline is finished, and AWS still asked: whoever
// approves at the last moment gets credentials.
func TestApprovalAtTheLastMoment(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"first login", "chained", "Azure", "after a token that AWS calls expired"} {
		w := newWorld(t, sandbox.Options{NoRefreshToken: true})
		p := w.pipeline()
		switch how {
		case "chained":
			p = w.pipeline(w.spoke("spoke"))
		case "Azure":
			w.box.Federate(w.federated())
			p = w.pipeline(w.inAzure).inAzure(azure.VaultScope)
		case "after a token that AWS calls expired":
			w.mustRun(longRole)
			w.clock.Advance(time.Second)
			w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
		}
		ctx := ending{w.ctx(), make(chan struct{})}
		w.during("/token", sync.OnceFunc(func() {
			w.clock.Advance(50 * time.Second)
			close(ctx.over)
		}))
		if _, err := p.Credentials(ctx, ForSDK); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// cannotShow is a process to which showing a code ends with err. A person who has
// the tab approves it.
func (w *world) cannotShow(err error) func(*Pipeline) {
	return func(p *Pipeline) {
		p.Show = func(a Open, openTab bool) (func(), error) {
			w.shown = append(w.shown, shown{a.UserCode, openTab})
			if openTab && !errors.Is(err, ErrNoBrowser) {
				w.approve(a.UserCode)
				return func() {}, err
			}
			return nil, err
		}
	}
}

// A code that cannot be shown is no reason for another: it stays open. With a tab
// open the wait is not in vain.
func TestCodeThatCannotBeShown(t *testing.T) {
	t.Parallel()
	gone := errors.New("the terminal is gone")
	w := newWorld(t, sandbox.Options{})
	w.person = Person{Terminal: true}
	for range 3 {
		w.fails(failure.ExitUnexpected, "cannot be shown: the terminal is gone.", w.cannotShow(gone))
		w.clock.Advance(time.Second)
	}
	w.counts(map[string]int{"device": 1, "token:device": 0})

	w = newWorld(t, sandbox.Options{})
	w.mustRun(w.cannotShow(gone))
}

// A browser that did not start was none: nobody waits for an answer, the reason is
// told, and the code stays open for a browser that starts, once.
func TestBrowserThatDoesNotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	for _, terminal := range []bool{false, true, false} { // which does not answer
		w.person = Person{Browser: true, Terminal: terminal}
		err := w.fails(failure.ExitLogin, `profile dev needs a login, but the browser did not start ("firefox {url}": not found in PATH).`, w.cannotShow(fmt.Errorf(`%w ("firefox {url}": not found in PATH)`, ErrNoBrowser)))
		if f := failure.From(err); len(f.Lines) != 2 || f.Lines[1] != "Correct browser_command in [daypass-idp corp], or BROWSER. Or run in a terminal: daypass login --profile dev" {
			t.Errorf("advice: %q", f.Lines)
		}
		w.clock.Advance(time.Second)
	}
	if open := w.openCode(); open == nil || !open.Opened.IsZero() {
		t.Errorf("the code is not open, or opened: %+v", open)
	}
	w.counts(map[string]int{"device": 1, "token:device": 0})
	w.shown, w.answer = nil, nil
	for range 2 {
		w.fails(failure.ExitLogin, "not approved within")
	}
	if w.tabs() != 1 {
		t.Errorf("%d tabs, want one once a browser starts", w.tabs())
	}
	w.approve(w.shown[0].code)
	w.mustRun()
	w.counts(map[string]int{"device": 1})

	// Whatever becomes of the code, a provider that nobody has polled is not to blame.
	w = newWorld(t, sandbox.Options{})
	w.person = Person{Browser: true}
	for range 2 {
		w.fails(failure.ExitLogin, "the browser did not start", w.cannotShow(ErrNoBrowser))
	}
	w.clock.Advance(time.Hour)
	w.fails(failure.ExitLogin, "nobody answered the login of 09:00")
}

// A provider that is away while a code is open is what is said, and not that the
// person did not answer.
func TestProviderAwayWhilePolling(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*world){
		"down":    func(w *world) { w.answerWith("/token", http.StatusServiceUnavailable, "down") },
		"dropped": func(w *world) { w.drop("/token", false, -1) },
	} {
		w := newWorld(t, sandbox.Options{Interval: 5 * time.Second})
		w.answer = func(string) { breakIt(w) }
		w.fails(failure.ExitNetwork, "127.0.0.1")
		if w.openCode() == nil {
			t.Errorf("%s: the code is closed", name)
		}
		w.box.Intercept(nil)
		w.answer = w.approve
		w.mustRun()
		w.counts(map[string]int{"device": 1})
	}
}

// A code that ran out is that, whatever kept the last poll from its answer, and
// by whoever's clock it ran out: no tab asks again. A provider that was not
// understood until then, or sends rubbish, is not a person who did not answer. A day
// later somebody may be there.
func TestCodeThatRanOut(t *testing.T) {
	t.Parallel()
	silent := func(w *world, p *Pipeline) {
		polls := 0
		w.onTheWay(func(r *http.Request) error {
			if strings.HasSuffix(r.URL.Path, "/token") {
				if polls++; polls > 1 {
					return context.DeadlineExceeded
				}
			}
			return nil
		})(p)
	}
	for _, c := range []struct {
		name   string
		change func(*world, *Pipeline)
		exit   int
		first  string
		next   string // what a later process says
	}{
		{"by our clock", func(*world, *Pipeline) {}, failure.ExitLogin, "ran out", "nobody answered the login of"},
		{"by our clock, with the provider silent at last", silent, failure.ExitNetwork, "127.0.0.1", "09:00 failed, so profile dev does not ask again."},
		{"by the provider's", func(w *world, _ *Pipeline) { w.answerWith("/token", 400, `{"error":"expired_token"}`) },
			failure.ExitLogin, "ran out", "nobody answered the login of"},
		{"with answers that cannot be read", func(w *world, _ *Pipeline) { w.answerWith("/token", 200, `<html>`) },
			failure.ExitNetwork, "127.0.0.1", "09:00 failed, so profile dev does not ask again."},
		{"with an ID token of no use", func(w *world, _ *Pipeline) {
			w.answer = w.approve
			w.box.Set(func(o *sandbox.Options) { o.Algorithm, o.NoRefreshToken = "HS256", true })
		}, failure.ExitRefused, "cannot be used", "09:00 failed, so profile dev does not ask again."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{CodeLife: 20 * time.Second})
			w.person, w.answer = Person{Browser: true}, func(string) {}
			w.fails(c.exit, c.first, func(p *Pipeline) { c.change(w, p) })
			w.box.Intercept(nil)
			ended := w.clock.Now()
			for _, after := range []time.Duration{time.Minute, 2 * time.Minute, noteKept - 21*time.Second} {
				w.clock.Advance(ended.Add(after).Sub(w.clock.Now()))
				w.fails(failure.ExitLogin, c.next)
			}
			w.counts(map[string]int{"device": 1})
			w.box.Set(func(o *sandbox.Options) { o.Algorithm = "" })
			w.clock.Advance(21 * time.Second)
			w.answer = w.approve
			if w.mustRun(); w.tabs() != 2 {
				t.Errorf("%d tabs", w.tabs())
			}
		})
	}
}

// watch aws ... overnight in a terminal costs at most three codes and one tab.
func TestAnEmptyChairIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.answer = nil
	for night := w.clock.Now().Add(8 * time.Hour); w.clock.Now().Before(night); w.clock.Advance(time.Minute) {
		if _, err := w.run(); err == nil {
			t.Fatal("credentials without a login")
		}
	}
	if n := w.box.Count("device"); n > codesForNobody || w.tabs() != 1 {
		t.Errorf("%d codes and %d tabs, want at most 3 and 1", n, w.tabs())
	}
	w.fails(failure.ExitLogin, "nobody answered the login of")

	w.answer = w.approve
	w.mustLogin(false)
	if w.tabs() != 2 {
		t.Errorf("%d tabs, want one for the person who typed login", w.tabs())
	}
	w.mustRun()
}

// After a refusal process opens no tab, for a day, and whatever else goes wrong
// meanwhile; on a terminal a new code is shown as text.
func TestRefusedCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		typed bool
		then  func(*world)
	}{
		{"by process", false, func(*world) {}},
		{"in words of the provider's own, to a process that took it over", false, func(*world) {}},
		{"by login", true, func(*world) {}},
		{"by process, then the provider is down", false, (*world).providerFailsOnce},
		{"by login, then the provider is down", true, (*world).providerFailsOnce},
		{"by login, then a dialog is dismissed", true, func(w *world) {
			unlocked := w.ring
			w.lockRing(false)
			w.fails(failure.ExitKeyring, notGiven)
			w.ring = unlocked
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			w.answer = func(code string) { _ = w.box.Deny(code) }
			var err error
			switch {
			case c.typed:
				_, err = w.pipeline().Login(w.ctx(), false)
			case strings.Contains(c.name, "took it over"):
				w.answer = nil
				w.fails(failure.ExitLogin, "not approved within")
				w.clock.Advance(time.Second)
				w.answerWith("/token", 400, `{"error":"invalid_grant","error_description":"the login was refused: a contractor"}`)
				_, err = w.run()
				w.box.Intercept(nil)
			default:
				_, err = w.run()
			}
			w.failsWith(err, failure.ExitRefused, "was refused")
			w.clock.Advance(time.Second)
			c.then(w)
			w.clock.Advance(renewalPause)
			w.shown, w.answer = nil, nil
			w.person = Person{Browser: true}
			w.fails(failure.ExitLogin, "so profile dev does not ask again.")
			w.person = Person{Terminal: true, Browser: true}
			w.fails(failure.ExitLogin, "not approved within")
			w.answer = w.approve
			w.mustRun()
			if len(w.shown) != 2 || w.tabs() != 0 {
				t.Errorf("shown %v, want a code as text, twice", w.shown)
			}
		})
	}
}

// providerFailsOnce has the provider fail when process next asks for a code on the
// terminal.
func (w *world) providerFailsOnce() {
	w.answerWith("/device_authorization", http.StatusServiceUnavailable, "down")
	w.fails(failure.ExitNetwork, "503")
	w.box.Intercept(nil)
}

// If the answer with the tokens is lost, or the process is killed that gets it, the
// provider no longer knows the code. The person has approved it, so nobody has refused,
// and the next command asks again.
func TestSpentCode(t *testing.T) {
	t.Parallel()
	for _, kill := range []bool{false, true} {
		w := newWorld(t, sandbox.Options{})
		if kill {
			p := w.pipeline()
			flow, err := p.flow()
			must(t, err)
			network := flow.Transport
			flow.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				response, err := network.RoundTrip(r)
				if strings.HasSuffix(r.URL.Path, "/token") {
					panic(killed)
				}
				return response, err
			})
			untilKilled(func() { _, _ = p.Credentials(w.ctx(), ForSDK) })
			w.answer = nil
		} else {
			w.drop("/token", true, 1)
		}
		w.fails(failure.ExitLogin, "is no longer valid, and the login was not completed.")
		w.clock.Advance(time.Second)
		w.person, w.answer = Person{Browser: true}, w.approve
		w.mustRun()
		w.counts(map[string]int{"device": 2})
	}
}

// A code that could not be kept, and so was shown to nobody, does not count.
func TestCodeThatCannotBeKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.person = Person{Browser: true}
	var place string
	w.during("/device_authorization", func() {
		place = filepath.Join(w.kept(w.profile()).Dir(), authorizationFile+".sealed")
		if err := os.Mkdir(place, 0o700); err != nil {
			t.Error(err)
		}
	})
	if _, err := w.run(); err == nil || len(w.shown) != 0 {
		t.Fatalf("%v, shown: %v", err, w.shown)
	}
	w.box.Intercept(nil)
	must(t, os.Remove(place))
	w.clock.Advance(time.Second)
	w.mustRun()
}

// What a clock that ran ahead has stored keeps nobody from credentials once it is
// set right.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	t.Run("failed renewal", func(t *testing.T) {
		w := dueWorld(t, sandbox.Options{})
		w.clock.Advance(year)
		w.answerWith("/token", 503, "down")
		w.fails(failure.ExitNetwork, "")
		w.box.Intercept(nil)
		w.clock.Advance(24*time.Hour - year)
		w.mustRun()
	})
	t.Run("unanswered codes", func(t *testing.T) {
		w := newWorld(t, sandbox.Options{CodeLife: 2 * time.Minute})
		w.person, w.answer = Person{Browser: true}, nil
		w.clock.Advance(year)
		for range 5 {
			_, _ = w.run()
			w.clock.Advance(time.Minute)
		}
		w.fails(failure.ExitLogin, "nobody answered the login of")
		w.clock.Advance(2*24*time.Hour - year)
		w.answer = w.approve
		w.mustRun()
	})
}

// A code that ran out while no process looked counts as unanswered from the moment
// it ran out, and is not shown to those who wait.
func TestCodeThatRanOutUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.person, w.answer = Person{Browser: true}, nil
	w.fails(failure.ExitLogin, "not approved within")
	w.clock.Advance(10 * time.Minute)
	p := w.pipeline()
	if a := p.openAuthorization(t.Context()); a != nil {
		t.Errorf("code %s is open, and it ran out", a.UserCode)
	}
	if s := p.Status(t.Context()); s.OpenCode != nil {
		t.Errorf("status shows %s, which ran out", s.OpenCode.UserCode)
	}
	w.fails(failure.ExitLogin, "nobody answered the login of")
	w.counts(map[string]int{"device": 1})

	// Whose polls had no answer at last is the provider's failure.
	w = newWorld(t, sandbox.Options{CodeLife: 10 * time.Minute})
	w.person = Person{Browser: true}
	w.answer = func(string) { w.answerWith("/token", 200, "<html>") }
	w.fails(failure.ExitNetwork, "does not answer as it should")
	w.box.Intercept(nil)
	w.clock.Advance(10 * time.Minute)
	w.fails(failure.ExitLogin, "the login of 09:00 failed, so profile dev does not ask again.")

	// So it does where the refresh token turns out to have ended afterwards.
	w = newWorld(t, sandbox.Options{Rotate: true, CodeLife: 10 * time.Minute, IDTokenLife: time.Hour})
	w.mustRun()
	w.answer, w.person = nil, Person{Browser: true}
	w.clock.Advance(time.Second)
	_, err := w.pipeline().Login(w.ctx(), true)
	w.failsWith(err, failure.ExitLogin, "not approved within")
	w.box.EndLogins()
	w.clock.Advance(12 * time.Hour)
	w.fails(failure.ExitLogin, "nobody answered the login of")
	w.counts(map[string]int{"device": 2, "token:refresh": 1})
}

// A command without a deadline of its own, such as exec, does not wait for the end of a
// code that it can show to nobody, be it that another process polls.
func TestNobodyWaitsUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.answer = nil
	w.fails(failure.ExitLogin, "not approved within")
	w.person = Person{}
	_, _, err := w.pipeline().IDToken(t.Context())
	w.failsWith(err, failure.ExitLogin, "not approved within")
	lock := w.lock(w.pipeline().loginLock())
	defer lock.Unlock()
	_, _, err = w.pipeline().IDToken(t.Context())
	w.failsWith(err, failure.ExitLogin, "not approved within")
	if w.openCode() == nil {
		t.Error("the code is gone")
	}
}
