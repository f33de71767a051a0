package sandbox

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const scopeOffline = "offline_access"

// signingKey is one generation of the provider's keys.
type signingKey struct {
	id  string
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

// sharedKey is the key with which every sandbox of a process starts: making an
// RSA key takes a good part of a second, and tests start many sandboxes.
var sharedKey = sync.OnceValues(newSigningKey)

func newSigningKey() (signingKey, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return signingKey{}, fmt.Errorf("make RSA key: %w", err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return signingKey{id: rand.Text()[:10], rsa: rsaKey, ec: ecKey}, err
}

// RotateKeys makes a new key with a new id sign from now on. The keys before it
// stay published, as at real providers, so that their tokens stay valid.
func (s *Sandbox) RotateKeys() error {
	key, err := newSigningKey()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
	return nil
}

// algorithm is the signature algorithm of ID tokens; s.mu is held.
func (s *Sandbox) algorithm() jose.SignatureAlgorithm {
	if s.options.Algorithm == "" {
		return jose.RS256
	}
	return jose.SignatureAlgorithm(s.options.Algorithm)
}

// discovery answers with the OpenID Connect discovery document; s.mu is held.
func (s *Sandbox) discovery(*http.Request) answer {
	endpoints := s.URL + s.base
	document := map[string]any{
		"issuer":                                s.Issuer,
		"token_endpoint":                        endpoints + "/token",
		"jwks_uri":                              endpoints + "/keys",
		"scopes_supported":                      s.scopes(),
		"code_challenge_methods_supported":      []string{"S256"},
		"grant_types_supported":                 []string{grantDeviceCode, grantCode, grantRefreshToken},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(s.algorithm())},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"claims_supported":                      []string{"iss", "sub", "aud", "exp", "iat", "email", "email_verified", "name", "preferred_username"},
	}
	if s.options.ClientSecret != "" {
		document["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	}
	if !s.options.OmitAuthorization {
		document["authorization_endpoint"] = endpoints + "/authorize"
		document["authorization_response_iss_parameter_supported"] = true
	}
	if !s.options.OmitDeviceEndpoint {
		document["device_authorization_endpoint"] = s.DeviceEndpoint
	}
	if !s.options.OmitRevocation {
		document["revocation_endpoint"] = endpoints + "/revoke"
	}
	a := jsonAnswer(200, document)
	a.header.Set("Cache-Control", "public, max-age=3600")
	return a
}

// scopes are those that a client may ask for; s.mu is held.
func (s *Sandbox) scopes() []string {
	if s.options.Scopes == nil {
		return []string{"openid", "profile", "email", scopeOffline}
	}
	return s.options.Scopes
}

// publicKeys answers with the JSON web key set; s.mu is held.
func (s *Sandbox) publicKeys(*http.Request) answer {
	var set jose.JSONWebKeySet
	for _, key := range s.keys {
		set.Keys = append(set.Keys,
			jose.JSONWebKey{Key: key.rsa.Public(), KeyID: key.id, Algorithm: string(jose.RS256), Use: "sig"},
			jose.JSONWebKey{Key: key.ec.Public(), KeyID: key.id + "-ec", Algorithm: string(jose.ES256), Use: "sig"})
	}
	a := jsonAnswer(200, set)
	a.header.Set("Cache-Control", "public, max-age=3600")
	return a
}

// verificationKey finds a published key; s.mu is held.
func (s *Sandbox) verificationKey(id string) (crypto.PublicKey, bool) {
	for _, key := range s.keys {
		switch id {
		case key.id:
			return key.rsa.Public(), true
		case key.id + "-ec":
			return key.ec.Public(), true
		}
	}
	return nil, false
}

// idToken signs an ID token for a user, with a nonce if there was one; s.mu is held.
func (s *Sandbox) idToken(user, nonce string) (string, error) {
	now := s.now()
	email := user
	if !strings.Contains(user, "@") {
		email += "@example.com"
	}
	claims := map[string]any{
		"iss":                s.Issuer,
		"sub":                "sandbox|" + user,
		"aud":                s.ClientID,
		"iat":                now.Unix(),
		"exp":                now.Add(orDefault(s.options.IDTokenLife, 10*time.Hour)).Unix(),
		"email":              email,
		"email_verified":     true,
		"preferred_username": user,
		"name":               user,
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if s.options.TokenPadding > 0 {
		claims["padding"] = strings.Repeat("x", s.options.TokenPadding)
	}
	maps.Copy(claims, s.options.Claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return s.sign(claims)
}

// signer signs with the newest key; s.mu is held.
func (s *Sandbox) signer() (jose.Signer, error) {
	newest := s.keys[len(s.keys)-1]
	algorithm := s.algorithm()
	var key any
	switch algorithm {
	case jose.RS256:
		key = jose.JSONWebKey{Key: newest.rsa, KeyID: newest.id}
	case jose.ES256:
		key = jose.JSONWebKey{Key: newest.ec, KeyID: newest.id + "-ec"}
	case jose.HS256: // what Authentik does without a signing key; STS takes no such token
		secret := []byte(s.options.ClientSecret)
		key = append(secret, make([]byte, max(0, 32-len(secret)))...)
	default:
		return nil, fmt.Errorf("algorithm %q: not RS256, ES256 or HS256", algorithm)
	}
	return jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
}

// givesRefreshToken says whether a login with these scopes gets a refresh token;
// s.mu is held. Providers that know offline_access want it, save Keycloak, which
// keeps it for logins that outlive the browser session.
func (s *Sandbox) givesRefreshToken(scopes []string) bool {
	if s.options.NoRefreshToken {
		return false
	}
	return slices.Contains(scopes, scopeOffline) || !slices.Contains(s.scopes(), scopeOffline) ||
		strings.Contains(s.Issuer, "/realms/")
}
