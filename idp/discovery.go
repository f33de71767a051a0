package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// Metadata is what we use of a discovery document (OpenID Connect Discovery 1.0
// section 3, RFC 8414 section 2, RFC 8628 section 4). Every address in it is
// checked. Whatever is optional is empty if it is absent, of the wrong type or not
// an address that a request may be sent to.
type Metadata struct {
	Issuer                      string   `json:"issuer"`
	AuthorizationEndpoint       string   `json:"authorization_endpoint"`        // optional
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint"` // optional
	TokenEndpoint               string   `json:"token_endpoint"`
	RevocationEndpoint          string   `json:"revocation_endpoint"` // optional (RFC 7009)
	JWKSURI                     string   `json:"jwks_uri"`
	Scopes                      []string `json:"scopes_supported"`                               // nil says nothing
	CodeChallengeMethods        []string `json:"code_challenge_methods_supported"`               // of PKCE (RFC 7636)
	IssParameter                bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	SigningAlgorithms           []string `json:"id_token_signing_alg_values_supported"`          // of ID tokens; nil says nothing
}

// STSAlgorithms returns those of the signing algorithms that AWS STS accepts.
func (m Metadata) STSAlgorithms() []string {
	return slices.DeleteFunc(slices.Clone(m.SigningAlgorithms), func(algorithm string) bool {
		return !slices.Contains(STSAlgorithms(), algorithm)
	})
}

// Memory keeps one blob of public data of one issuer: its discovery document and
// its signing keys. Its errors are ignored, because everything in it can be fetched
// again. The zero value remembers nothing.
type Memory struct {
	Load func() ([]byte, error)
	Save func([]byte) error
}

// published is what a provider publishes. Its JSON is what [Memory] keeps.
type published struct {
	Fetched  time.Time       `json:"fetched"`        // the keys are not older
	Document json.RawMessage `json:"discovery"`      // what we use of it
	Keys     json.RawMessage `json:"keys,omitempty"` // the JSON Web Key Set as it came, if it was fetched

	metadata Metadata // the Document, checked
	recalled bool     // from Memory, not fetched by this Client
}

// publishedFor is how long a discovery document and signing keys are used. OpenID
// Connect sets no limit; providers announce changes longer ahead than a day.
const publishedFor = 24 * time.Hour

// Metadata returns what the provider publishes: known, else remembered, else
// fetched. What is remembered serves however old it is if nothing can be fetched.
func (c *Client) Metadata(ctx context.Context) (Metadata, error) {
	if c.known != nil {
		return c.known.metadata, nil
	}
	age := time.Duration(0)
	if c.known = c.recall(); c.known != nil {
		age = c.Clock().Sub(c.known.Fetched) // a time ahead of the clock tells nothing
	}
	if c.known == nil || age < -leeway || age > publishedFor {
		if err := c.discover(ctx); err != nil && c.known == nil {
			return Metadata{}, err
		}
	}
	return c.known.metadata, nil
}

// Rediscover is for a provider that has moved: an endpoint answered 404, or is
// missing. It fetches the discovery document again, unless this Client did before.
func (c *Client) Rediscover(ctx context.Context) (Metadata, error) {
	m, err := c.Metadata(ctx)
	if err == nil && c.known.recalled {
		err = c.discover(ctx)
		m = c.known.metadata
	}
	return m, err
}

// Diagnosis is what a provider publishes, for somebody who looks for a fault.
type Diagnosis struct {
	Metadata // empty with an error
	// Skew is the provider's clock minus ours, to a second, or nil: there was no answer
	// with a Date header.
	Skew *time.Duration
}

// Diagnose fetches the discovery document, whatever is remembered of it. The clock
// is known with an error too.
func (c *Client) Diagnose(ctx context.Context) (d Diagnosis, err error) {
	c.skew = nil
	if err = c.discover(ctx); err == nil {
		d.Metadata = c.known.metadata
	}
	d.Skew = c.skew
	return d, err
}

// recall returns what an earlier process fetched, nil if there is nothing of use.
// It is checked like a new document: a file can be damaged, or of an older
// daypass that checked less.
func (c *Client) recall() *published {
	if c.Memory.Load == nil {
		return nil
	}
	data, err := c.Memory.Load()
	p, fields := &published{recalled: true}, map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(data, p) != nil || json.Unmarshal(p.Document, &fields) != nil {
		return nil
	}
	if p.metadata, err = c.readMetadata(fields); err != nil || p.metadata.Issuer != c.Issuer {
		return nil
	}
	return p
}

// discover fetches the discovery document, which then is what is known.
func (c *Client) discover(ctx context.Context) error {
	if err := address.Check(c.Issuer, true); err != nil {
		return c.badIssuer("it cannot be used: "+err.Error(), "", checkIssuer)
	}
	got, err := c.get(ctx, OpDiscovery, strings.TrimSuffix(c.Issuer, "/")+"/.well-known/openid-configuration")
	if refused, ok := errors.AsType[*ProviderError](err); ok && refused.absent() {
		return c.badIssuer(fmt.Sprintf("there is no discovery document below it (status %d)", refused.Status), "", checkIssuer)
	}
	if err != nil {
		return err
	}
	p := &published{Fetched: c.Clock()}
	p.metadata, err = c.readMetadata(got.fields)
	if p.metadata.Issuer != c.Issuer {
		return c.issuerMismatch(p.metadata.Issuer)
	}
	if err != nil {
		return c.badIssuer("its discovery document is of no use: "+err.Error(), "", tellProvider)
	}
	p.Document, _ = json.Marshal(p.metadata)
	c.remember(p)
	return nil
}

func (c *Client) badIssuer(reason, discovered, advice string) error {
	line := fmt.Sprintf("issuer %q: %s.", clean(address.WithoutQuery(c.Issuer), 200), reason)
	return failure.New(failure.ExitUsage, &DiscoveryError{Reason: reason, Discovered: discovered}, line, advice)
}

// absent reports whether the answer says that there is nothing at the address. A
// success that is not JSON, or a redirect elsewhere, may be a captive portal's.
func (e *ProviderError) absent() bool {
	return 400 <= e.Status && e.Status < 500 && e.Status != http.StatusForbidden && e.Status != http.StatusTooManyRequests
}

// readMetadata reads a discovery document by the exact names of its fields, and checks
// all its addresses: no secret can go to a bad one later. The issuer is read in any case.
func (c *Client) readMetadata(fields map[string]json.RawMessage) (Metadata, error) {
	a := Answer{fields: fields}
	list := func(name string) (all []string) {
		if json.Unmarshal(fields[name], &all) != nil {
			return nil
		}
		for i := range all {
			all[i] = clean(all[i], 100)
		}
		return all[:min(len(all), 200)]
	}
	endpoint := func(name string) string {
		if value := a.Text(name); c.CheckAddress(value) == nil {
			return value
		}
		return ""
	}
	m := Metadata{
		Issuer:                      a.Text("issuer"),
		AuthorizationEndpoint:       endpoint("authorization_endpoint"),
		DeviceAuthorizationEndpoint: endpoint("device_authorization_endpoint"),
		TokenEndpoint:               a.Text("token_endpoint"),
		RevocationEndpoint:          endpoint("revocation_endpoint"),
		JWKSURI:                     a.Text("jwks_uri"),
		Scopes:                      list("scopes_supported"),
		CodeChallengeMethods:        list("code_challenge_methods_supported"),
		IssParameter:                string(fields["authorization_response_iss_parameter_supported"]) == "true",
		SigningAlgorithms:           list("id_token_signing_alg_values_supported"),
	}
	for _, needed := range []struct{ name, url string }{{"token_endpoint", m.TokenEndpoint}, {"jwks_uri", m.JWKSURI}} {
		if needed.url == "" {
			return m, fmt.Errorf("it names no %s", needed.name)
		}
		if err := c.CheckAddress(needed.url); err != nil {
			return m, fmt.Errorf("%s: %w", needed.name, err)
		}
	}
	return m, nil
}

// issuerMismatch suggests the provider's own spelling. It is not adopted by
// itself: whoever could make us accept another issuer could sign our tokens.
func (c *Client) issuerMismatch(discovered string) error {
	name := clean(address.WithoutQuery(discovered), 200)
	reason := fmt.Sprintf("the provider calls itself %q", name)
	switch {
	case discovered == "":
		reason = "its discovery document names no issuer"
	case strings.Contains(discovered, "{"):
		// Entra's /common and /organizations answer for any tenant.
		reason += "; set issuer to that with your tenant id in place of the braces"
	case address.Check(discovered, true) == nil:
		reason += "; if that is your provider, set issuer = " + name
	}
	return c.badIssuer(reason, clean(discovered, address.Max), checkIssuer)
}

// remember makes p what is known of the provider, here and in later processes.
func (c *Client) remember(p *published) {
	c.known = p
	if data, err := json.Marshal(p); err == nil && c.Memory.Save != nil {
		_ = c.Memory.Save(data)
	}
}
