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
	"sync"
	"time"
)

// dialTime bounds opening a connection, and as much again the TLS handshake on it.
const dialTime = 4 * time.Second

// NewTransport returns an HTTP transport whose every step is bounded in time: for
// the provider, STS and the console's sign-in. The proxy variables are honoured.
// bundle is a PEM file that replaces the system's trust store, as AWS_CA_BUNDLE
// does in the AWS SDKs, or "".
func NewTransport(bundle string) (http.RoundTripper, error) { return newTransport(bundle) }

func newTransport(bundle string) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSHandshakeTimeout:   dialTime,
		ResponseHeaderTimeout: 10 * time.Second,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// An answer's headers are as little trusted as its body.
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

// connectAhead opens the connection for t's next request to an address now, beside
// what the caller does. Behind a proxy it does nothing. A connection that is not
// used ends with the process.
func connectAhead(ctx context.Context, t *http.Transport, address string) {
	u, err := url.Parse(address)
	if err != nil || t.DialTLSContext != nil {
		return
	}
	if proxy, err := t.Proxy(&http.Request{URL: u}); proxy != nil || err != nil {
		return
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	plain, config := t.DialContext, &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TLSClientConfig != nil { // a copy: t changes its own
		config = t.TLSClientConfig.Clone()
	}
	config.ServerName = u.Hostname()
	dial := func(ctx context.Context, network, to string) (net.Conn, error) {
		conn, err := plain(ctx, network, to)
		if err != nil || u.Scheme != "https" {
			return conn, err
		}
		ctx, cancel := context.WithTimeout(ctx, dialTime)
		defer cancel()
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secured, nil
	}
	ready := make(chan net.Conn, 1)
	go func() {
		defer close(ready)
		if conn, err := dial(context.WithoutCancel(ctx), "tcp", net.JoinHostPort(u.Hostname(), port)); err == nil {
			ready <- conn
		}
	}()
	var first sync.Once
	next := func(ctx context.Context, network, to string) (conn net.Conn, err error) {
		first.Do(func() {
			select {
			case conn = <-ready:
			case <-ctx.Done():
			}
		})
		if conn != nil {
			return conn, nil
		}
		return dial(ctx, network, to)
	}
	if u.Scheme == "https" {
		t.DialTLSContext = next
	} else {
		t.DialContext = next
	}
}

// newClient returns a client that follows no redirect, for a bearer token is in
// the request, and reads no more than max bytes of an answer.
func newClient(transport http.RoundTripper, max int64, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     limited{transport, max},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}
}

// limited is a RoundTripper whose answers end with an error after max bytes.
type limited struct {
	http.RoundTripper
	max int64
}

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
	response.Body = &limitedBody{response.Body, l.max}
	return response, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

var errTooLarge = errors.New("the answer is too large")

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// networkAdvice is what to do about a server of AWS that cannot be reached.
func networkAdvice(err error) []string {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return []string{"If a company proxy or CA signs for it, set AWS_CA_BUNDLE, or ca_bundle in profile {profile}."}
	}
	return []string{notNeeded}
}
