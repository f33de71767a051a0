package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// profileFlag gives a command that a person types the flag --profile.
func profileFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVarP(name, "profile", "p", "", "the profile (default: AWS_PROFILE, else default, else the only one)")
}

// target names what a command that a person types is about: a profile, or with
// --idp alone a login.
type target struct{ profile string }

func (t *target) addFlags(cmd *cobra.Command) {
	profileFlag(cmd, &t.profile)
	addSettings(cmd)
	cmd.Flags().Lookup("idp").Hidden = false
}

// load reads the settings of the target; for a section alone, the profile holds
// only its IDP.
func (t *target) load(src profile.Source) (profile.Profile, error) {
	if section := src.Flags["idp"]; section != "" && t.profile == "" {
		idp, err := profile.LoadIDP(src, section)
		return profile.Profile{IDP: idp}, err
	}
	return loadProfile(src, t.profile)
}

// loadProfile reads the profile that a person named or meant.
func loadProfile(src profile.Source, name string) (profile.Profile, error) {
	if _, issuer := src.Flags["issuer"]; name != "" || issuer {
		return profile.Load(src, name)
	}
	file, err := profile.Open(src)
	if err != nil {
		return profile.Profile{}, err
	}
	if name, err = file.Choose(name); err != nil {
		return profile.Profile{}, err
	}
	return file.Load(name)
}

// session is one command's way to a profile: the pipeline, and the terminal on
// which the person is asked.
type session struct {
	*process.Pipeline
	env *Environment
	// typed: a person typed the command, and reads what it shows.
	typed bool
	// noBrowser: the person wants no tab.
	noBrowser bool

	terminal     *prompt.Terminal
	openTerminal sync.Once
}

// forProfile runs do with the session of the profile that a person named or meant.
func (e *Environment) forProfile(cmd *cobra.Command, name string, do func(*session) error) error {
	p, err := loadProfile(e.source(cmd), name)
	if err != nil {
		return err
	}
	return e.withSession(p, do)
}

// forTarget is forProfile for commands that also act on a login alone.
func (e *Environment) forTarget(cmd *cobra.Command, t *target, do func(*session) error) error {
	p, err := t.load(e.source(cmd))
	if err != nil {
		return err
	}
	return e.withSession(p, do)
}

func (e *Environment) withSession(p profile.Profile, do func(*session) error) error {
	s, err := e.session(p)
	if err != nil {
		return err
	}
	defer s.close()
	return do(s)
}

// session makes the pipeline for a profile. Nothing of it is built that a cached
// answer does not need.
func (e *Environment) session(p profile.Profile) (*session, error) {
	if p.IDP.Storage == "" {
		p.IDP.Storage = "auto" // no profile is named: logout --all
	}
	if e.storages == nil {
		dir, err := cache.StateDir(e.Getenv, e.Home)
		if err != nil {
			var f *failure.Error
			if errors.As(err, &f) {
				return nil, f
			}
			return nil, failure.New(failure.ExitUsage, err, err.Error()+".", "Set HOME (on Windows LocalAppData) to your own folder.")
		}
		e.storages, e.stateDir = cache.Open(cache.Options{StateDir: dir, Getenv: e.Getenv, Keyrings: e.Keyrings}), dir
	}
	kept, err := e.storages.Login(process.LoginKey(p.IDP), p.IDP.Storage)
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, fmt.Sprintf("storage %q: %v.", p.IDP.Storage, err))
	}
	s := &session{env: e}
	s.Pipeline = &process.Pipeline{
		Profile: p, Kept: kept, Storages: e.storages, Locks: cache.Locks{Dir: e.stateDir},
		Person: s.person, Show: s.show, Waiting: s.waiting, Tell: s.tell,
		Now: e.Now, Sleep: e.Sleep,
	}
	s.Debug, err = e.debugLog()
	return s, err
}

func (s *session) close() {
	if s.terminal != nil {
		_ = s.terminal.Close()
	}
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

// audience is how a person can be reached by the rules of package prompt.
func (s *session) audience() prompt.Audience {
	return prompt.Look(s.Profile.IDP.Prompt, s.env.Getenv)
}

func (s *session) person() process.Person {
	a := s.audience()
	return process.Person{
		// Whoever typed the command reads its stderr, if there is no terminal device.
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
		UserCode: a.UserCode, VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete, Expires: a.Expires,
		Profile: s.Profile.Name, RoleName: s.Profile.RoleName, AccountID: s.Profile.AccountID, QR: s.typed,
	}
	text, err := prompt.Text(request, s.env.Now())
	if err != nil {
		return nothing, fmt.Errorf("%w: %w", process.ErrUnfit, err)
	}
	if openTab {
		address := a.VerificationURIComplete
		if address == "" {
			address = a.VerificationURI
		}
		err := s.env.openBrowser(context.Background(), s.Profile, address)
		request.TabOpened = err == nil
		if err != nil && !s.person().Terminal {
			return nothing, fmt.Errorf("%w (%w)", process.ErrNoBrowser, err)
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
	if err := tty.Show(request, s.env.Now()); err != nil {
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
		_ = tty.Say(prompt.Clean(line))
	} else if s.typed {
		_, _ = fmt.Fprintln(s.env.Stderr, prompt.Clean(line))
	}
}
