package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// profileFlag gives a command that a person types the flag --profile.
func profileFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVarP(name, "profile", "p", "", "the profile (default: AWS_PROFILE, else default, else the only one)")
}

// loginFlags gives a command its flags if it can also act on a login alone.
func loginFlags(cmd *cobra.Command, name *string) {
	profileFlag(cmd, name)
	addSettings(cmd, "idp")
}

// loadLogin is loadProfile, but with --idp only the profile's IDP is set.
func loadLogin(src profile.Source, name string) (profile.Profile, error) {
	section := src.Flags["idp"]
	switch {
	case section == "":
		return loadProfile(src, name)
	case name != "":
		return profile.Profile{}, errors.New("give either --profile or --idp")
	}
	file, err := profile.Open(src)
	if err != nil {
		return profile.Profile{}, err
	}
	idp, err := file.LoadIDP(section)
	return profile.Profile{IDP: idp}, err
}

// loadProfile reads the profile that a person named or meant, which has a role.
func loadProfile(src profile.Source, name string) (profile.Profile, error) {
	p, err := loadAny(src, name)
	return p, withRole(p, err)
}

// withRole is the error for a profile that is for Azure alone, where a role is needed.
func withRole(p profile.Profile, err error) error {
	if err == nil && p.RoleARN == "" {
		return failure.New(failure.ExitUsage, nil, "profile "+p.Name+" is for Azure alone: it has no role at AWS.", "Set daypass_idp and daypass_role_arn in it, or use: daypass exec, daypass azure-token")
	}
	return err
}

// loadAny reads the profile that a person named or meant. It may be for Azure alone.
func loadAny(src profile.Source, name string) (profile.Profile, error) {
	if cmp.Or(name, src.Flags["issuer"], src.Flags["source"]) != "" {
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

// addSettings gives a command the flags that override the profile's settings. There
// are many, and they are rarely needed, so they have a help page of their own. Help shows
// the usual ones.
func addSettings(cmd *cobra.Command, usual ...string) {
	for _, flag := range profile.Flags() {
		cmd.Flags().String(flag.Name, "", flag.Usage)
		cmd.Flags().Lookup(flag.Name).Hidden = !slices.Contains(usual, flag.Name)
	}
}

func (e *Environment) source(cmd *cobra.Command) profile.Source {
	src := profile.Source{Getenv: e.Getenv, Home: e.Home, Flags: map[string]string{}}
	for _, flag := range profile.Flags() {
		if f := cmd.Flags().Lookup(flag.Name); f != nil && f.Changed {
			src.Flags[flag.Name] = f.Value.String()
		}
	}
	return src
}

// session is what one command has of a profile: the pipeline, and the terminal on which
// the person is asked.
type session struct {
	*process.Pipeline
	env       *Environment
	typed     bool // a person typed the command, and reads what it shows
	noBrowser bool // the person does not want a tab

	opening  sync.Mutex
	terminal *prompt.Terminal // nil until it could be opened
}

func (e *Environment) withSession(p profile.Profile, do func(*session) error) error {
	s, err := e.session(p)
	if err != nil {
		return err
	}
	defer func() {
		if s.terminal != nil {
			_ = s.terminal.Close()
		}
	}()
	return do(s)
}

// session makes the pipeline for a profile, but only as far as a cached answer needs.
func (e *Environment) session(p profile.Profile) (*session, error) {
	if p.IDP.Storage == "" {
		p.IDP.Storage = "auto" // no profile is named: logout --all
	}
	if e.storages == nil {
		if e.stateDir, e.noStateDir = cache.StateDir(e.Getenv, e.Home); e.noStateDir != nil {
			e.stateDir = filepath.Join(os.DevNull, "daypass") // cannot exist, so nothing is kept
		}
		e.storages = cache.Open(e.stateDir, e.Getenv, e.Keyrings)
	}
	if e.noStateDir != nil && p.IDP.Source == "" {
		return nil, e.noStateDir
	}
	kept, err := e.storages.Login(process.LoginKey(p.IDP), p.IDP.Storage)
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, fmt.Sprintf("storage %q: %v.", p.IDP.Storage, err))
	}
	s := &session{env: e}
	s.Pipeline = &process.Pipeline{
		Profile: p, Kept: kept, Storages: e.storages, Locks: cache.Locks{Dir: e.stateDir},
		Person: s.person, Show: s.show, Waiting: s.waiting, Tell: s.tell,
		Helper: s.startHelper, Getenv: e.Getenv, Clouds: e.Clouds, Now: e.Now, Sleep: e.Sleep,
	}
	s.Debug, err = e.debugLog()
	return s, err
}

// withTimeout is context.WithTimeout by the command's own clock.
func (e *Environment) withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, e.Now().Add(d))
}

func (s *session) audience() prompt.Audience {
	return prompt.Look(s.Profile.IDP.Prompt, s.env.Getenv)
}

func (s *session) person() process.Person {
	a := s.audience()
	return process.Person{
		// Whoever typed the command reads its stderr, if there is no terminal device.
		Terminal: a.Terminal || s.typed && !a.Barred,
		Browser:  a.Browser && !s.noBrowser,
		Why:      a.Why,
	}
}

// tty is the terminal device, or nil. A background job can get it later.
func (s *session) tty() *prompt.Terminal {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.terminal == nil && s.audience().Terminal {
		s.terminal, _ = prompt.OpenTerminal()
	}
	return s.terminal
}

// show shows the authorization, and opens the tab.
func (s *session) show(a process.Open, openTab bool) (done func(), err error) {
	request := prompt.Request{
		UserCode: a.UserCode, VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete, Expires: a.Expires,
		Profile: s.Profile.Name, RoleName: s.Profile.RoleName, AccountID: s.Profile.AccountID,
		Elsewhere: s.Paste != nil, QR: s.typed && a.UserCode != "",
	}
	if _, err := prompt.Text(request, s.env.Now()); err != nil {
		return nil, fmt.Errorf("%w: %w", process.ErrUnfit, err)
	}
	var noTab error
	if openTab {
		err := s.env.openBrowser(context.Background(), s.Profile, cmp.Or(a.Start, a.VerificationURIComplete, a.VerificationURI))
		if request.TabOpened = err == nil; err != nil {
			noTab = fmt.Errorf("%w (%w)", process.ErrNoBrowser, err)
		}
	}
	tty := s.tty()
	switch {
	case tty != nil:
		err = tty.Show(request, s.env.Now())
	case s.typed:
		text, _ := prompt.Text(request, s.env.Now()) // it was fit before
		_, err = fmt.Fprint(s.env.Stderr, text)
	default:
		err = errors.New("there is no terminal to ask on")
	}
	if err != nil && !request.TabOpened {
		return nil, cmp.Or(noTab, err)
	}
	if tty == nil || err != nil || !s.typed || a.UserCode == "" && s.Paste != nil { // who is asked on the same line
		return func() {}, noTab
	}
	ctx, cancel := context.WithCancel(context.Background())
	var countdown sync.WaitGroup
	countdown.Go(func() { tty.Countdown(ctx, a.UserCode, a.Expires, s.env.Now, s.env.Sleep) })
	return func() { cancel(); countdown.Wait() }, noTab
}

// waiting tells that another process is logging in.
func (s *session) waiting(ctx context.Context, open func() *process.Open) {
	tty := s.tty()
	if tty == nil {
		return
	}
	// If several wait on one terminal, one of them tells.
	name := fmt.Sprintf("tell-%d", prompt.Session())
	lock, err := s.Locks.Lock(ctx, name)
	if err != nil {
		return
	}
	defer func() { _ = os.Remove(filepath.Join(s.Locks.Dir, name+".lock")) }() // sessions are many
	defer lock.Unlock()
	text := ""
	tty.Waiting(ctx, func() string {
		if text != "" { // each look is a read of the keyring
			return text
		}
		switch a := open(); {
		case a == nil:
		case a.UserCode != "":
			text = "waiting for the login with code " + a.UserCode
		case !a.Opened.IsZero():
			text = "finish in the browser tab that was opened at " + failure.Clock(a.Opened, s.env.Now())
		}
		return text
	}, s.env.Now, s.env.Sleep)
}

// tell shows a line to the person, if one can be reached.
func (s *session) tell(line string) {
	text := fit(prompt.Clean(line), 80)
	if tty := s.tty(); tty != nil {
		_ = tty.Say(text)
	} else if s.typed {
		_, _ = fmt.Fprintln(s.env.Stderr, text)
	}
}

// debugLog opens the file that DAYPASS_DEBUG names, to append to it. Only its owner may
// read it.
func (e *Environment) debugLog() (*slog.Logger, error) {
	path := e.Getenv("DAYPASS_DEBUG")
	if path == "" {
		return nil, nil
	}
	usage := func(what string) error {
		return failure.New(failure.ExitUsage, nil, fmt.Sprintf("DAYPASS_DEBUG %q: %s.", path, what), "Set it to the absolute path of a file of yours, or unset it.")
	}
	if !filepath.IsAbs(path) {
		return nil, usage("is not an absolute path")
	}
	if info, err := os.Stat(path); err == nil { // before it is opened: a pipe would wait for its other end
		for _, output := range []io.Writer{e.Stdout, e.Stderr} { // /dev/stdout can lead to a file
			f, _ := output.(*os.File) // a nil file has no FileInfo
			if there, err := f.Stat(); err == nil && os.SameFile(there, info) {
				return nil, usage("is an output of this command")
			}
		}
		if !info.Mode().IsRegular() {
			return nil, usage("is not a regular file")
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usage(err.Error())
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 && f.Chmod(0o600) != nil {
		return nil, usage("others can read it")
	}
	// The end of the process closes it: each line is written at once.
	return slog.New(slog.NewTextHandler(f, nil)).With("pid", os.Getpid()), nil
}
