// Package browserflow logs a person in at an OpenID Connect provider with the
// authorization code grant and PKCE, over a redirect to this machine (RFC 6749
// section 4.1, RFC 7636, RFC 8252).
//
//	flow := &browserflow.Flow{Client: client, RedirectURIs: uris}
//	l, err := flow.Listen(ctx)                           // l.Start is what a browser opens
//	answer := <-l.Answers                                // the one that counts
//	tokens, err := flow.Redeem(ctx, l.Authorization, answer)
//	l.Finish(browserflow.Page{...})                      // what the person sees
//
// An open [Authorization] can be stored, for others to wait for. Whatever comes to
// the listener is hostile until checked: any web page and any user of the machine can
// send requests to loopback.
//
// Every error that leaves the package is or wraps a [failure.Error] with the exit
// code and the lines for the person.
package browserflow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// ErrDenied comes with why the person or the provider refused.
var ErrDenied = errors.New("the login was refused")

// lifetime is how long an authorization waits for the person. No standard has one.
const lifetime = 10 * time.Minute

// Flow is the authorization code grant of one client, for one goroutine.
type Flow struct {
	*idp.Client
	// RedirectURIs are http addresses on loopback, tried in order. One without a port
	// stands for any port that is free.
	RedirectURIs []string
}

// Authorization is one open authorization request. Its JSON is for a place that only
// its owner can read: it holds the secrets.
type Authorization struct {
	Address  string      `json:"address"`      // of the provider, with the request in it (OpenID Connect Core section 3.1.2.1)
	Start    string      `json:"start"`        // leads a browser of our own user to Address, once
	Redirect string      `json:"redirect_uri"` // as it was sent
	State    secret.Kept `json:"state"`        // 128 bits and more, as Nonce
	Nonce    secret.Kept `json:"nonce"`
	Verifier secret.Kept `json:"code_verifier"` // of PKCE
	Issued   time.Time   `json:"issued"`        // wall time, as Expires
	Expires  time.Time   `json:"expires"`
}

// authorize makes the request whose answer comes to redirect.
func (f *Flow) authorize(ctx context.Context, redirect string) (a Authorization, m idp.Metadata, err error) {
	m, err = f.Metadata(ctx)
	if err == nil && m.AuthorizationEndpoint == "" {
		m, err = f.Rediscover(ctx)
	}
	if err == nil && m.AuthorizationEndpoint == "" {
		err = failure.New(failure.ExitUsage, nil,
			"{host} names no authorization_endpoint, so nobody can log in with a browser there.", "Set flow = device in {section}.")
	}
	if err != nil {
		return a, m, err
	}
	a = Authorization{
		Redirect: redirect,
		State:    secret.Keep(secret.New(rand.Text())), Nonce: secret.Keep(secret.New(rand.Text())),
		Verifier: secret.Keep(secret.New(oauth2.GenerateVerifier())),
		Issued:   f.Clock(), Expires: f.Clock().Add(lifetime),
	}
	form := f.AuthorizationParams(f.RequestScopes(m))
	for name, value := range map[string]string{
		"response_type": "code", "redirect_uri": redirect, "state": a.State.Reveal(), "nonce": a.Nonce.Reveal(),
		"code_challenge": oauth2.S256ChallengeFromVerifier(a.Verifier.Reveal()), "code_challenge_method": "S256",
	} {
		form.Set(name, value)
	}
	a.Address = f.AuthorizationURL(m, form)
	return a, m, nil
}

// Answer is what a browser brought back: a code, or why there is none.
type Answer struct {
	code   secret.String
	denied error
}

// Redeem exchanges the code of an answer for tokens (RFC 6749 section 4.1.3) and
// checks that the ID token is for this login. Tokens can come with an error, as those
// of [idp.Client.Refresh]. It is not cancelled with ctx.
func (f *Flow) Redeem(ctx context.Context, a Authorization, answer Answer) (idp.Tokens, error) {
	if answer.denied != nil {
		return idp.Tokens{}, fmt.Errorf("%w: %w", ErrDenied, answer.denied)
	}
	tokens, err := f.redeem(ctx, a, answer.code)
	if idp.IsLost(err) || idp.IsUnreachable(err) {
		tokens, err = f.redeem(ctx, a, answer.code) // the code may not have arrived
	}
	var refused *idp.ProviderError
	switch {
	case errors.As(err, &refused) && !refused.Lost && refused.Cause == nil:
		return idp.Tokens{}, fmt.Errorf("%w: %w", ErrDenied, err)
	case tokens.IDToken.Empty():
		return tokens, err
	}
	// Whether it is signed is checked with the rest of it, see [idp.Client.Verify].
	t, unreadable := idp.Parse(tokens.IDToken)
	if nonce, _ := t.All["nonce"].(string); unreadable == nil && !a.Nonce.Equal(secret.New(nonce)) {
		unreadable = idp.WrongNonce()
	}
	if unreadable != nil {
		return idp.Tokens{}, unreadable // a refresh token of another login neither
	}
	return tokens, err
}

func (f *Flow) redeem(ctx context.Context, a Authorization, code secret.String) (idp.Tokens, error) {
	ctx, cancel := idp.Exchange(ctx)
	defer cancel()
	got, err := f.Post(ctx, idp.OpPoll, idp.TokenEndpoint, url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Reveal()},
		"redirect_uri": {a.Redirect}, "code_verifier": {a.Verifier.Reveal()},
	})
	if err != nil {
		return idp.Tokens{}, err
	}
	return got.Tokens()
}
