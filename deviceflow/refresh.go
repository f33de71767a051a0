package deviceflow

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass/daypass/secret"
)

// Refresh sends a refresh token to the provider (RFC 6749 section 6) and returns
// what comes of it. Where discovery is known, that is one request. An empty
// RefreshToken in the answer means that the old one stays good; an empty IDToken,
// that the provider gives none on renewal.
//
// A *[LostError] means that the token may be spent: retrying at once may still be
// within the provider's grace. A *[ProviderError] with the Code "invalid_grant"
// means that the token is of no more use.
//
// Refresh is not cancelled with ctx: it has 10 s of its own.
func (f *Flow) Refresh(ctx context.Context, token secret.String) (Tokens, error) {
	ctx, cancel := exchangeContext(ctx)
	defer cancel()
	p, err := f.provider(ctx)
	if err != nil {
		return Tokens{}, err
	}
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {token.Reveal()},
		// RFC 6749 takes a missing scope for that of the login, but Authentik refuses
		// it, and Entra sends an ID token for openid only.
		"scope": {strings.Join(f.scopes(p), " ")},
	}
	got, err := f.post(ctx, opRefresh, p.TokenEndpoint, form)
	if err == nil && got.code == "invalid_scope" {
		// The login got less than it asked for. The token was not spent on that.
		form.Del("scope")
		got, err = f.post(ctx, opRefresh, p.TokenEndpoint, form)
	}
	if err == nil && got.status == http.StatusNotFound {
		// Nothing there takes tokens any more.
		moved, rediscoverErr := f.rediscover(ctx)
		if rediscoverErr == nil && moved.TokenEndpoint != p.TokenEndpoint {
			got, err = f.post(ctx, opRefresh, moved.TokenEndpoint, form)
		}
	}
	if err != nil {
		return Tokens{}, err
	}
	return got.judgeRefresh()
}

// judgeRefresh tells a lost answer from a refusal. An OAuth error about the request
// is a refusal whatever its status; so is any other answer to the client's address
// (a redirect, a rate limit). The rest leaves open whether the token was spent.
func (got answer) judgeRefresh() (Tokens, error) {
	switch {
	case got.hasTokens():
		return got.tokens(), nil
	case !got.judged() && (got.code != "" || got.status >= 500 || got.status < 300):
		return Tokens{}, &LostError{Op: got.op, Host: got.host, Err: got.err()}
	}
	return Tokens{}, got.err()
}

// Revoke tells the provider to forget a refresh token (RFC 7009). endpoint is the
// one that was known at the login.
func (f *Flow) Revoke(ctx context.Context, endpoint string, refreshToken secret.String) error {
	form := url.Values{"token": {refreshToken.Reveal()}, "token_type_hint": {"refresh_token"}}
	got, err := f.post(ctx, opRevocation, endpoint, form)
	if err != nil {
		return err
	}
	// The body of a success means nothing, and is mostly empty.
	if got.code == "" && 200 <= got.status && got.status < 300 {
		return nil
	}
	return got.err()
}
