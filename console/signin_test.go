package console_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// A certificate that does not serve now will not serve at the next try, nor will a
// proxy that refuses.
func TestWhatIsNotTriedAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	refused := failure.New(failure.ExitNetwork, nil, "the proxy refused.")
	for want, transport := range map[string]*http.Transport{
		"the certificate of AWS sign-in, " + strings.TrimPrefix(server.URL, "https://") + ", is not trusted here (x509: ": {},
		"the proxy refused.": {Proxy: func(*http.Request) (*url.URL, error) { return nil, refused }},
	} {
		in := console.SignIn{Endpoint: server.URL, Transport: transport, Sleep: func(context.Context, time.Duration) error { t.Error("another try"); return nil }}
		_, _, err := in.URL(t.Context(), "ASIAEXAMPLE", secret.New("key"), secret.New("token"))
		if exit(err) != failure.ExitNetwork || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "ry again later") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	for want, err := range map[string]error{"no answer in time": context.DeadlineExceeded, "connection refused": syscall.ECONNREFUSED} {
		nobody := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
		in := console.SignIn{Endpoint: "http://127.0.0.1:1", Transport: nobody, Sleep: func(context.Context, time.Duration) error { return nil }}
		_, _, err := in.URL(t.Context(), "ASIAEXAMPLE", secret.New("key"), secret.New("token"))
		if exit(err) != failure.ExitNetwork || !strings.Contains(err.Error(), "(3 tries: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// exit is the exit code of an error, -1 if it has none.
func exit(err error) int {
	if f := new(failure.Error); errors.As(err, &f) {
		return f.Exit
	}
	return -1
}
