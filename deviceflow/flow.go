// Package deviceflow logs a person in at an OpenID Connect provider with the
// device authorization grant (RFC 8628), renews the login with its refresh token,
// verifies the ID tokens that come of it, and revokes it.
//
//	flow := &deviceflow.Flow{Issuer: "https://corp.eu.auth0.com/", ClientID: "J1oXg0"}
//	a, err := flow.Authorize(ctx)           // a code, to be shown to the person
//	err = flow.Await(ctx, &a, nil, keep)    // polls; keep stores the tokens
//	claims, err := flow.Verify(ctx, tokens.IDToken)
//
// An open [Authorization] can be stored and taken up by another process. Whatever
// a provider answers is taken for hostile until checked: bounded in size and
// time, and never shown raw.
package deviceflow

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/daypass/daypass/secret"
)

// requestTime bounds one request. It is what is left of a minute-long SDK
// time-out after everything else; providers answer within a second.
const requestTime = 10 * time.Second

// Flow is one client of one provider. Its methods may be called concurrently.
type Flow struct {
	// Issuer is the issuer URL, byte for byte as the provider's discovery document
	// says it.
	Issuer string
	// ClientID names the public client.
	ClientID string
	// ClientSecret is for providers that insist on one (Google); it is sent as a
	// parameter.
	ClientSecret secret.String
	// Scopes are separated by spaces. "openid" is always sent. If there are none,
	// it is "openid email", and "offline_access" where the provider takes it.
	Scopes string
	// Audience is sent with the device authorization, "" for none.
	Audience string
	// ExtraParams has the form k=v&k=v and is sent with the device authorization
	// only. It may not name a parameter of the protocol.
	ExtraParams string
	// DeviceAuthorizationEndpoint is for providers whose discovery document lacks
	// it (GitLab), "" for discovery's.
	DeviceAuthorizationEndpoint string

	// Transport sends the requests; nil is [http.DefaultTransport]. It must call the
	// httptrace hook GotConn as [http.Transport] does: an error before that hook
	// means that nothing was sent.
	Transport http.RoundTripper
	// Memory keeps what the provider publishes from one process to the next.
	Memory Memory
	// Now is the clock, nil for the real one.
	Now func() time.Time
	// Sleep waits, or returns the context's error when that ends first; nil for real
	// time.
	Sleep func(context.Context, time.Duration) error

	mu    sync.Mutex
	known *provider     // guarded by mu; nil: nothing yet
	skew  time.Duration // guarded by mu; the provider's clock minus ours
}

// Memory keeps one blob of public data of one issuer: its discovery document and
// its signing keys. Its errors are ignored, for everything in it can be fetched
// again. The zero value remembers nothing.
type Memory struct {
	Load func() ([]byte, error)
	Save func([]byte) error
}

// Authorization is one open device authorization (RFC 8628 section 3.2). All of
// its fields are checked. It can be stored and taken up by another process.
type Authorization struct {
	DeviceCode secret.String
	// UserCode is printable and has at most 64 bytes.
	UserCode string
	// VerificationURI is https, or http on loopback, in printable ASCII.
	VerificationURI string
	// VerificationURIComplete is the same with the user code in it, "" if the
	// provider sent none or a bad one.
	VerificationURIComplete string
	// Interval is the least time between two polls, 1 to 60 s. It grows for good
	// when the provider says slow_down.
	Interval time.Duration
	// Backoff is added to Interval while the provider does not answer as it should.
	// The next good answer clears it, so it need not be stored.
	Backoff time.Duration
	// NextPoll is the time before which the provider is not polled.
	NextPoll time.Time
	Issued   time.Time
	Expires  time.Time
	// CodeVerifier is the PKCE verifier (RFC 7636), empty if none was used.
	CodeVerifier secret.String
	// TokenEndpoint is where to poll.
	TokenEndpoint string
}

// Tokens is what a provider gave, raw and not verified. Either may be empty.
type Tokens struct {
	IDToken      secret.String
	RefreshToken secret.String
}

// now is wall time: a monotonic reading would not survive a suspended machine or
// another process.
func (f *Flow) now() time.Time {
	if f.Now == nil {
		return time.Now().Round(0)
	}
	return f.Now().Round(0)
}

func (f *Flow) sleep(ctx context.Context, d time.Duration) error {
	if f.Sleep != nil {
		return f.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (f *Flow) transport() http.RoundTripper {
	if f.Transport == nil {
		return http.DefaultTransport
	}
	return f.Transport
}

// exchangeContext is the context of a request that spends a code or a token. It
// goes on when ctx is cancelled, for an answer that nobody reads is a login lost.
func exchangeContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), requestTime)
}
