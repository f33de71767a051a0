package deviceflow

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// maxRSABits bounds a signing key. Checking a signature costs time with the
// square of it; crypto/tls has the same bound.
const maxRSABits = 8192

// maxKeys bounds the keys that are tried. Providers publish two to ten.
const maxKeys = 100

// signingKeys checks signatures with the provider's keys, for go-oidc. It serves
// one Verify: remembered keys are fetched anew at most once, when none of them
// fits (OpenID Connect Core section 10.1.1).
type signingKeys struct {
	flow     *Flow
	provider *provider
	err      error // of the last VerifySignature: go-oidc keeps only its text
}

// VerifySignature implements [oidc.KeySet].
func (k *signingKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	var payload []byte
	payload, k.err = k.verify(ctx, jwt)
	return payload, k.err
}

func (k *signingKeys) verify(ctx context.Context, jwt string) ([]byte, error) {
	var algorithms []jose.SignatureAlgorithm
	for _, name := range stsAlgorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(name))
	}
	jws, err := jose.ParseSignedCompact(jwt, algorithms)
	if err != nil {
		return nil, &TokenError{Reason: clean(err.Error(), 200)}
	}
	if payload, _ := checkSignature(jws, k.provider.keys); payload != nil {
		return payload, nil
	}
	if k.provider, err = k.flow.fetchKeys(ctx, k.provider); err != nil {
		return nil, err
	}
	payload, known := checkSignature(jws, k.provider.keys)
	if payload != nil {
		// Not before: keys that fit nothing may be a fault that passes, and would take
		// the place of good ones for a day.
		k.flow.remember(k.provider)
		return payload, nil
	}
	id := clean(jws.Signatures[0].Header.KeyID, 100)
	if known {
		return nil, &TokenError{Reason: fmt.Sprintf("its signature does not fit the provider's key %q", id)}
	}
	return nil, &TokenError{Reason: fmt.Sprintf("it is signed with key %q, which the provider does not publish", id)}
}

// checkSignature returns the payload if one of the keys made the signature. known
// reports whether a key with the right id was there.
func checkSignature(jws *jose.JSONWebSignature, keys json.RawMessage) (payload []byte, known bool) {
	id := jws.Signatures[0].Header.KeyID
	for _, key := range readKeys(keys) {
		if id != "" && key.KeyID != id {
			continue
		}
		known = true
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, known
}

// readKeys returns the keys of a JSON Web Key Set that can sign for STS. What it
// does not understand it passes over, as RFC 7517 section 5 asks.
func readKeys(set json.RawMessage) []jose.JSONWebKey {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(set, &raw) != nil {
		return nil
	}
	var keys []jose.JSONWebKey
	for _, one := range raw.Keys[:min(len(raw.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if json.Unmarshal(one, &key) != nil || key.Use == "enc" {
			continue
		}
		switch public := key.Key.(type) {
		case *rsa.PublicKey:
			if public.N.BitLen() > maxRSABits {
				continue
			}
		case *ecdsa.PublicKey:
		default:
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// fetchKeys returns p with the keys that the provider publishes now.
func (f *Flow) fetchKeys(ctx context.Context, p *provider) (*provider, error) {
	keys, err := f.getKeys(ctx, p.JWKSURI)
	var refused *ProviderError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		moved, rediscoverErr := f.rediscover(ctx)
		if rediscoverErr == nil && moved.JWKSURI != p.JWKSURI {
			p = moved
			keys, err = f.getKeys(ctx, p.JWKSURI)
		}
	}
	if err != nil {
		return nil, err
	}
	fresh := *p
	fresh.keys = keys
	return &fresh, nil
}

func (f *Flow) getKeys(ctx context.Context, uri string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, &DiscoveryError{Issuer: f.Issuer, Reason: "its jwks_uri cannot be used"}
	}
	response, err := f.publicClient(opKeys).Do(request)
	if err != nil {
		return nil, f.keysFailure(err)
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// keysFailure takes the URL off an error of http.Client.
func (f *Flow) keysFailure(err error) error {
	var refused *ProviderError
	var unreachable *UnreachableError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &unreachable):
		return unreachable
	}
	return &DiscoveryError{Issuer: f.Issuer, Reason: "its signing keys cannot be fetched", Err: err}
}
