// Package idp talks to one OpenID Connect provider: it reads what the provider
// publishes, renews a login with its refresh token, verifies ID tokens and revokes
// refresh tokens. How a person logs in is in packages deviceflow and browserflow,
// which send their requests through a [Client].
//
// What is peculiar to one provider, and what the error codes mean, is in providers.go.
//
// Every error that leaves the package is a [failure.Error] with the exit code and
// the lines for the person. The cause is found below it with [errors.As]: a
// [*ProviderError], [*DiscoveryError] or [*TokenError].
package idp

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/secret"
)

// RequestTime bounds one request: what is left of an SDK's time-out of a minute.
const RequestTime = 10 * time.Second

// Client is one client of one provider, for one goroutine.
type Client struct {
	Issuer       string // byte for byte as the provider's discovery document says it
	ClientID     string
	ClientSecret secret.String // for providers that insist on one; it is sent as a parameter
	// Scopes are separated by spaces. "openid" is always sent. If there are none,
	// it is "openid email", and "offline_access" if the provider takes it.
	Scopes      string
	Audience    string // sent with the authorization request, "" for none
	ExtraParams string // likewise, as k=v&k=v

	// Transport must call the httptrace hook GotConn as [http.Transport] does: an error
	// before that hook means that nothing was sent.
	Transport http.RoundTripper
	Memory    Memory // of what the provider publishes, from one process to the next
	Now       func() time.Time
	Sleep     func(context.Context, time.Duration) error // ends with the context, with its error

	known *published     // nil: nothing yet
	skew  *time.Duration // the provider's clock minus ours, nil: not known
}

// Tokens is what a provider gave, raw and not verified. Either may be empty.
type Tokens struct{ IDToken, RefreshToken secret.String }

// CheckAddress returns an error unless a request may be sent to raw, and a person to
// it, see [address.Check]: only a provider on this machine may name an address on it.
func (c *Client) CheckAddress(raw string) error {
	return address.Check(raw, address.LocalInBrowsers(c.Issuer))
}

// Clock returns the wall time: a monotonic reading would not survive a suspended
// machine or another process.
func (c *Client) Clock() time.Time { return c.Now().Round(0) }

// OfflineAccess asks for a refresh token (OpenID Connect Core section 11).
const OfflineAccess = "offline_access"

// RequestScopes returns the scopes that a login asks for.
func (c *Client) RequestScopes(m Metadata) []string {
	scopes := strings.Fields(c.Scopes)
	switch {
	case slices.Contains(scopes, "openid"):
		return scopes
	case len(scopes) > 0:
		return append([]string{"openid"}, scopes...)
	case ProviderOf(c.Issuer).NoOfflineAccess, m.Scopes != nil && !slices.Contains(m.Scopes, OfflineAccess):
		return []string{"openid", "email"}
	}
	return []string{"openid", "email", OfflineAccess}
}

// AuthorizationParams returns the parameters of an authorization request that come
// from the configuration: scope, audience and ExtraParams.
func (c *Client) AuthorizationParams(scopes []string) url.Values {
	form, _ := url.ParseQuery(c.ExtraParams) // package profile has checked them
	form.Set("scope", strings.Join(scopes, " "))
	if c.Audience != "" {
		form.Set("audience", c.Audience)
	}
	return form
}

// AuthorizationURL returns the address of m's authorization endpoint with a request,
// to which it adds what comes from the configuration, and what the provider wants for
// a refresh token.
func (c *Client) AuthorizationURL(m Metadata, request url.Values) string {
	u, _ := url.Parse(m.AuthorizationEndpoint)
	form, scopes := u.Query(), c.RequestScopes(m) // its query stays (RFC 6749 section 3.1)
	offline, _ := url.ParseQuery(ProviderOf(c.Issuer).Offline)
	if offline.Has("access_type") || slices.Contains(scopes, OfflineAccess) { // the former: Google, which has no such scope
		maps.Copy(form, offline)
	}
	maps.Copy(form, c.AuthorizationParams(scopes))
	maps.Copy(form, request)
	form.Set("client_id", c.ClientID)
	u.RawQuery = form.Encode()
	return u.String()
}

// Refused returns the error for a refusal that a browser brings (RFC 6749 section
// 4.1.2.1).
func (c *Client) Refused(code, description string) error {
	u, _ := url.Parse(c.Issuer)
	return c.explain(&ProviderError{Op: OpAuthorize, Host: u.Host, Code: show(code, 64, nil), Description: show(description, 300, nil)})
}

// CheckNonce returns an error if an ID token answers another request than that of the
// nonce (OpenID Connect Core section 3.1.3.7). Whether it is signed is for
// [Client.Verify] to say.
func CheckNonce(raw, nonce secret.String) error {
	t, err := Parse(raw)
	if got, _ := t.All["nonce"].(string); err == nil && !nonce.Equal(secret.New(got)) {
		err = badToken("Run: daypass login{flag}", "its nonce is not that of this login")
	}
	return err
}

// Exchange sends a code or a token to the provider, to be spent. It goes on when ctx is
// cancelled, because an answer that nobody reads is a login lost; it is bounded by
// [RequestTime].
func (c *Client) Exchange(ctx context.Context, op string, form url.Values) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RequestTime)
	defer cancel()
	endpoint := func(m Metadata) string { return m.TokenEndpoint }
	got, err := c.Post(ctx, op, endpoint, form)
	if err == nil && got.Code == "invalid_scope" && form.Has("scope") {
		// The login got less than it asked for. The token was not spent on that.
		form.Del("scope")
		got, err = c.Post(ctx, op, endpoint, form)
	}
	return got, err
}

// Refresh sends a refresh token to the provider (RFC 6749 section 6), with
// [Client.Exchange], and returns what comes of it: one request, if discovery is known.
// An empty RefreshToken in the answer means that the old one stays good.
//
// Tokens can come with an error, see [Answer.Tokens]. [IsLost] means that the token may
// be spent: retrying at once may still be within the provider's grace.
// [IsInvalidGrant] means that the token is of no more use.
func (c *Client) Refresh(ctx context.Context, token secret.String) (Tokens, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return Tokens{}, err
	}
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {token.Reveal()},
		// RFC 6749 takes a missing scope for that of the login, but Authentik refuses
		// it, and Entra sends an ID token for openid only.
		"scope": {strings.Join(c.RequestScopes(m), " ")},
	}
	got, err := c.Exchange(ctx, OpRefresh, form)
	if err != nil {
		return Tokens{}, err
	}
	return got.Tokens()
}

// Revoke tells the provider to forget a refresh token (RFC 7009). endpoint is the
// one that was known at the login.
func (c *Client) Revoke(ctx context.Context, endpoint string, token secret.String) error {
	form := url.Values{"token": {token.Reveal()}, "token_type_hint": {"refresh_token"}}
	got, err := c.post(ctx, OpRevocation, endpoint, form)
	// The body of a successful answer means nothing, and is usually empty.
	if err != nil || got.Code == "" && 200 <= got.Status && got.Status < 300 {
		return err
	}
	return got.Err()
}
