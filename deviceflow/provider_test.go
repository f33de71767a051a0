package deviceflow

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/daypass/daypass/secret"
)

const (
	issuer   = "https://corp.example"
	clientID = "J1oXg0"
)

// noon is where every test's clock starts.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clock is a clock that moves only when somebody sleeps by it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.advance(d)
	return nil
}

// reply is one answer of the pretend provider.
type reply struct {
	status int // 0: 200
	header http.Header
	body   string
	err    error                   // the connection breaks instead, after the request was sent
	unsent bool                    // with err: before anything was sent
	echo   func(url.Values) string // instead of body
}

func ok(body string) reply                  { return reply{body: body} }
func status(code int, body string) reply    { return reply{status: code, body: body} }
func page(code int) reply                   { return reply{status: code, body: "<!DOCTYPE html><html>sign in</html>"} }
func withHeader(r reply, k, v string) reply { r.header = http.Header{k: {v}}; return r }

// received is one request that reached the pretend provider.
type received struct {
	method, path string
	form         url.Values
	ctx          context.Context
}

// idp is a pretend provider that is its own transport: no socket is needed, and
// it can have any name.
type idp struct {
	t        *testing.T
	clock    *clock
	document map[string]any
	jwks     string

	mu       sync.Mutex
	replies  map[string][]reply // by path, in this order; the last one stays
	requests []received
	blob     []byte // what Memory keeps
	saves    int
}

func newIDP(t *testing.T) *idp {
	p := &idp{t: t, clock: &clock{now: noon}, replies: map[string][]reply{}, jwks: publicKeys(map[string]any{"rsa": rsaKey().Public()})}
	p.document = map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                issuer + "/authorize",
		"device_authorization_endpoint":         issuer + "/device",
		"token_endpoint":                        issuer + "/token",
		"revocation_endpoint":                   issuer + "/revoke",
		"jwks_uri":                              issuer + "/keys",
		"scopes_supported":                      []string{"openid", "email", "offline_access"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"},
	}
	return p
}

func (p *idp) flow() *Flow {
	return &Flow{Issuer: p.document["issuer"].(string), ClientID: clientID, Transport: p, Now: p.clock.Now, Sleep: p.clock.Sleep}
}

// remembering is a Flow whose Memory outlives it.
func (p *idp) remembering() *Flow {
	f := p.flow()
	f.Memory = Memory{
		Load: func() ([]byte, error) {
			if p.blob == nil {
				return nil, errors.New("nothing there")
			}
			return p.blob, nil
		},
		Save: func(b []byte) error { p.blob = b; p.saves++; return nil },
	}
	return f
}

func (p *idp) will(path string, replies ...reply) { p.replies[path] = replies }

// RoundTrip implements [http.RoundTripper].
func (p *idp) RoundTrip(request *http.Request) (*http.Response, error) {
	body := []byte{}
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		p.t.Errorf("the body of %s is no form: %v", request.URL, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	path := request.URL.Path
	next, planned := reply{status: 404, body: "404 page not found"}, p.replies[path]
	switch {
	case len(planned) > 0:
		next = planned[0]
		if len(planned) > 1 {
			p.replies[path] = planned[1:]
		}
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		document, _ := json.Marshal(p.document)
		next = ok(string(document))
	case path == "/keys":
		next = ok(p.jwks)
	}
	if err := request.Context().Err(); err != nil {
		next = reply{err: err, unsent: true}
	}
	if !next.unsent {
		httptrace.ContextClientTrace(request.Context()).GotConn(httptrace.GotConnInfo{})
	}
	if !next.unsent {
		p.requests = append(p.requests, received{request.Method, path, form, request.Context()})
	}
	if next.err != nil {
		return nil, next.err
	}
	if next.echo != nil {
		next.body = next.echo(form)
	}
	response := &http.Response{StatusCode: next.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(next.body)), Request: request}
	if next.status == 0 {
		response.StatusCode = 200
	}
	for k, v := range next.header {
		response.Header[k] = v
	}
	return response, nil
}

// roundTripper is a transport that is one function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// paths are those of the requests so far.
func (p *idp) paths() string {
	var paths []string
	for _, r := range p.requests {
		paths = append(paths, strings.TrimPrefix(strings.TrimPrefix(r.path, "/"), ".well-known/openid-"))
	}
	return strings.Join(paths, " ")
}

// last is the form of the last request to path.
func (p *idp) last(path string) url.Values {
	for i := len(p.requests) - 1; i >= 0; i-- {
		if p.requests[i].path == path {
			return p.requests[i].form
		}
	}
	p.t.Fatalf("no request to %s", path)
	return nil
}

// open is an authorization that was just given out.
func (p *idp) open() *Authorization {
	return &Authorization{
		DeviceCode: secret.New("dev1ce-c0de"), UserCode: "LBJX-WZVT", VerificationURI: issuer + "/activate",
		Interval: 5 * time.Second, NextPoll: p.clock.Now().Add(5 * time.Second),
		Issued: p.clock.Now(), Expires: p.clock.Now().Add(10 * time.Minute), TokenEndpoint: issuer + "/token",
	}
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
	if err != nil {
		t.Fatal(err)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(compact)
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
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, jose.RS256, rsaKey(), "rsa", payload)
}
