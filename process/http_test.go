package process

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// A proxy variable that cannot be read is named, and not taken for one that is not
// set. No error shows a password.
func TestProxyVariables(t *testing.T) {
	for _, variable := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		t.Setenv(variable, "")
	}
	for _, variable := range []string{"HTTPS_PROXY", "https_proxy"} {
		for _, value := range []string{"http://user:hunter2@bad host:1", "http://user:hun#ter2@proxy.example:8080", "http://user:12#hunter2@proxy.example",
			"http://user:hunter2/x@proxy.example", "http://user:hunter2?@proxy.example", "user:hunter2#@proxy.example:1", "ftp://hunter2", ":", "http://"} {
			t.Setenv(variable, value)
			transport, err := NewTransport("")
			if err != nil {
				t.Fatal(err)
			}
			_, err = transport.RoundTrip(httptest.NewRequest(http.MethodGet, "https://corp.invalid/", nil))
			var f *failure.Error
			if !errors.As(err, &f) || f.Exit != failure.ExitNetwork || !strings.HasPrefix(f.Lines[0], "cannot reach corp.invalid: "+variable+" is not the address of a proxy") || strings.Contains(err.Error(), "hun") {
				t.Errorf("%s=%s: %v", variable, value, err)
			}
			if _, err := proxy(httptest.NewRequest(http.MethodGet, "https://127.0.0.1/", nil)); err != nil {
				t.Errorf("%s, on loopback: %v", value, err)
			}
			t.Setenv(variable, "")
		}
	}
	for _, value := range []string{"proxy.example", "proxy.example:8080", "http://user:p@ss@proxy.example:8080/", "https://[::1]:1", "socks5h://proxy.example"} {
		if !isProxy(value) {
			t.Errorf("%s is refused", value)
		}
	}
}

// What a proxy refuses is the proxy's, whoever was to be reached, and is tried once.
func TestProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusServiceUnavailable} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(status) }))
		defer server.Close()
		through, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		through.User = url.UserPassword("user", "hunter2")
		transport, err := NewTransport("")
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(through)
		want := ".invalid: the proxy " + through.Host + " refused (" + http.StatusText(status) + ")."
		check := func(err error) {
			t.Helper()
			f := failure.From(err)
			if f.Exit != failure.ExitNetwork || !strings.HasSuffix(f.Lines[0], want) || strings.Count(f.Lines[0], ".invalid") != 1 || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ry again") || asked != 1 {
				t.Errorf("%d: exit %d, %v, asked %d times; want %q", status, f.Exit, err, asked, want)
			}
			asked = 0
		}
		w := newWorld(t, sandbox.Options{})
		w.mustRun()
		p := w.pipeline(func(p *Pipeline) { p.Profile.STSEndpoint = "https://sts.invalid"; p.toSTS = transport })
		check(p.Reach(t.Context(), "https://sts.invalid"))
		_, err = p.TryRole(t.Context())
		check(err)
		client := &idp.Client{Issuer: "https://corp.invalid", ClientID: "c", Transport: transport, Now: w.clock.Now, Sleep: w.clock.Sleep}
		_, err = client.Refresh(t.Context(), secret.New("r"))
		check(err)
		if !idp.IsUnreachable(err) || !slices.Contains(failure.From(err).Lines, "Correct HTTPS_PROXY, or ask whoever runs the proxy to allow corp.invalid.") {
			t.Error(err)
		}
	}
}
