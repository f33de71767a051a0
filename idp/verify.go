package idp

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/daypass/daypass/secret"
)

// leeway is how far clocks may be apart before a token is refused, as in most
// OpenID Connect clients. AWS STS is the judge; this check is for the message.
const leeway = 5 * time.Minute

// STSAlgorithms returns the signature algorithms that AssumeRoleWithWebIdentity
// accepts.
func STSAlgorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512}
}

// Verify checks an ID token as OpenID Connect Core section 3.1.3.7 asks, and as
// AWS STS will: signature, iss, aud, azp, exp, iat and nbf. The cause of a refusal
// is a [*TokenError]. With discovery and keys remembered it makes no request.
func (c *Client) Verify(ctx context.Context, raw secret.String) (Token, error) {
	t, err := Parse(raw)
	if err == nil {
		// Before the signature: that the token is another issuer's says more than that
		// its key is unknown. Both must hold.
		err = c.checkClaims(t)
	}
	if err == nil {
		err = c.checkSignature(ctx, t)
	}
	if err != nil {
		t = Token{}
	}
	return t, err
}

// checkClaims checks how the token is signed, whose it is, for whom and when.
func (c *Client) checkClaims(t Token) error {
	const (
		signingKey  = "Have the ID tokens of the client signed with RS256 or ES256 (Authentik: choose a signing key)."
		checkClient = "Check client_id in {section} with whoever runs {host}."
	)
	now := c.Clock()
	switch {
	case !slices.Contains(STSAlgorithms(), t.Algorithm):
		return badToken(signingKey, "it is signed with %q, but AWS STS accepts %s only", t.Algorithm, strings.Join(STSAlgorithms(), ", "))
	case t.Issuer != c.Issuer:
		return wrongClaim("iss", t.Issuer, c.Issuer, checkIssuer)
	case !slices.Contains(t.Audience, c.ClientID): // more are fine: Zitadel lists every client of the project
		return wrongClaim("aud", strings.Join(t.Audience, ", "), c.ClientID, checkClient)
	// An azp that is there must be this client; AWS compares it before aud. One that
	// is missing is fine, with several audiences too: section 3.1.3.7 asked for it
	// until errata set 2, and the token came from the provider directly.
	case t.AuthorizedParty != "" && t.AuthorizedParty != c.ClientID:
		return wrongClaim("azp", t.AuthorizedParty, c.ClientID, checkClient)
	case now.After(t.Expires.Add(leeway)):
		return c.badTime("expired %s ago", now.Sub(t.Expires), -1)
	case t.IssuedAt.After(now.Add(leeway)):
		return c.badTime("is issued %s from now", t.IssuedAt.Sub(now), +1)
	case t.NotBefore.After(now.Add(leeway)):
		return c.badTime("is good only %s from now", t.NotBefore.Sub(now), +1)
	}
	return nil
}

// badTime is the error for a token that is too old (side -1) or too new (side +1),
// with the difference between the clocks if that explains it: a clock that is ahead
// makes tokens expire early, one that is behind has them come from the future.
func (c *Client) badTime(format string, off, side time.Duration) error {
	reason := fmt.Sprintf("it "+format, off.Round(time.Second))
	switch {
	case c.skew == nil || *c.skew*side < time.Minute: // less may come of a slow answer
		return badToken("Is this machine's clock right? If it is, tell whoever runs {host}.", "%s", reason)
	case side < 0:
		reason += fmt.Sprintf(": your clock is %s ahead of {host}", -*c.skew)
	default:
		reason += fmt.Sprintf(": your clock is %s behind {host}", *c.skew)
	}
	return badToken("Set this machine's clock, then repeat your command.", "%s", reason)
}

// checkSignature fetches the provider's keys anew at most once, if none of the
// remembered ones fits (OpenID Connect Core section 10.1.1).
func (c *Client) checkSignature(ctx context.Context, t Token) error {
	if _, err := c.Metadata(ctx); err != nil {
		return err
	}
	if signedBy(ctx, t, readKeys(c.known.Keys, t.keyID)) {
		return nil
	}
	got, err := c.ask(ctx, func(m Metadata) string { return m.JWKSURI }, func(at string) (Answer, error) { return c.get(ctx, OpKeys, at) })
	if err != nil {
		return err
	}
	keys, id := readKeys(got.body, t.keyID), clean(t.keyID, 100)
	switch {
	case signedBy(ctx, t, keys):
		// Remembered only now: keys that fit nothing may be a fault that passes, and
		// would take the place of good ones for a day.
		c.known.Keys = got.body
		c.remember(c.known)
		return nil
	case len(keys) > 0:
		return badToken(tellProvider, "its signature does not fit the provider's key %q", id)
	}
	return badToken(tellProvider, "it is signed with key %q, which the provider does not publish in a form that can be read", id)
}

// signedBy reports whether one of the keys made the signature. The claims are checked
// by checkClaims: go-oidc would allow no leeway, and would refuse a token for odd claims
// that neither we nor AWS read, such as an at_hash that is a number.
func signedBy(ctx context.Context, t Token, keys []crypto.PublicKey) bool {
	_, err := (&oidc.StaticKeySet{PublicKeys: keys}).VerifySignature(ctx, t.Raw.Reveal())
	return err == nil
}

const maxKeys = 100 // that are tried; providers publish two to ten

// readKeys returns the keys of a JSON Web Key Set (RFC 7517 section 5) that may have
// signed a token whose header has this id: those with the id and those without one;
// all of them for "". What cannot be read is left out.
func readKeys(published json.RawMessage, id string) (keys []crypto.PublicKey) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	_ = json.Unmarshal(published, &set)
	if set.Keys == nil { // a key without a set around it
		set.Keys = []json.RawMessage{published}
	}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var fields map[string]any
		_ = json.Unmarshal(raw, &fields)
		keyID := textClaim(fields, "kid")
		if textClaim(fields, "use") == "enc" || id != "" && keyID != "" && keyID != id {
			continue
		}
		if key := readKey(fields); key != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// readKey returns a public key, nil for one that cannot be read. go-jose bounds its
// size.
func readKey(fields map[string]any) crypto.PublicKey {
	// Certificates say nothing about the key, but go-jose refuses the key for a bad
	// one. So it does for numbers in standard base64, which some providers publish.
	bare := map[string]string{}
	for _, name := range []string{"kty", "crv", "n", "e", "x", "y"} {
		if value := textClaim(fields, name); value != "" {
			bare[name] = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(value), "=")
		}
	}
	data, _ := json.Marshal(bare)
	var read jose.JSONWebKey
	_ = json.Unmarshal(data, &read) // Key stays nil with an error
	return read.Key
}
