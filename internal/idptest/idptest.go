// Package idptest is a pretend OpenID provider for the tests of what talks to one.
// It is its own transport: it needs no socket, can have any name, and answers
// whatever a test wants. Package sandbox has one that works.
package idptest

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

const (
	Issuer   = "https://corp.example"
	ClientID = "J1oXg0"
)

// Noon is where every test's clock starts.
var Noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Reply is one answer of the pretend provider.
type Reply struct {
	Status int // 0: 200
	Header http.Header
	Body   string
	Err    error                   // the connection breaks instead, after the request was sent
	Unsent bool                    // with Err: before anything was sent
	Echo   func(url.Values) string // instead of Body
}

// OK is a reply with status 200.
func OK(body string) Reply { return Reply{Body: body} }

// Status is a reply with another status.
func Status(code int, body string) Reply { return Reply{Status: code, Body: body} }

// Refusal is a reply with an OAuth error code.
func Refusal(status int, code string) Reply { return Status(status, `{"error":"`+code+`"}`) }

// Page is a sign-in page.
func Page(code int) Reply { return Status(code, "<!DOCTYPE html><html>sign in</html>") }

// Redirect is a redirect with status 302.
func Redirect(to string) Reply { return WithHeader(Status(302, ""), "Location", to) }

// WithHeader is r with one header.
func WithHeader(r Reply, k, v string) Reply { r.Header = http.Header{k: {v}}; return r }

// Received is one request that reached the pretend provider.
type Received struct {
	Path string
	Form url.Values
}

// Provider is the pretend provider. It implements [http.RoundTripper].
type Provider struct {
	Clock    *sandbox.Clock
	Document map[string]any // what discovery says
	Requests []Received
	Blob     []byte // what the memory keeps

	t       *testing.T
	replies map[string][]Reply // by path, in this order; the last one stays
}

// New returns a provider that publishes its discovery document.
func New(t *testing.T) *Provider {
	return &Provider{t: t, Clock: sandbox.NewClock(Noon), replies: map[string][]Reply{}, Document: map[string]any{
		"issuer":                                Issuer,
		"authorization_endpoint":                Issuer + "/authorize",
		"device_authorization_endpoint":         Issuer + "/device",
		"token_endpoint":                        Issuer + "/token",
		"revocation_endpoint":                   Issuer + "/revoke",
		"jwks_uri":                              Issuer + "/keys",
		"scopes_supported":                      []string{"openid", "email", "offline_access"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"},
	}}
}

// Load and Save are a memory that outlives a client.
func (p *Provider) Load() ([]byte, error) { return p.Blob, nil }

// Save keeps b.
func (p *Provider) Save(b []byte) error {
	p.Blob = b
	return nil
}

// Will sets the replies of a path; the last one stays.
func (p *Provider) Will(path string, replies ...Reply) { p.replies[path] = replies }

// RoundTrip implements [http.RoundTripper].
func (p *Provider) RoundTrip(request *http.Request) (*http.Response, error) {
	var form url.Values
	if request.Body != nil {
		body, _ := io.ReadAll(request.Body)
		form, _ = url.ParseQuery(string(body))
	}
	path := request.URL.Path
	next, planned := Status(404, "404 page not found"), p.replies[path]
	switch {
	case len(planned) > 0:
		next = planned[0]
		p.replies[path] = planned[min(1, len(planned)-1):]
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		document, _ := json.Marshal(p.Document)
		next = OK(string(document))
	}
	if err := request.Context().Err(); err != nil {
		next = Reply{Err: err, Unsent: true}
	}
	if !next.Unsent {
		httptrace.ContextClientTrace(request.Context()).GotConn(httptrace.GotConnInfo{})
		p.Requests = append(p.Requests, Received{path, form})
	}
	if next.Err != nil {
		return nil, next.Err
	}
	if next.Echo != nil {
		next.Body = next.Echo(form)
	}
	if next.Header == nil {
		next.Header = http.Header{}
	}
	return &http.Response{StatusCode: cmp.Or(next.Status, 200), Header: next.Header, Body: io.NopCloser(strings.NewReader(next.Body)), Request: request}, nil
}

// Paths are those of the requests so far.
func (p *Provider) Paths() string {
	var paths []string
	for _, r := range p.Requests {
		paths = append(paths, strings.TrimPrefix(strings.TrimPrefix(r.Path, "/"), ".well-known/openid-"))
	}
	return strings.Join(paths, " ")
}

// Last is the form of the last request.
func (p *Provider) Last() url.Values { return p.Requests[len(p.Requests)-1].Form }

// Told is what an error says, to the person and below.
func Told(err error) string {
	if f := failure.From(err); f.Err != nil {
		return err.Error() + "\n" + f.Err.Error()
	}
	return err.Error()
}

// CheckWords fails unless an error is for people: an exit code and up to three
// lines of what may reach a terminal.
func CheckWords(t *testing.T, err error) {
	t.Helper()
	f, ok := errors.AsType[*failure.Error](err)
	if !ok || f.Exit < failure.ExitUsage || f.Exit > failure.ExitNetwork || len(f.Lines) == 0 || len(f.Lines) > 3 {
		t.Errorf("error %#v is not for people", err)
		return
	}
	for line := range strings.SplitSeq(Told(err), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) || len(line) > 1000 {
			t.Errorf("error of %d bytes does not print: %q", len(line), line)
		}
	}
}

// RoundTripper is a transport that is one function.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
