package deviceflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/daypass/daypass/secret"
)

// leeway is how far clocks may be apart before a token is refused, as in most
// OpenID Connect clients. AWS STS is the judge; this check is for the message.
const leeway = 5 * time.Minute

// leastSkew is the difference between clocks that is worth a word. Less may come
// of a slow answer.
const leastSkew = time.Minute

// stsAlgorithms are the signature algorithms that AssumeRoleWithWebIdentity takes.
func stsAlgorithms() []string {
	return []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512}
}

// Verify checks an ID token as OpenID Connect Core section 3.1.3.7 asks, and as
// AWS STS will: signature, iss, aud, azp, exp, iat and nbf. A token that fails is
// a *[TokenError]. With discovery and keys remembered it makes no request; they
// are fetched again, once, if the token is signed with an unknown key.
func (f *Flow) Verify(ctx context.Context, idToken secret.String) (Claims, error) {
	claims, algorithm, err := Inspect(idToken)
	if err != nil {
		return Claims{}, err
	}
	if err := checkAlgorithm(algorithm); err != nil {
		return Claims{}, err
	}
	// Before the signature: that the token is another issuer's says more than that
	// its key is unknown. Both must hold.
	if err := f.checkClaims(claims); err != nil {
		return Claims{}, err
	}
	p, err := f.provider(ctx)
	if err != nil {
		return Claims{}, err
	}
	if !p.signsWith(algorithm) {
		if p, err = f.rediscover(ctx); err != nil {
			return Claims{}, err
		}
		if !p.signsWith(algorithm) {
			return Claims{}, &TokenError{Reason: fmt.Sprintf("it is signed with %s, which the provider does not list (%s)",
				algorithm, clean(strings.Join(p.SigningAlgorithms, ", "), 100))}
		}
	}
	keys := &signingKeys{flow: f, provider: p}
	verifier := oidc.NewVerifier(f.Issuer, keys, &oidc.Config{
		ClientID:             f.ClientID,
		SupportedSigningAlgs: []string{algorithm},
		SkipExpiryCheck:      true, // go-oidc knows no leeway; checkClaims has it
	})
	if _, err := verifier.Verify(ctx, idToken.Reveal()); err != nil {
		if keys.err != nil {
			return Claims{}, keys.err
		}
		return Claims{}, &TokenError{Reason: plain(err)}
	}
	return claims, nil
}

func checkAlgorithm(algorithm string) error {
	if slices.Contains(stsAlgorithms(), algorithm) {
		return nil
	}
	reason := fmt.Sprintf("it is signed with %q, and AWS STS takes %s only", algorithm, strings.Join(stsAlgorithms(), ", "))
	switch {
	case algorithm == "" || strings.EqualFold(algorithm, "none"):
		reason = "it is not signed, and AWS STS wants " + strings.Join(stsAlgorithms(), ", ")
	case strings.HasPrefix(algorithm, "HS"):
		reason += ": give this client a signing key at the provider (Authentik: without one it signs with the client secret)"
	}
	return &TokenError{Reason: reason}
}

// signsWith reports whether the provider says that it signs so. One that says
// nothing may sign with any that STS takes.
func (p *provider) signsWith(algorithm string) bool {
	return len(p.SigningAlgorithms) == 0 || slices.Contains(p.SigningAlgorithms, algorithm)
}

// checkClaims checks whose token it is, for whom and when.
func (f *Flow) checkClaims(c Claims) error {
	if c.Issuer != f.Issuer {
		return &TokenError{Claim: "iss", Want: f.Issuer, Got: clean(c.Issuer, 200)}
	}
	// More audiences are fine: Zitadel lists every client of the project.
	if !slices.Contains(c.Audience, f.ClientID) {
		return &TokenError{Claim: "aud", Want: f.ClientID, Got: clean(strings.Join(c.Audience, ", "), 200)}
	}
	// An azp that is there must be this client; AWS compares it before aud. One that
	// is missing is fine, with several audiences too: section 3.1.3.7 asked for it
	// until errata set 2, and the token came from the provider directly.
	if c.AuthorizedParty != "" && c.AuthorizedParty != f.ClientID {
		return &TokenError{Claim: "azp", Want: f.ClientID, Got: clean(c.AuthorizedParty, 200)}
	}
	now := f.now()
	switch {
	case now.After(c.Expires.Add(leeway)):
		return f.badTime("exp", c.Expires, "expired %s ago", now.Sub(c.Expires))
	case c.IssuedAt.After(now.Add(leeway)):
		return f.badTime("iat", c.IssuedAt, "is issued %s from now", c.IssuedAt.Sub(now))
	case c.NotBefore.After(now.Add(leeway)):
		return f.badTime("nbf", c.NotBefore, "is good only %s from now", c.NotBefore.Sub(now))
	}
	return nil
}

// badTime is a time claim at fault, with the clock named that likely is.
func (f *Flow) badTime(claim string, got time.Time, format string, off time.Duration) error {
	e := &TokenError{Claim: claim, Got: got.UTC().Format(time.RFC3339), Host: hostOf(f.Issuer)}
	e.Want = "by this clock " + f.now().UTC().Format(time.RFC3339) + ", give or take " + leeway.String()
	e.Reason = "it " + fmt.Sprintf(format, off.Round(time.Second))
	f.mu.Lock()
	defer f.mu.Unlock()
	// A clock that is ahead makes tokens expire early, one that is behind has them
	// come from the future; the other way round it is no explanation.
	if f.skew >= leastSkew && claim != "exp" || f.skew <= -leastSkew && claim == "exp" {
		e.Skew = f.skew
	}
	return e
}
