package process

import (
	"context"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
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
// error is a [*failure.Error].
func (p *Provider) Login(ctx context.Context, anew bool) (LoggedIn, error) {
	started := p.Now()
	how := loggingIn
	if anew {
		how = startingAnew
	}
	l, err := p.idToken(ctx, started, how, secret.String{})
	if err != nil {
		return LoggedIn{}, err
	}
	if l.unstored != nil {
		return LoggedIn{}, failure.New(failure.ExitKeyring, l.unstored,
			append([]string{"you are logged in at " + p.host() + ", but the login could not be stored."}, p.keyringAdvice(l.unstored)...)...)
	}
	return LoggedIn{
		Who: l.Claims.who(), Until: l.Expires, Renews: !l.RefreshToken.Empty(), Kept: l.LoggedIn.Before(started),
	}, nil
}

// IDToken returns an ID token that serves, and when it expires. Every error is a
// [*failure.Error].
func (p *Provider) IDToken(ctx context.Context) (secret.String, time.Time, error) {
	l, err := p.idToken(ctx, p.Now(), asking, secret.String{})
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
		return nil, failure.New(failure.ExitUsage, err, "ca_bundle of "+p.section()+": "+reason(err)+".", "Point it at a PEM file, or leave it out.")
	}
	remembered := "provider-" + cache.Key(idp.Issuer) + ".json"
	p.Flow = &deviceflow.Flow{
		Issuer: idp.Issuer, ClientID: idp.ClientID, ClientSecret: idp.ClientSecret,
		Scopes: idp.Scopes, Audience: idp.Audience, ExtraParams: idp.ExtraParams,
		DeviceAuthorizationEndpoint: idp.DeviceAuthorizationEndpoint,
		Transport:                   p.noted(transport),
		Memory: deviceflow.Memory{
			Load: func() ([]byte, error) { return cache.ReadFile(p.Locks.Dir, remembered, 4<<20) },
			Save: func(data []byte) error { return cache.WriteFile(p.Locks.Dir, remembered, data) },
		},
		Now: p.Now, Sleep: p.Sleep,
	}
	return p.Flow, nil
}
