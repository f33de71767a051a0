package idp

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/idptest"
	"github.com/daypass/daypass/secret"
)

// refreshAt sends a refresh token over a real connection to server.
func refreshAt(ctx context.Context, server string, transport http.RoundTripper) error {
	f := &Client{Issuer: server, ClientID: clientID, Transport: transport, Now: time.Now}
	f.known = &published{metadata: Metadata{Issuer: server, TokenEndpoint: server + "/token"}}
	_, err := f.Refresh(ctx, secret.New("r3fresh"))
	return err
}

func TestWhatWasSentIsKnown(t *testing.T) {
	breaks := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	halves := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"refresh_token":"n3w"`))
	})
	noTLS := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("a request arrived") })
	h1, h2 := httptest.NewServer(breaks), httptest.NewUnstartedServer(breaks)
	h2.EnableHTTP2 = true
	h2.StartTLS()
	half, untrusted := httptest.NewServer(halves), httptest.NewUnstartedServer(noTLS)
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake fails
	untrusted.StartTLS()
	for _, s := range []*httptest.Server{h1, h2, half, untrusted} {
		t.Cleanup(s.Close)
	}

	tests := []struct {
		name      string
		server    string
		transport http.RoundTripper
		lost      bool
		want      string
	}{
		{"HTTP/1.1 connection breaks after the request", h1.URL, h1.Client().Transport, true, "EOF"},
		{"HTTP/2 stream breaks after the request", h2.URL, h2.Client().Transport, true, "stream error"},
		{"the answer breaks off", half.URL, half.Client().Transport, true, "unexpected EOF"},
		{"nobody listens", "http://127.0.0.1:0", &http.Transport{}, false, "cannot reach"},
		{"TLS by an unknown CA", untrusted.URL, &http.Transport{}, false, "unknown authority).\nIf a company proxy or CA signed it, set ca_bundle in {section}.\n"},
		{"TLS to a plain server", strings.Replace(h1.URL, "http:", "https:", 1), &http.Transport{}, false, "cannot reach"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := refreshAt(t.Context(), test.server, test.transport)
			if IsLost(err) != test.lost || IsUnreachable(err) == test.lost || !strings.Contains(told(err), test.want) {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

func TestDeadConnectionThenNone(t *testing.T) {
	// The transport finds a kept connection dead before it writes, and cannot get
	// another.
	err := refreshAt(t.Context(), issuer, idptest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		trace.GetConn("")
		return nil, errors.New("no route to host")
	}))
	if !IsUnreachable(err) {
		t.Errorf("error %v", err)
	}
}

// What is sent leaves no room for doubt about the answer.
func TestEachPostHasItsOwnConnection(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("it asks for %q", got)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c := &Client{Issuer: server.URL, Transport: server.Client().Transport, Now: time.Now}
	for range 3 {
		must(t, c.Revoke(t.Context(), server.URL, secret.New("r3fresh")))
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections for 3 requests", n)
	}
}

// A proxy in between is named, and its password is not. What the transport has to say
// of it is said.
func TestProxies(t *testing.T) {
	through := &url.URL{Scheme: "http", User: url.UserPassword("user", "hunter2"), Host: "127.0.0.1:0"} // nobody listens
	for want, proxy := range map[string]func(*http.Request) (*url.URL, error){
		"cannot reach the proxy": http.ProxyURL(through),
		"the proxy is closed.": func(*http.Request) (*url.URL, error) {
			return nil, failure.New(failure.ExitNetwork, nil, "the proxy is closed.")
		},
	} {
		err := refreshAt(t.Context(), issuer, &http.Transport{Proxy: proxy})
		if !IsUnreachable(err) || !strings.Contains(told(err), want) || strings.Contains(told(err), "hunter2") || strings.Contains(told(err), "Try again later") {
			t.Errorf("%v", err)
		}
		checkWords(t, err)
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "1.5": 0,
		"9223372036854775807": time.Hour, "99999999999999999999999": time.Hour,
		noon.Add(time.Minute).Format(http.TimeFormat):   time.Minute,
		noon.Add(-time.Minute).Format(http.TimeFormat):  0,
		noon.AddDate(900, 0, 0).Format(http.TimeFormat): time.Hour,
		noon.Add(time.Minute).Format(time.RFC3339):      0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, noon); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
