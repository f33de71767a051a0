package deviceflow

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass/daypass/secret"
)

// refreshAt sends a refresh token over a real connection to server.
func refreshAt(ctx context.Context, server string, transport http.RoundTripper) error {
	f := &Flow{Issuer: server, ClientID: clientID, Transport: transport}
	f.known = &provider{metadata: metadata{Issuer: server, TokenEndpoint: server + "/token"}, fetched: time.Now()}
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()

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
		{"nobody listens", closed, &http.Transport{}, false, "connection refused"},
		{"TLS by an unknown CA", untrusted.URL, &http.Transport{}, false, "set ca_bundle"},
		{"TLS to a plain server", strings.Replace(h1.URL, "http:", "https:", 1), &http.Transport{}, false, "cannot reach"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := refreshAt(t.Context(), test.server, test.transport)
			var lost *LostError
			var unreachable *UnreachableError
			if errors.As(err, &lost) != test.lost || errors.As(err, &unreachable) == test.lost || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

func TestRequestEndsWithItsTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		select { // the body never comes
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	f := &Flow{ClientID: clientID, Transport: server.Client().Transport}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := f.Revoke(ctx, server.URL, secret.New("r3fresh"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestNoRedirectWithASecret(t *testing.T) {
	var arrived atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer elsewhere.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/again" {
				arrived.Add(1)
			}
			to := elsewhere.URL
			if r.URL.Path == "/same" {
				to = "/again"
			}
			http.Redirect(w, r, to, code)
		}))
		f := &Flow{ClientID: clientID, Transport: server.Client().Transport}
		a := &Authorization{DeviceCode: secret.New("dev1ce"), TokenEndpoint: server.URL + "/same", Expires: time.Now().Add(time.Hour)}
		_, pollErr := f.Poll(t.Context(), a)
		errs := []error{refreshAt(t.Context(), server.URL, server.Client().Transport), f.Revoke(t.Context(), server.URL, secret.New("r3fresh")), pollErr}
		for _, err := range errs {
			var refused *ProviderError
			if !errors.As(err, &refused) || refused.Status != code {
				t.Errorf("%d: error %v", code, err)
			}
		}
		server.Close()
	}
	if n := arrived.Load(); n != 0 {
		t.Errorf("%d requests were redirected", n)
	}
}

func TestDeadConnectionThenNone(t *testing.T) {
	// The transport finds a kept connection dead before it writes, and cannot get
	// another.
	err := refreshAt(t.Context(), issuer, roundTripper(func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{Reused: true})
		trace.GetConn("")
		return nil, errors.New("no route to host")
	}))
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) {
		t.Errorf("error %v", err)
	}
}

// endless is a body without end that notices how much of it was read.
type endless struct{ read int }

func (e *endless) Close() error { return nil }

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 8*maxBody {
		return 0, errors.New("far too much was read")
	}
	return len(p), nil
}

func TestEndlessAnswer(t *testing.T) {
	body := &endless{}
	f := &Flow{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 400, Body: body}, nil
	})}
	err := f.Revoke(t.Context(), issuer+"/revoke", secret.New("r3fresh"))
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB") || body.read > 4*maxBody {
		t.Errorf("%d bytes were read: %v", body.read, err)
	}
}

func TestEachPollHasItsOwnConnection(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"error":"authorization_pending"}`, http.StatusBadRequest)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	f := &Flow{ClientID: clientID, Transport: server.Client().Transport}
	a := &Authorization{DeviceCode: secret.New("dev1ce"), TokenEndpoint: server.URL, Expires: time.Now().Add(time.Hour)}
	for range 3 {
		if _, err := f.Poll(t.Context(), a); err != ErrPending {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections for 3 polls", n)
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "1.5": 0,
		"9223372036854775807": time.Hour, "99999999999999999999999": 0,
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
