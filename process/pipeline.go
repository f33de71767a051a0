// Package process is the pipeline of daypass: cached role credentials, else
// renewed ones, else a login and new ones; and the Version-1 JSON that AWS SDKs
// read from a credential_process.
//
// The decision is [Pipeline.Credentials] (role credentials) and, beneath it,
// idToken (the login). Both follow the same order: look without a lock, take the
// lock, look again, act, store, and only then answer.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
	"github.com/daypass/daypass/workload"
)

// Pipeline serves one profile: it is the one face of this package to the commands.
// Network clients are built when first needed, so a cached answer costs one read
// of the keyring and one of a file. Every error of its methods is a
// [*failure.Error] with its placeholders filled in.
type Pipeline struct {
	// Profile is what to serve. For commands about a login alone, only its IDP is set.
	Profile profile.Profile
	// Kept is where the profile's login is kept.
	Kept *cache.Login
	// Storages is every storage of this machine, for LogoutAll and CheckStorage.
	Storages *cache.Storages
	Locks    cache.Locks

	// Missed is called when no cached answer serves, before anything is done about
	// it, and returns the context for that; nil: it is the same as before.
	Missed func(context.Context) context.Context
	// Person finds out how a person can be reached from here; nil: nobody can be. It
	// is called when there is something to ask.
	Person func() Person
	// Show shows an open authorization to the person, and opens a browser
	// tab for it if openTab is set. The function it returns ends the showing (a
	// countdown, say); nil: nobody can see it, and err says why. It is called after
	// the authorization was stored.
	Show func(a Open, openTab bool) (done func(), err error)
	// Waiting tells the person, until ctx ends, that another process is logging
	// in. open returns the authorization that is waited for, nil if none is known yet.
	Waiting func(ctx context.Context, open func() *Open)
	// Helper runs [Pipeline.Listen] in a process of its own, which outlives this one,
	// with the same Profile, and returns once that is ready.
	Helper func() error
	// Paste asks the person for the address on which a browser on another machine ended
	// up; nil: browsers are on this one.
	Paste func(context.Context) (secret.String, error)
	// Tell shows the person one line if there is a terminal; nil: nobody is told.
	Tell func(line string)

	// Getenv reads the environment, in which platforms tell workloads where to ask.
	Getenv func(string) string
	// Clouds leads to Entra ID and Key Vault; nil: made when first needed.
	Clouds http.RoundTripper
	// Debug takes notes of each step; nil: none are taken.
	Debug *slog.Logger
	// Flow is the device flow over the provider's client; nil: made from the Profile.
	Flow *deviceflow.Flow
	// Now is the clock.
	Now func() time.Time
	// Sleep waits for d or until ctx ends.
	Sleep func(ctx context.Context, d time.Duration) error

	toSTS   http.RoundTripper // made when first needed
	forRole bool              // what is being renewed is a role, and not a login alone
	scope   string            // of the token of Azure that is asked for; "": it is a role, or a login
}

// Person says how a person can be reached. The zero value: not at all.
type Person struct {
	Terminal bool // text can be shown
	Browser  bool // a browser can be opened
	// Why says why nobody can be reached, as the end of "profile dev needs a login,
	// but ...".
	Why string
}

// there reports whether somebody can be asked.
func (w Person) there() bool { return w.Terminal || w.Browser }

// exchangeTime is what must be left of the deadline for an exchange to begin: its
// request has 10 s, and its answer must still be stored.
const exchangeTime = 12 * time.Second

// flow is the device flow of the profile's provider, made when first needed.
func (p *Pipeline) flow() (*deviceflow.Flow, error) {
	if p.Flow != nil {
		return p.Flow, nil
	}
	i := p.Profile.IDP
	transport, err := p.transport(i.CABundle)
	if err != nil {
		return nil, err
	}
	remembered := "provider-" + cache.Name(i.Issuer) + ".json"
	p.Flow = &deviceflow.Flow{
		Client: &idp.Client{
			Issuer: i.Issuer, ClientID: i.ClientID, ClientSecret: i.ClientSecret,
			Scopes: i.Scopes, Audience: i.Audience, ExtraParams: i.ExtraParams,
			Transport: p.noted(transport),
			Memory: idp.Memory{
				Load: func() ([]byte, error) { return cache.ReadFile(p.Locks.Dir, remembered, 4<<20) },
				Save: func(data []byte) error { return cache.WriteFile(p.Locks.Dir, remembered, data) },
			},
			Now: p.Now, Sleep: p.Sleep,
		},
		Endpoint: i.DeviceAuthorizationEndpoint,
	}
	return p.Flow, nil
}

func (p *Pipeline) person() Person {
	if p.Person == nil {
		return Person{}
	}
	return p.Person()
}

func (p *Pipeline) tell(line string) {
	if p.Tell != nil {
		p.Tell(line)
	}
}

// Names is what the placeholders of failures stand for.
func (p *Pipeline) Names() failure.Names {
	n := failure.Names{Profile: "this profile", Section: "the settings", Host: hostOf(p.Profile.IDP.Issuer), Flag: " with the same flags"}
	if p.isWorkload() {
		n.Host = workload.Describe(p.Profile.IDP.Source)
	}
	if name := p.Profile.IDP.Name; name != "" {
		n.Section, n.Flag = profile.Section{IDP: true, Name: name}.Header(), " --idp "+profile.Word(name)
		n.Profile = n.Section
	}
	if name := p.Profile.Name; name != "" {
		n.Profile, n.Flag = "profile "+name, " --profile "+profile.Word(name)
	}
	return n
}

// hostOf is the host of an issuer, or the issuer if it names none.
func hostOf(issuer string) string {
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return issuer
}

// Fill makes a failure of err whose placeholders are filled in, with the company's
// own line after a refusal. nil stays nil.
func (p *Pipeline) Fill(err error) error {
	if err == nil {
		return nil
	}
	f := failure.From(err).Fill(p.Names())
	var refusal *idp.ProviderError
	if f.Exit != failure.ExitRefused && f.Exit != failure.ExitAWS && !(f.Exit == failure.ExitLogin && errors.As(err, &refusal)) {
		return f
	}
	if support := p.Profile.IDP.Support; strings.Contains(f.Error(), support) {
		return f // there is none, or it was filled in before
	} else if len(f.Lines) < 3 {
		f.Lines = append(f.Lines, support)
	} else { // a reader is shown three lines, of which the last may end in a command
		f.Lines[2] += "  (" + support + ")"
	}
	return f
}

// timeFor reports whether d is left before ctx's deadline, by the Pipeline's clock.
func (p *Pipeline) timeFor(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || deadline.Sub(p.Now()) >= d
}

// endingAfter is ctx until d has passed. It is a timer that ends it and not a
// deadline: what is left to ctx's deadline decides whether an exchange may start.
func endingAfter(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(d, cancel)
	return bounded, func() { timer.Stop(); cancel() }
}

// interrupted reports whether ctx was ended by a signal, and not by its deadline.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// outOfTime is the answer if too little time is left to send a token and store
// what comes back.
func outOfTime(ctx context.Context) *failure.Error {
	if interrupted(ctx) {
		return failure.Interrupted(ctx.Err())
	}
	return failure.New(failure.ExitNetwork, nil,
		"no time was left to renew profile {profile}: another daypass was busy with it, or the network is slow.",
		"An existing login is kept. Repeat your command.")
}

// wait takes a lock, which may be nil for a workload. While another process holds it,
// the person is told what daypass waits for, unless old credentials serve.
func (p *Pipeline) wait(ctx context.Context, name string, how manner) (*cache.Lock, error) {
	locks := cache.Locks{Dir: p.Locks.Dir, Shared: name == p.helperLock()}
	lock, err := locks.TryLock(name)
	if err != nil && p.isWorkload() && !errors.Is(err, cache.ErrBusy) {
		return nil, nil // no folder for locks: nothing is kept that they would guard
	}
	if !errors.Is(err, cache.ErrBusy) {
		return lock, p.lockFailure(ctx, err)
	}
	if p.Waiting != nil && how != silently && !p.isWorkload() {
		told, stop := context.WithCancel(ctx)
		shown := make(chan struct{})
		go func() {
			defer close(shown)
			p.Waiting(told, func() *Open { return p.openAuthorization(told) })
		}()
		defer func() { stop(); <-shown }()
	}
	ctx, cancel := p.bounded(ctx, p.person().there())
	defer cancel()
	p.debug("wait for lock", "name", name)
	lock, err = locks.Lock(ctx, name)
	p.debug("waited", "name", name, "got", err == nil)
	return lock, p.lockFailure(ctx, err)
}

// bounded bounds a wait that nobody sees, as that of a command in a cron job: somebody
// may approve elsewhere what it waits for. process has its own bound.
func (p *Pipeline) bounded(ctx context.Context, seen bool) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); seen || has {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, p.Now().Add(p.Profile.IDP.ProcessTimeout))
}

func (p *Pipeline) roleLock() string {
	return "role-" + cache.Name(LoginKey(p.Profile.IDP), p.roleName())
}

func (p *Pipeline) loginLock() string { return "login-" + LoginKey(p.Profile.IDP) }

// unlockLock is one for all logins; a machine that shares the folder has its own dialogs.
func unlockLock() string { return "unlock-" + cache.Name(cache.MachineID()) }

// lockFailure explains why a lock could not be taken; nil stays nil.
func (p *Pipeline) lockFailure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case interrupted(ctx):
		return failure.Interrupted(err)
	case errors.Is(err, context.DeadlineExceeded):
		if open := p.openAuthorization(context.WithoutCancel(ctx)); open != nil {
			return p.gaveUp(open, p.Profile.IDP.ProcessTimeout)
		}
		return failure.New(failure.ExitNetwork, err,
			"another daypass is still renewing profile {profile} after "+whole(p.Profile.IDP.ProcessTimeout)+".",
			"Repeat your command. If that does not help: daypass doctor{flag}")
	default:
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("no lock could be taken in the folder %q: %v.", p.Locks.Dir, reason(err)),
			folderAdvice(err))
	}
}

// openAuthorization is the authorization that another process waits for, or nil.
func (p *Pipeline) openAuthorization(ctx context.Context) *Open {
	key, _ := p.Kept.Key(ctx)
	open, _ := p.readAuthorization(key)
	return open
}

// clockTime is a time for people.
func (p *Pipeline) clockTime(t time.Time) string { return failure.Clock(t, p.Now()) }

// whole is a duration without fractions of a second.
func whole(d time.Duration) string {
	switch {
	case d >= 2*time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// reason is the innermost cause of err in a few words, without the address of a
// request: its query may be a secret.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return reason(u.Err)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Sprintf("%s %q: %v", path.Op, path.Path, path.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return "the answer is too large"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
