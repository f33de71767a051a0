package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/daypass/daypass/internal/idptest"
	"github.com/daypass/daypass/secret"
)

const (
	issuer   = idptest.Issuer
	clientID = idptest.ClientID
)

type reply = idptest.Reply

var (
	noon       = idptest.Noon
	ok         = idptest.OK
	status     = idptest.Status
	withHeader = idptest.WithHeader
	told       = idptest.Told
	checkWords = idptest.CheckWords
)

// fake is a pretend provider and its clients.
type fake struct{ *idptest.Provider }

func newFake(t *testing.T) *fake {
	p := &fake{idptest.New(t)}
	p.Will("/keys", ok(goodKeys()))
	return p
}

func goodKeys() string { return publicKeys(map[string]any{"rsa": rsaKey().Public()}) }

func (p *fake) client() *Client {
	return &Client{Issuer: p.Document["issuer"].(string), ClientID: clientID, Transport: p, Now: p.Clock.Now, Sleep: p.Clock.Sleep}
}

// remembering is a Client whose Memory outlives it.
func (p *fake) remembering() *Client {
	c := p.client()
	c.Memory = Memory{Load: p.Load, Save: p.Save}
	return c
}

// rsaKey is one key for all tests: making one takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return key
}

// publicKeys is a JSON Web Key Set of keys by id.
func publicKeys(keys map[string]any) string {
	set := jose.JSONWebKeySet{}
	for id, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: id, Use: "sig"})
	}
	data, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// sign makes a token of a payload as it is.
func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, payload []byte) secret.String {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	must(t, err)
	jws, err := signer.Sign(payload)
	must(t, err)
	compact, err := jws.CompactSerialize()
	must(t, err)
	return secret.New(compact)
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// goodClaims are those of a token that was just given out.
func goodClaims() map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "auth0|64f0c2", "aud": clientID,
		"iat": noon.Unix(), "exp": noon.Add(10 * time.Hour).Unix(),
		"email": "taro@example.com", "email_verified": true, "preferred_username": "taro", "name": "Taro",
	}
}

// idToken is a good token with some claims changed; nil takes a claim away.
func idToken(t *testing.T, changes map[string]any) secret.String {
	t.Helper()
	claims := goodClaims()
	for name, value := range changes {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	must(t, err)
	return sign(t, jose.RS256, rsaKey(), "rsa", payload)
}
