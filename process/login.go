package process

import (
	"context"
	"errors"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/secret"
)

// LoggedIn says whose login stands, and how long.
type LoggedIn struct {
	Who    string
	Until  time.Time // expiry of the ID token
	Renews bool      // a refresh token came: it renews by itself
	Kept   bool      // the login stood before, and was proven to renew
}

// Login logs in now, in front of the person. A login that still renews is kept,
// after it was renewed to prove it; anew starts a new one all the same. Every
// error is a [*Failure].
func (p *Provider) Login(ctx context.Context, anew bool) (LoggedIn, error) {
	started := p.now()
	how := loggingIn
	if anew {
		how = startingAnew
	}
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return LoggedIn{}, err
	}
	return LoggedIn{
		Who: l.Claims.who(), Until: l.Expires, Renews: !l.RefreshToken.Empty(), Kept: l.LoggedIn.Before(started),
	}, nil
}

// IDToken returns an ID token that serves, and when it expires. Every error is a
// [*Failure].
func (p *Provider) IDToken(ctx context.Context) (secret.String, time.Time, error) {
	l, err := p.idToken(ctx, p.now(), asking, secret.String{})
	if err != nil {
		return secret.String{}, time.Time{}, err
	}
	return l.IDToken.String, l.Expires, nil
}

// flow is the OpenID Connect client of the profile's provider, built when first
// needed.
func (p *Provider) flow() (*deviceflow.Flow, error) {
	if p.Flow != nil {
		return p.Flow, nil
	}
	idp := p.Profile.IDP
	transport, err := newTransport(idp.CABundle)
	if err != nil {
		return nil, fail(ExitUsage, err, "ca_bundle of "+p.section()+": "+reason(err)+".", "Point it at a PEM file, or leave it out.")
	}
	remembered := "provider-" + cache.Key(idp.Issuer) + ".json"
	p.Flow = &deviceflow.Flow{
		Issuer: idp.Issuer, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret,
		Scopes: idp.Scopes, Audience: idp.Audience, ExtraParams: idp.ExtraParams,
		DeviceAuthorizationEndpoint: idp.DeviceAuthorizationEndpoint,
		Transport:                   transport,
		Memory: deviceflow.Memory{
			Load: func() ([]byte, error) { return cache.ReadFile(p.Locks.Dir, remembered, 4<<20) },
			Save: func(data []byte) error { return cache.WriteFile(p.Locks.Dir, remembered, data) },
		},
		Now: p.Now, Sleep: p.Sleep,
	}
	return p.Flow, nil
}

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
// a [*Failure].
func (p *Provider) Logout(ctx context.Context) (LoggedOut, error) {
	return p.logout(ctx, loginKey(p.Profile.IDP))
}

// LogoutAll logs out of every login that daypass has stored on this machine. It
// needs no configuration, but a client secret to revoke is known only from one.
func (p *Provider) LogoutAll(ctx context.Context) ([]LoggedOut, error) {
	var all []LoggedOut
	var failed error
	for _, key := range p.readIndex().logins() {
		out, err := p.logout(ctx, key)
		if err != nil {
			failed = err
			continue
		}
		all = append(all, out)
	}
	return all, failed
}

func (p *Provider) logout(ctx context.Context, key string) (LoggedOut, error) {
	bounded, cancel := context.WithTimeout(ctx, logoutWait)
	defer cancel()
	lock, err := p.Locks.Lock(bounded, "login-"+key)
	if err != nil {
		if interrupted(ctx) {
			return LoggedOut{}, interruptedFailure(err)
		}
		return LoggedOut{}, fail(ExitNetwork, err, "another daypass still holds the login after 60 s.",
			"End it (it may be waiting for an approval), then repeat: daypass logout")
	}
	defer lock.Unlock()

	var out LoggedOut
	entries := p.readIndex()
	for _, e := range entries.Records {
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
		err := here.removeLogin(ctx, key, entries.roles(key), &out)
		if err != nil && store.Name() == p.Store.Name() {
			unreachable = err
		}
	}
	// Found elsewhere, the login was not in the storage that is out of reach.
	if unreachable != nil && !out.Found {
		return out, p.keyringFailure(unreachable)
	}
	p.forget(key)
	return out, nil
}

// storages are the profile's own storage and the others of this machine.
func (p *Provider) storages() []cache.Store {
	all := []cache.Store{p.Store}
	for _, store := range p.Everywhere {
		if store.Name() != p.Store.Name() {
			all = append(all, store)
		}
	}
	return all
}

// removeLogin revokes and deletes one login in p's storage. The login goes before
// the roles: see storeRole.
func (p *Provider) removeLogin(ctx context.Context, key string, roles []string, out *LoggedOut) error {
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
		return err
	}
	if l, err := decode(data, p.Store.Name(), func(l *login) int { return l.Version }); err == nil {
		out.Found = true
		if l.IDP != "" {
			out.IDP = l.IDP
		}
		p.revoke(ctx, l, out)
	}
	for _, k := range roles {
		if data, err := p.Store.Get(ctx, k); err == nil {
			if r, err := decode(data, p.Store.Name(), func(r *role) int { return r.Version }); err == nil && r.left(p.now()) > 0 && r.Expires.After(out.CredentialsUntil) {
				out.CredentialsUntil = r.Expires
			}
		}
	}
	failed := error(nil)
	for _, k := range append([]string{key, attemptKey(key)}, roles...) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
		if err := p.Store.Delete(bounded, k); err != nil && !errors.Is(err, cache.ErrMiss) {
			failed = err
		}
		cancel()
	}
	return failed
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
	flow := &deviceflow.Flow{Issuer: l.Issuer, ClientID: l.ClientID, Now: p.Now, Sleep: p.Sleep}
	if l.Issuer == p.Profile.IDP.Issuer && l.ClientID == p.Profile.IDP.ClientID {
		var err error
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
