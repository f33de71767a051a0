package deviceflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// metadata is what we use of a discovery document (OpenID Connect Discovery 1.0
// section 3, RFC 8414 section 2, RFC 8628 section 4).
type metadata struct {
	Issuer                      string   `json:"issuer"`
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint"`
	TokenEndpoint               string   `json:"token_endpoint"`
	RevocationEndpoint          string   `json:"revocation_endpoint"`
	JWKSURI                     string   `json:"jwks_uri"`
	Scopes                      []string `json:"scopes_supported"` // nil: absent, which says nothing
	CodeChallengeMethods        []string `json:"code_challenge_methods_supported"`
	SigningAlgorithms           []string `json:"id_token_signing_alg_values_supported"`
}

// provider is what a provider publishes: how to talk to it, and its keys.
type provider struct {
	metadata
	document json.RawMessage // the discovery document as it came
	keys     json.RawMessage // the JSON Web Key Set as it came, nil if not fetched
	fetched  time.Time       // when the document was; the keys are not older
	recalled bool            // from Memory, not fetched by this Flow
}

// publishedFor is how long a discovery document and signing keys are used. OpenID
// Connect sets no limit; providers announce changes longer ahead than a day.
const publishedFor = 24 * time.Hour

// Prepare makes the provider's endpoints known, so that the next exchange is one
// request and nothing else in it can fail.
func (f *Flow) Prepare(ctx context.Context) error {
	_, err := f.provider(ctx)
	return err
}

// RevocationEndpoint returns where refresh tokens are revoked (RFC 7009), "" if
// the provider names no such place.
func (f *Flow) RevocationEndpoint(ctx context.Context) (string, error) {
	p, err := f.provider(ctx)
	if err != nil {
		return "", err
	}
	return p.RevocationEndpoint, nil
}

// provider returns what is known of the provider: from this Flow, else from
// Memory, else by discovery.
func (f *Flow) provider(ctx context.Context) (*provider, error) {
	f.mu.Lock()
	p := f.known
	f.mu.Unlock()
	if p == nil {
		p = f.recall()
	}
	if p == nil || !current(p.fetched, f.now()) {
		return f.discover(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = p
	return p, nil
}

// current reports whether what was fetched then can be used now. A time ahead of
// the clock tells nothing about the age.
func current(fetched, now time.Time) bool {
	age := now.Sub(fetched)
	return -leeway <= age && age <= publishedFor
}

// discover fetches the discovery document.
func (f *Flow) discover(ctx context.Context) (*provider, error) {
	if err := checkURL(f.Issuer); err != nil {
		return nil, &DiscoveryError{Issuer: f.Issuer, Reason: "it cannot be used", Err: err}
	}
	if strings.ContainsAny(f.Issuer, "?#") {
		return nil, &DiscoveryError{Issuer: f.Issuer, Reason: "an issuer has no query and no fragment"}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, f.publicClient(opDiscovery)), f.Issuer)
	if err != nil {
		return nil, f.discoveryFailure(err)
	}
	p := &provider{fetched: f.now()}
	if err := found.Claims(&p.document); err != nil {
		return nil, f.discoveryFailure(err)
	}
	if p.metadata, err = readMetadata(p.document); err != nil {
		return nil, f.discoveryFailure(err)
	}
	f.remember(p)
	return p, nil
}

// rediscover is for a provider that has moved: an endpoint answered 404, or a
// token is signed in an unlisted way. It fetches the discovery document again,
// unless this Flow did before.
func (f *Flow) rediscover(ctx context.Context) (*provider, error) {
	p, err := f.provider(ctx)
	if err == nil && p.recalled {
		return f.discover(ctx)
	}
	return p, err
}

// readMetadata reads and checks a discovery document. All its addresses are
// checked here, once, so that no secret can go to a bad one later.
func readMetadata(document []byte) (metadata, error) {
	var m metadata
	if err := json.Unmarshal(document, &m); err != nil {
		return metadata{}, fmt.Errorf("the discovery document does not parse: %w", err)
	}
	if m.TokenEndpoint == "" {
		return metadata{}, errors.New("the discovery document names no token_endpoint")
	}
	if m.JWKSURI == "" {
		return metadata{}, errors.New("the discovery document names no jwks_uri, so ID tokens cannot be verified")
	}
	for _, endpoint := range []struct{ name, url string }{
		{"token_endpoint", m.TokenEndpoint},
		{"device_authorization_endpoint", m.DeviceAuthorizationEndpoint},
		{"revocation_endpoint", m.RevocationEndpoint},
		{"jwks_uri", m.JWKSURI},
	} {
		if endpoint.url == "" {
			continue
		}
		if err := checkURL(endpoint.url); err != nil {
			return metadata{}, fmt.Errorf("%s in the discovery document: %w", endpoint.name, err)
		}
	}
	return m, nil
}

// discoveryFailure puts an error of go-oidc into our terms.
func (f *Flow) discoveryFailure(err error) error {
	var mismatch *oidc.IssuerMismatchError
	var refused *ProviderError
	var unreachable *UnreachableError
	switch {
	case errors.As(err, &mismatch):
		return f.issuerMismatch(mismatch.Discovered)
	case errors.As(err, &unreachable):
		return unreachable
	case errors.As(err, &refused) && (refused.Status >= 500 || refused.Status == http.StatusTooManyRequests):
		return refused
	case errors.As(err, &refused):
		return &DiscoveryError{Issuer: f.Issuer, Reason: "there is no discovery document below it; is the issuer right?", Err: refused}
	}
	return &DiscoveryError{Issuer: f.Issuer, Reason: "its discovery document is of no use", Err: err}
}

// issuerMismatch suggests the provider's own spelling. It is not taken up by
// itself: whoever could make us accept another issuer could sign our tokens.
func (f *Flow) issuerMismatch(discovered string) error {
	e := &DiscoveryError{Issuer: f.Issuer, Discovered: clean(discovered, maxURL)}
	e.Reason = fmt.Sprintf("the provider calls itself %q", withoutQuery(discovered))
	switch {
	case strings.Contains(discovered, "{"):
		// Entra's /common and /organizations answer for any tenant.
		e.Reason += "; set issuer to that with your tenant id in place of the braces"
	case checkURL(discovered) == nil:
		e.Reason += "; if that is your provider, set issuer = " + withoutQuery(discovered)
	}
	return e
}

// publicClient fetches what the provider publishes. No secret goes through it.
func (f *Flow) publicClient(op string) *http.Client {
	return &http.Client{Transport: publicDocuments{f, op}, CheckRedirect: sameHostRedirects}
}

// publicDocuments is the transport under go-oidc. It lets only whole and bounded
// JSON objects through, for go-oidc reads without limit and quotes what it read.
// Its errors are *UnreachableError and *ProviderError.
type publicDocuments struct {
	flow *Flow
	op   string
}

// RoundTrip implements [http.RoundTripper].
func (d publicDocuments) RoundTrip(request *http.Request) (*http.Response, error) {
	host := hostOf(request.URL.String())
	response, _, err := d.flow.roundTrip(request)
	if err != nil {
		return nil, &UnreachableError{Op: d.op, Host: host, Err: err}
	}
	if 300 <= response.StatusCode && response.StatusCode < 400 && response.Header.Get("Location") != "" {
		return response, nil // to the redirect policy
	}
	defer response.Body.Close()
	body, err := readBody(response.Body)
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, &UnreachableError{Op: d.op, Host: host, Err: err}
	}
	a := readAnswer(d.op, host, response, body, err, nil, d.flow.now())
	if !a.success() {
		return nil, a.err()
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
