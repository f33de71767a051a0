package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// dialTime bounds opening a connection, and as much again the TLS handshake on it.
const dialTime = 4 * time.Second

// NewTransport returns an HTTP transport whose every step is bounded in time: for
// the provider, STS and the console's sign-in. The proxy variables are honoured.
// bundle is a PEM file that replaces the system's trust store, as AWS_CA_BUNDLE
// does in the AWS SDKs, or "".
func NewTransport(bundle string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy: proxy,
		OnProxyConnectResponse: func(_ context.Context, by *url.URL, request *http.Request, response *http.Response) error {
			if response.StatusCode == http.StatusOK {
				return nil
			}
			host := strings.TrimSuffix(request.Host, ":443")
			return failure.New(failure.ExitNetwork, nil, "cannot reach "+host+": the proxy "+by.Host+" refused ("+http.StatusText(response.StatusCode)+").",
				"Correct HTTPS_PROXY, or ask whoever runs the proxy to allow "+host+".")
		},
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// The headers of an answer are trusted no more than its body.
		MaxResponseHeaderBytes: 64 << 10,
	}
	if bundle == "" {
		return t, nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q holds no PEM certificate", bundle)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// awsTransport is NewTransport to the hosts of AWS.
func awsTransport(at profile.Profile) (*http.Transport, error) {
	t, err := NewTransport(at.AWSCABundle)
	if err != nil {
		err = failure.New(failure.ExitUsage, err, "the CA bundle for AWS cannot be used: "+reason(err)+".",
			"Point AWS_CA_BUNDLE, or else ca_bundle in profile {profile}, at a PEM file, or leave it out.")
	}
	return t, err
}

// proxy is http.ProxyFromEnvironment, which takes a variable that it cannot read for
// one that is not set, and a part of a password for a host.
func proxy(r *http.Request) (*url.URL, error) {
	name := strings.ToUpper(r.URL.Scheme) + "_PROXY"
	if os.Getenv(name) == "" {
		name = strings.ToLower(name)
	}
	if value := os.Getenv(name); value != "" && !isProxy(value) && !address.IsLoopback(r.URL.Hostname()) {
		return nil, failure.New(failure.ExitNetwork, nil, "cannot reach "+r.URL.Host+": "+name+" is not the address of a proxy, as in http://proxy.example:8080.",
			"Correct it. In a password, write # as %23, / as %2F, ? as %3F, @ as %40.")
	}
	return http.ProxyFromEnvironment(r)
}

// isProxy reports whether a proxy variable holds an address and nothing else; the
// scheme may be left out.
func isProxy(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		u, err = url.Parse("http://" + value)
	}
	return err == nil && u.Hostname() != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" &&
		slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)
}

// transport is NewTransport with the ca_bundle of the section.
func (p *Pipeline) transport(bundle string) (*http.Transport, error) {
	t, err := NewTransport(bundle)
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, "ca_bundle of {section}: "+reason(err)+".", "Point it at a PEM file, or leave it out.")
	}
	return t, nil
}

// metadata is the way to the metadata service that is a source. No proxy leads to those
// of a machine; GitHub's is on the internet.
func (p *Pipeline) metadata(source string) (*http.Transport, error) {
	if source == "github-actions" {
		return p.transport(p.Profile.IDP.CABundle)
	}
	transport, _ := NewTransport("") // it reads no file
	transport.Proxy = nil
	return transport, nil
}

// ahead is a transport that opens the connection for its first request while the caller
// does something else.
type ahead struct {
	*http.Transport
	ready <-chan *http.ClientConn // closed without one if it could not be opened
}

func connectAhead(ctx context.Context, t *http.Transport, u *url.URL) http.RoundTripper {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ready := make(chan *http.ClientConn, 1)
	go func() {
		defer close(ready)
		if conn, err := t.NewClientConn(context.WithoutCancel(ctx), u.Scheme, net.JoinHostPort(u.Hostname(), port)); err == nil {
			ready <- conn
		}
	}()
	return ahead{t, ready}
}

func (a ahead) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case conn := <-a.ready:
		if conn != nil && conn.Err() == nil {
			return conn.RoundTrip(r)
		}
	case <-r.Context().Done():
	}
	return a.Transport.RoundTrip(r)
}

// newClient returns a client that follows no redirect, because its requests hold a
// bearer token, and bounds each in size and time.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     limited{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
}

// asker sends a request and returns the answer with its body. An error says why there
// is none, without the address.
func asker(client *http.Client) func(*http.Request) (*http.Response, []byte, error) {
	return func(request *http.Request) (*http.Response, []byte, error) {
		response, err := client.Do(request)
		if err != nil {
			return nil, nil, unanswered{err}
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, nil, unanswered{err}
		}
		return response, body, nil
	}
}

// unanswered is an error with its reason as the text.
type unanswered struct{ error }

func (e unanswered) Error() string { return reason(e.error) }
func (e unanswered) Unwrap() error { return e.error }

// limited is a RoundTripper whose answers end with an error after 1 MB; those of STS are
// below 8 kB.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		// The AWS SDK closes the body when an answer begins, and WriteTo of its body then
		// fails: the transport would end the connection in the middle of the answer.
		sent := *r
		sent.Body = struct{ io.ReadCloser }{r.Body}
		r = &sent
	}
	response, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, 1<<20)
	return response, nil
}

// debug notes a step for DAYPASS_DEBUG. What is noted are names, times and
// outcomes: no body, no query, no header.
func (p *Pipeline) debug(step string, args ...any) {
	if p.Debug != nil {
		p.Debug.Info(step, args...)
	}
}

// noted is transport with its requests noted.
func (p *Pipeline) noted(transport http.RoundTripper) http.RoundTripper {
	if p.Debug == nil {
		return transport
	}
	return notedTransport{p, transport}
}

type notedTransport struct {
	p *Pipeline
	http.RoundTripper
}

func (t notedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	started := time.Now()
	response, err := t.RoundTripper.RoundTrip(r)
	args := []any{"method", r.Method, "host", r.URL.Host, "path", r.URL.Path, "took", time.Since(started).Round(time.Millisecond)}
	if err != nil {
		why := "no HTTP answer" // what net/http says of one can quote it, and it can repeat the request
		var network net.Error
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &network) || errors.As(err, &certificate) || errors.Is(err, io.EOF) {
			why = reason(err)
		}
		t.p.debug("request", append(args, "error", why)...)
		return nil, err
	}
	t.p.debug("request", append(args, "status", response.StatusCode)...)
	return response, nil
}
