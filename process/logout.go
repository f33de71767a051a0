package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
)

const (
	logoutWait = 60 * time.Second // for the login's lock
	revokeTime = 5 * time.Second
)

// LoggedOut says what a logout did to one login.
type LoggedOut struct {
	IDP      string   // the section's name, as far as known
	Profiles []string // profiles that used the login
	Found    bool     // there was a login
	Revoked  bool     // the provider has revoked the refresh token
	// NotRevoked says why the refresh token was not revoked, or "" if there was none.
	NotRevoked string
	// CredentialsUntil is when the last role credentials given out end; zero: none.
	CredentialsUntil time.Time
}

// Logout revokes the refresh token of the profile's login and deletes the login
// and what was made from it, in every storage that can be reached. Every error is
// a [*failure.Error].
func (p *Provider) Logout(ctx context.Context) (LoggedOut, error) {
	return p.logout(ctx, loginKey(p.Profile.IDP))
}

// LogoutAll logs out of every login that daypass has stored on this machine. It
// needs no configuration, but a client secret to revoke is known only from one. With
// an error come those that were ended.
func (p *Provider) LogoutAll(ctx context.Context) ([]LoggedOut, error) {
	var all []LoggedOut
	var failed error
	for _, key := range p.readIndex().logins() {
		out, err := p.logout(ctx, key)
		if err != nil {
			failed = err
		} else {
			all = append(all, out)
		}
	}
	return all, failed
}

func (p *Provider) logout(ctx context.Context, key string) (LoggedOut, error) {
	bounded, cancel := context.WithTimeout(ctx, logoutWait)
	defer cancel()
	lock, err := p.Locks.Lock(bounded, "login-"+key)
	switch {
	case interrupted(ctx):
		return LoggedOut{}, interruptedFailure(err)
	case errors.Is(err, context.DeadlineExceeded):
		return LoggedOut{}, failure.New(failure.ExitNetwork, err, "another daypass still holds the login after 60 s.",
			"End it (it may be waiting for an approval), then repeat: daypass logout")
	case err != nil:
		return LoggedOut{}, p.lockFailure(ctx, err)
	}
	defer lock.Unlock()

	var out LoggedOut
	for _, e := range p.readIndex().Records {
		if e.Login == key {
			out.IDP = e.IDP
			if e.Profile != "" && e.Kind == kindRole {
				out.Profiles = append(out.Profiles, e.Profile)
			}
		}
	}
	var unreachable error
	for _, store := range p.storages() {
		here := *p
		here.Store = store
		found, err := here.removeLogin(ctx, key, &out)
		if err != nil && (found || store.Name() == p.Store.Name()) {
			unreachable = err
		}
		if err != nil && found {
			f := p.keyringFailure(ctx, err)
			f.Lines[0] = "the login could not be deleted everywhere: " + f.Lines[0]
			return out, f
		}
	}
	// Found elsewhere, the login was not in the storage that is out of reach.
	if unreachable != nil && !out.Found {
		return out, p.keyringFailure(ctx, unreachable)
	}
	p.forget(key)
	return out, nil
}

// storages are the storages of this machine, and last the profile's own: that may
// be several in one, each with a login of its own to revoke.
func (p *Provider) storages() []cache.Store {
	var all []cache.Store
	for _, store := range p.Everywhere {
		if store.Name() != p.Store.Name() {
			all = append(all, store)
		}
	}
	return append(all, p.Store)
}

// removeLogin revokes and deletes one login in p's storage, and reports whether
// there was one. The login goes before the roles, and which roles there are is
// looked up last: see withdrawIfGone.
func (p *Provider) removeLogin(ctx context.Context, key string, out *LoggedOut) (found bool, err error) {
	data, err := p.Store.Get(ctx, key)
	if needsUnlock(err) {
		bounded, cancel := context.WithTimeout(ctx, unlockTime)
		err = p.Store.Unlock(bounded)
		cancel()
		if err == nil {
			data, err = p.Store.Get(ctx, key)
		}
	}
	if err != nil && !notThere(err) {
		return false, err
	}
	var roles []string
	if l, err := decode(data, p.Store.Name(), func(l *login) int { return l.Version }); err == nil {
		found, out.Found = true, true
		roles = l.Roles
		if l.IDP != "" {
			out.IDP = l.IDP
		}
		p.revoke(ctx, l, out)
	}
	for _, k := range []string{key, attemptKey(key)} {
		if failed := p.remove(ctx, k); failed != nil {
			err = failed
		}
	}
	for _, k := range append(roles, p.readIndex().roles(key)...) {
		if data, err := p.Store.Get(ctx, k); err == nil {
			if r, err := decodeRole(data, p.Store.Name()); err == nil && r.left(p.Now()) > 0 && r.Expires.After(out.CredentialsUntil) {
				out.CredentialsUntil = r.Expires
			}
		}
		if failed := p.remove(ctx, k); failed != nil {
			err = failed
		}
	}
	if notThere(err) {
		err = nil
	}
	return found, err
}

// remove deletes a record. It is not cut off in the middle of a logout.
func (p *Provider) remove(ctx context.Context, key string) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	return p.Store.Delete(bounded, key)
}

// revoke tells the provider that the refresh token is not needed any more. That
// it cannot be told keeps nothing from being deleted.
func (p *Provider) revoke(ctx context.Context, l *login, out *LoggedOut) {
	switch {
	case l.RefreshToken.Empty():
		return
	case l.RevocationEndpoint == "":
		out.NotRevoked = "the provider has no revocation endpoint"
		return
	}
	transport, err := newTransport("")
	if err != nil {
		out.NotRevoked = reason(err)
		return
	}
	flow := &deviceflow.Flow{Issuer: l.Issuer, ClientID: l.ClientID, Transport: p.noted(transport), Now: p.Now, Sleep: p.Sleep}
	if l.Issuer == p.Profile.IDP.Issuer && l.ClientID == p.Profile.IDP.ClientID {
		if flow, err = p.flow(); err != nil {
			out.NotRevoked = reason(err)
			return
		}
	}
	bounded, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	if err := flow.Revoke(bounded, l.RevocationEndpoint, l.RefreshToken.String); err != nil {
		out.NotRevoked = reason(err)
		return
	}
	out.Revoked = true
}
