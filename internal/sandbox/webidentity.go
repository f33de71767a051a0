package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Claims by which a provider hands session tags and a source identity to AWS,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html.
const (
	claimTags           = "https://aws.amazon.com/tags"
	claimSourceIdentity = "https://aws.amazon.com/source_identity"
)

// webIdentity is what STS takes from an ID token that it has verified.
type webIdentity struct {
	issuer, subject string
	audiences       []string // what the :aud condition key holds: azp where it is there
	asked           []string // what :oaud holds where azp is there: the claim aud
	builtIn         bool     // the issuer is the principal
	sourceIdentity  string
	hasTags         bool
	passed          []string // actions that a chained role must allow too
}

// webIdentity verifies an ID token as STS does; s.mu is held.
func (s *Sandbox) webIdentity(raw string) (webIdentity, *STSError) {
	invalid := func(format string, args ...any) (webIdentity, *STSError) {
		return webIdentity{}, &STSError{Code: "InvalidIdentityToken", Message: fmt.Sprintf(format, args...)}
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	var claims struct {
		Issuer         string       `json:"iss"`
		Subject        string       `json:"sub"`
		Audience       jwt.Audience `json:"aud"`
		Azp            string       `json:"azp"`
		Expires        *int64       `json:"exp"` // whole seconds only, as at AWS
		IssuedAt       *int64       `json:"iat"`
		SourceIdentity string       `json:"https://aws.amazon.com/source_identity"`
	}
	var all map[string]json.RawMessage
	if err := token.UnsafeClaimsWithoutVerification(&claims, &all); err != nil {
		return invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	for claim, missing := range map[string]bool{
		"iss": claims.Issuer == "",
		"sub": claims.Subject == "",
		"aud": len(claims.Audience) == 0,
		"exp": claims.Expires == nil,
		"iat": claims.IssuedAt == nil,
	} {
		if missing {
			return invalid("Missing a required claim: %s", claim)
		}
	}
	provider, registered := s.providers[claims.Issuer]
	if !registered {
		return invalid("No OpenIDConnect provider found in your account for %s", claims.Issuer)
	}
	key, found := provider.key(token.Headers[0].KeyID)
	if !found {
		return invalid("Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	if err := token.Claims(key); err != nil {
		return invalid("The web identity token's signature is not valid")
	}
	if now := s.now().Unix(); now >= *claims.Expires {
		return webIdentity{}, &STSError{Code: "ExpiredTokenException", Message: fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now, *claims.Expires)}
	}

	identity := webIdentity{
		issuer:         claims.Issuer,
		subject:        claims.Subject,
		audiences:      claims.Audience,
		sourceIdentity: claims.SourceIdentity,
	}
	if claims.Azp != "" {
		identity.audiences, identity.asked = []string{claims.Azp}, claims.Audience
	}
	identity.builtIn = provider.builtIn
	if !provider.builtIn && !slices.ContainsFunc(identity.audiences, func(a string) bool { return slices.Contains(provider.audiences, a) }) {
		return invalid("Incorrect token audience")
	}
	for name := range all {
		if name == claimTags || strings.HasPrefix(name, claimTags+"/") { // some providers can only send flat claims
			identity.hasTags = true
		}
		if name == claimSourceIdentity {
			identity.passed = append(identity.passed, "sts:SetSourceIdentity")
		}
		if name == claimTags+"/transitive_tag_keys" || name == claimTags && bytes.Contains(all[name], []byte(`"transitive_tag_keys"`)) {
			identity.passed = append(identity.passed, "sts:TagSession")
		}
	}
	return identity, nil
}
