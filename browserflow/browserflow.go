// Package browserflow logs a person in at an OpenID Connect provider with the
// authorization code grant and PKCE, over a redirect to this machine (RFC 6749
// section 4.1, RFC 7636, RFC 8252).
//
//	l, err := browserflow.Listen(ctx, client, uris) // l.Start is what a browser opens
//	answer := <-l.Answers                           // the one that counts
//	tokens, err := l.Redeem(ctx, answer)
//	l.Finish(browserflow.Page{...})                 // what the person sees
//
// Whatever comes to the listener is hostile until checked: any web page and any user
// of the machine can send requests to loopback.
//
// Every error that leaves the package is or wraps a [failure.Error] with the exit
// code and the lines for the person.
package browserflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/handover"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// Lifetime is how long an authorization waits for the person. No standard has one.
const Lifetime = 10 * time.Minute

// Listener is one open authorization request and its end on this machine: it leads a
// browser to the provider, takes the one answer, and shows the person what came of it.
type Listener struct {
	Address  string      // of the provider, with the request in it (OpenID Connect Core section 3.1.2.1)
	Start    string      // leads a browser of our own user to Address, once
	Redirect string      // as it was sent
	Answers  chan Answer // gets the one answer that counts

	client   *idp.Client
	state    secret.String // 128 bits and more, as nonce
	nonce    secret.String
	verifier secret.String // of PKCE
	needsIss bool          // the provider promises iss (RFC 9207)
	host     string        // of Redirect, as browsers send it
	path     string
	last     string // path of the last page
	link     *handover.Link
	server   *http.Server
	taken    atomic.Bool
	page     Page
	finished chan struct{} // closed when page is there
	shown    chan struct{} // closed by showOnce
	showOnce func()
}

// Listen makes an authorization request of the client, and waits for its answer on the
// first of the redirect URIs that is free until [Listener.Finish] or [Listener.Close]
// is called. They are http addresses on loopback; one without a port stands for any
// port.
func Listen(ctx context.Context, client *idp.Client, redirectURIs []string) (*Listener, error) {
	m, err := client.Metadata(ctx)
	if err == nil && m.AuthorizationEndpoint == "" {
		err = failure.New(failure.ExitUsage, nil,
			"{host} names no authorization_endpoint, so nobody can log in with a browser there.", "Set flow = device in {section}.")
	}
	if err != nil {
		return nil, err
	}
	redirect, sockets, err := bind(redirectURIs)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		Redirect: redirect.String(), Answers: make(chan Answer, 1), client: client,
		state: secret.New(rand.Text()), nonce: secret.New(rand.Text()), verifier: secret.New(oauth2.GenerateVerifier()),
		needsIss: m.IssParameter,
		host:     strings.TrimSuffix(redirect.Host, ":80"), path: cmp.Or(redirect.EscapedPath(), "/"), last: "/" + rand.Text(),
		finished: make(chan struct{}), shown: make(chan struct{}),
	}
	l.Address = client.AuthorizationURL(m, url.Values{
		"response_type": {"code"}, "redirect_uri": {l.Redirect}, "state": {l.state.Reveal()}, "nonce": {l.nonce.Reveal()},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(l.verifier.Reveal())}, "code_challenge_method": {"S256"},
	})
	l.showOnce = sync.OnceFunc(func() { close(l.shown) })
	l.link = handover.New(sockets[0].Addr().String(), secret.New(l.Address), func(stolen error) {
		if stolen != nil {
			l.take(Answer{denied: failure.New(failure.ExitUnexpected, stolen,
				fmt.Sprintf("%v, so nobody was logged in.", stolen), "Run: daypass login --no-browser{flag}")})
		}
	})
	l.Start = l.link.Address()
	l.server = handover.Server(l)
	for _, socket := range sockets {
		go func() { _ = l.server.Serve(socket) }() // until Close
	}
	return l, nil
}

// Answer is what a browser brought back: a code, or why there is none.
type Answer struct {
	code   secret.String
	denied error
}

// take reports whether the answer is the first.
func (l *Listener) take(answer Answer) bool {
	first := l.taken.CompareAndSwap(false, true)
	if first {
		l.Answers <- answer
	}
	return first
}

// Redeem exchanges the code of an answer for tokens (RFC 6749 section 4.1.3) and
// checks that the ID token is for this login. Tokens can come with an error, as those
// of [idp.Client.Refresh]. It is not cancelled with ctx.
func (l *Listener) Redeem(ctx context.Context, answer Answer) (idp.Tokens, error) {
	if answer.denied != nil {
		return idp.Tokens{}, denied(answer.denied)
	}
	tokens, err := l.redeem(ctx, answer.code)
	if idp.IsLost(err) || idp.IsUnreachable(err) { // the code may not have arrived
		again, failed := l.redeem(ctx, answer.code)
		if !idp.IsLost(err) || !idp.IsInvalidGrant(failed) { // else it had, and nobody refused
			tokens, err = again, failed
		}
	}
	if _, ok := errors.AsType[*idp.ProviderError](err); ok {
		return idp.Tokens{}, denied(err)
	}
	if !tokens.IDToken.Empty() {
		if wrong := idp.CheckNonce(tokens.IDToken, l.nonce); wrong != nil {
			return idp.Tokens{}, wrong // a refresh token of another login neither
		}
	}
	return tokens, err
}

// denied says of an error that the login was refused, unless it is about the provider's
// own trouble.
func denied(err error) error {
	if failure.From(err).Exit == failure.ExitNetwork {
		return err
	}
	return fmt.Errorf("%w: %w", idp.ErrDenied, err)
}

func (l *Listener) redeem(ctx context.Context, code secret.String) (idp.Tokens, error) {
	got, err := l.client.Exchange(ctx, idp.OpPoll, url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Reveal()},
		"redirect_uri": {l.Redirect}, "code_verifier": {l.verifier.Reveal()},
	})
	if err != nil {
		return idp.Tokens{}, err
	}
	return got.Tokens()
}

// Finish shows the person a page, and ends the listener when it was read or nobody
// came for it.
func (l *Listener) Finish(p Page) {
	l.page = p
	close(l.finished)
	select {
	case <-l.shown:
	case <-time.After(lingerTime):
	}
	l.Close()
}

// Close ends the listener. Answers that are being written are finished.
func (l *Listener) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = errors.Join(l.server.Shutdown(ctx), l.server.Close())
}
