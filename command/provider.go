package command

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// session is one command's way to a profile: the pipeline, and the terminal on
// which the person is asked.
type session struct {
	*process.Provider
	env *Environment
	// typed: a person typed the command, and reads what it shows.
	typed bool
	// noBrowser: the person wants no tab.
	noBrowser bool

	terminal     *prompt.Terminal
	openTerminal sync.Once
}

// session makes the pipeline for a profile. Nothing of it is built that a cached
// answer does not need.
func (e *Environment) session(p profile.Profile) (*session, error) {
	if p.IDP.Storage == "" {
		p.IDP.Storage = "auto" // no profile is named: logout --all
	}
	dir, err := cache.StateDir(e.Getenv, e.Home)
	if err != nil {
		return nil, &failure.Error{Exit: failure.ExitUnexpected, Err: err,
			Lines: []string{fmt.Sprintf("no state folder: %v.", err), "Set HOME (on Windows LocalAppData) to your own folder."}}
	}
	options := cache.Options{Storage: p.IDP.Storage, StateDir: dir, Getenv: e.Getenv}
	store, err := cache.Open(options)
	if err != nil {
		return nil, &failure.Error{Exit: failure.ExitKeyring, Err: err, Lines: []string{fmt.Sprintf("storage %q: %v.", p.IDP.Storage, err)}}
	}
	s := &session{env: e}
	s.Provider = &process.Provider{
		Profile: p, Store: store, Locks: cache.Locks{Dir: dir},
		Person: s.person, Show: s.show, Waiting: s.waiting, Tell: s.tell,
		Now: e.Now, Sleep: e.Sleep,
	}
	if s.Debug, err = e.debugLog(); err != nil {
		return nil, err
	}
	return s, nil
}

// withTimeout is context.WithTimeout whose deadline is on the command's own clock,
// by which the pipeline measures what is left of it.
func (e *Environment) withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d)
	return deadline{ctx, e.Now().Add(d)}, cancel
}

type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }

func (s *session) close() {
	if s.terminal != nil {
		_ = s.terminal.Close()
	}
}

// audience is how a person can be reached by the rules of package prompt.
func (s *session) audience() prompt.Audience {
	return prompt.Look(s.Profile.IDP.Prompt, s.env.Getenv)
}

func (s *session) person() process.Person {
	a := s.audience()
	return process.Person{
		// Who typed the command reads its stderr, where there is no terminal device.
		Terminal: a.Terminal || s.typed,
		Browser:  a.Browser && !s.noBrowser,
		Why:      a.Why,
	}
}

// tty is the terminal device, or nil.
func (s *session) tty() *prompt.Terminal {
	s.openTerminal.Do(func() {
		if s.audience().Terminal {
			s.terminal, _ = prompt.OpenTerminal()
		}
	})
	return s.terminal
}

// show shows the authorization, and opens the tab.
func (s *session) show(a deviceflow.Authorization, openTab bool) (func(), error) {
	nothing := func() {}
	request := prompt.Request{
		Auth: a, Profile: s.Profile.Name, RoleName: s.Profile.RoleName, AccountID: s.Profile.AccountID, QR: s.typed,
	}
	text, err := prompt.Text(request, time.Local)
	if err != nil {
		return nothing, fmt.Errorf("%w: %w", process.ErrUnfit, err)
	}
	if openTab {
		address := a.VerificationURIComplete
		if address == "" {
			address = a.VerificationURI
		}
		err := prompt.OpenBrowser(s.env.Executable, s.Profile.IDP.BrowserCommand, address, s.Profile.Name, s.env.Getenv)
		request.TabOpened = err == nil
		if err != nil && !s.person().Terminal {
			return nothing, err
		}
	}
	tty := s.tty()
	if tty == nil {
		if !s.typed {
			return nothing, nil
		}
		_, err := fmt.Fprint(s.env.Stderr, text)
		return nothing, err
	}
	if err := tty.Show(request); err != nil {
		return nothing, err
	}
	if !s.typed {
		return nothing, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tty.Countdown(ctx, a.UserCode, a.Expires, s.env.Now, s.env.Sleep)
	}()
	return func() { cancel(); <-ended }, nil
}

// waiting tells that another process is logging in.
func (s *session) waiting(ctx context.Context, open func() (deviceflow.Authorization, bool)) {
	tty := s.tty()
	if tty == nil {
		return
	}
	code := ""
	tty.Waiting(ctx, func() string {
		if code == "" { // each look is a read of the keyring
			a, _ := open()
			code = a.UserCode
		}
		return code
	}, s.env.Now, s.env.Sleep)
}

func (s *session) tell(line string) {
	if tty := s.tty(); tty != nil {
		_ = tty.Line(line)
	} else if s.typed {
		_, _ = fmt.Fprintln(s.env.Stderr, prompt.Clean(line))
	}
}
