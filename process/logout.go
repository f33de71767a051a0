package process

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

const (
	logoutWait = 60 * time.Second // for the login's lock
	revokeTime = 5 * time.Second

	anEarlierSetup = "an earlier setup" // whose login is not known by name
)

// LoggedOut says what a logout did to one login.
type LoggedOut struct {
	IDP      string   // the section's name, as far as known
	Profiles []string // profiles that had credentials of the login
	Found    bool     // there was a login
	Revoked  bool     // the provider has revoked its refresh tokens
	// NotRevoked says why a refresh token was not revoked, or "".
	NotRevoked string
	// CredentialsUntil is when the last role credentials given out end; zero: none.
	CredentialsUntil time.Time
}

// Logout revokes the refresh token of the profile's login and deletes the login
// and what was made from it, in every place that it was kept in. If one of them
// cannot be reached, or is not known any more, nothing is deleted anywhere.
func (p *Pipeline) Logout(ctx context.Context) (LoggedOut, error) {
	out, err := p.logout(ctx, LoginKey(p.Profile.IDP), false)
	return out, p.Fill(err)
}

// LogoutAll logs out of every login that daypass has stored on this machine. It needs
// no configuration, but a client secret is known only from one. With an error it
// returns the logins that it has ended.
func (p *Pipeline) LogoutAll(ctx context.Context) ([]LoggedOut, error) {
	var all []LoggedOut
	done := func(out LoggedOut, err error) error {
		if err == nil && out.Found {
			all = append(all, out)
		}
		return err
	}
	keys, failed := p.Storages.Logins()
	for _, key := range keys {
		failed = cmp.Or(failed, done(p.logout(ctx, key, true))) // the other logins are ended all the same
	}
	if failed == nil { // what no place file names any more, as far as it can be listed
		strays, _ := p.Storages.Strays(ctx)
		for _, items := range strays {
			if failed == nil {
				failed = done(p.remove(ctx, "", []cache.Items{items}))
			}
		}
	}
	if failed == nil {
		failed = p.Storages.Sweep(ctx)
	}
	if failed != nil {
		return all, p.Fill(explainKeyring(ctx, anEarlierSetup, true, failed))
	}
	return all, nil
}

// logout ends the login of one folder, whatever the setting storage is. If its place is
// damaged, it may be any of the logins that no place names: all may go with it, or none.
func (p *Pipeline) logout(ctx context.Context, key string, all bool) (LoggedOut, error) {
	bounded, cancel := context.WithTimeout(ctx, logoutWait)
	defer cancel()
	lock, err := p.Locks.Lock(bounded, "login-"+key)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && !interrupted(ctx):
		return LoggedOut{}, failure.New(failure.ExitNetwork, err, "another daypass still holds the login after 60 s.",
			"End it (it may be waiting for an approval), then repeat your command.")
	case err != nil:
		return LoggedOut{}, p.lockFailure(ctx, err)
	}
	defer lock.Unlock()

	here := *p
	if here.Kept, err = p.Storages.Login(key, "auto"); err != nil {
		return LoggedOut{}, err
	}
	place, _ := here.Kept.Place()
	name := cmp.Or(place.IDP, p.Profile.IDP.Name)
	here.Profile.IDP.Name = name // for what it says
	items, err := here.Kept.Items()
	damaged, isDamaged := errors.AsType[*cache.UnreadableError](err)
	advice := "To end every login of yours, run: daypass logout --all"
	if isDamaged && all {
		if items, err = p.Storages.Strays(ctx); err != nil {
			advice = "It may be where this session cannot look (" + reason(err) + "). Repeat this on the desktop; if it is not there either, delete that file."
		}
	}
	switch {
	case err != nil && isDamaged && !interrupted(ctx):
		return LoggedOut{}, here.Fill(failure.New(failure.ExitKeyring, err, "where the login of "+cmp.Or(name, anEarlierSetup)+" is kept cannot be told: the file "+damaged.Where+" is damaged.", advice))
	case err != nil:
		return LoggedOut{}, here.Fill(explainKeyring(ctx, cmp.Or(name, anEarlierSetup), true, err))
	}
	roles := here.roles(ctx)
	out, err := here.remove(ctx, name, items)
	if err != nil {
		return LoggedOut{}, here.Fill(err)
	}
	out.Found = out.Found || len(roles) > 0 // a source has them without a login
	for _, r := range roles {
		if r.Profile != "" {
			out.Profiles = append(out.Profiles, r.Profile)
		}
		if r.left(p.Now()) > 0 && r.Expires.After(out.CredentialsUntil) {
			out.CredentialsUntil = r.Expires
		}
	}
	if err := here.Kept.Forget(); err != nil {
		return LoggedOut{}, here.folderFailure(err)
	}
	return out, nil
}

// roles are the role credentials of the login.
func (p *Pipeline) roles(ctx context.Context) (all []*role) {
	key, err := p.Kept.Key(ctx)
	if err != nil {
		return nil
	}
	names, _ := p.Kept.Sealed()
	for _, name := range names {
		if r, err := unseal[role](p.Kept, key, name); err == nil && strings.HasPrefix(name, rolePrefix) {
			all = append(all, r)
		}
	}
	return all
}

// remove revokes and deletes a login in every place. It reads all of them first, so
// that nothing is deleted if one is out of reach.
func (p *Pipeline) remove(ctx context.Context, name string, places []cache.Items) (LoggedOut, error) {
	out := LoggedOut{IDP: name}
	name = cmp.Or(name, anEarlierSetup)
	var logins []*login
	for _, items := range places {
		data, err := items.Record(ctx)
		if cache.NeedsUnlock(err) {
			if err = p.unlockItems(ctx, loggingIn, items, err); err == nil {
				data, err = items.Record(ctx)
			}
		}
		var l *login
		if err == nil {
			l, err = decodeLogin(data, items.Name())
		}
		switch {
		case err == nil:
			logins = append(logins, l)
		case !notThere(err):
			return out, explainKeyring(ctx, name, true, err)
		case err != cache.ErrMiss:
			out.Found, out.NotRevoked = true, "its record cannot be read"
		}
	}
	for _, l := range logins {
		out.Found, out.IDP = true, cmp.Or(out.IDP, l.IDP)
		p.revoke(ctx, l, &out)
	}
	for _, items := range places {
		if err := items.Delete(context.WithoutCancel(ctx)); err != nil {
			return out, explainKeyring(ctx, name, true, err)
		}
	}
	return out, nil
}

// revoke tells the provider that the refresh token is not needed any more. If it
// cannot be told, the login is deleted all the same.
func (p *Pipeline) revoke(ctx context.Context, l *login, out *LoggedOut) {
	switch {
	case l.RefreshToken.Empty():
		return
	case l.RevocationEndpoint == "":
		out.NotRevoked = "the provider has no revocation endpoint"
		return
	}
	here := p
	if l.Issuer != p.Profile.IDP.Issuer || l.ClientID != p.Profile.IDP.ClientID {
		here = &Pipeline{Profile: profile.Profile{IDP: profile.IDP{Issuer: l.Issuer, ClientID: l.ClientID}}, Locks: p.Locks, Debug: p.Debug, Now: p.Now, Sleep: p.Sleep}
	}
	flow, err := here.flow()
	if err != nil {
		out.NotRevoked = reason(err)
		return
	}
	bounded, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	if err := flow.Revoke(bounded, l.RevocationEndpoint, l.RefreshToken.String); err != nil {
		out.NotRevoked = strings.TrimSuffix(failure.From(p.Fill(err)).Lines[0], ".")
		return
	}
	out.Revoked = true
}
