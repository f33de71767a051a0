package console_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const signInURL = "https://signin.aws.amazon.com/federation?Action=login&SigninToken=x"

// never is a clock on which 30 seconds do not pass.
func never(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// fetch asks for the address as change has it, and follows no redirect.
func fetch(t *testing.T, address string, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = r.URL.Path // as it is written
	change(r)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response
}

func asItIs(*http.Request) {}

// listens reports whether there is still somebody at an address.
func listens(address string) bool {
	u, _ := url.Parse(address)
	conn, err := net.Dial("tcp", u.Host)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// Whoever does not send what a browser sends learns nothing and uses nothing up; of those
// who do at once, one gets the URL.
func TestHandOver(t *testing.T) {
	var address string
	err := console.HandOver(t.Context(), secret.New(signInURL), func(ctx context.Context, a string) error {
		address = a
		u, _ := url.Parse(a)
		if u.Scheme != "http" || u.Hostname() != "127.0.0.1" || len(u.Path) < 27 {
			t.Errorf("address %q", a)
		}
		path := func(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Opaque = path } }
		host := func(host string) func(*http.Request) { return func(r *http.Request) { r.Host = host } }
		method := func(method string) func(*http.Request) { return func(r *http.Request) { r.Method = method } }
		header := func(name, value string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set(name, value) }
		}
		for i, test := range []struct {
			change func(*http.Request)
			want   int
		}{
			{path("/favicon.ico"), 404},
			{path(u.Path + "/"), 404},
			{path(u.Path + "?x=1"), 404},
			{path(strings.ToLower(u.Path)), 404},
			{path(u.Path[:len(u.Path)-1]), 404},
			{path("/" + u.Path), 404},
			{path(fmt.Sprintf("/%%%02X%s", u.Path[1], u.Path[2:])), 404},
			{path("/./" + u.Path[1:]), 404},
			{host("evil.example"), 404},
			{host("evil.example:" + u.Port()), 404},
			{host("localhost:" + u.Port()), 404},
			{host("127.0.0.1"), 404},
			{host("127.0.0.1.:" + u.Port()), 404},
			{method("HEAD"), 404},
			{method("POST"), 404},
			{header("Sec-Purpose", "prefetch;prerender"), 503},
			{header("Purpose", "Prefetch"), 503},
			{header("X-Moz", "prefetch"), 503},
			{header("Purpose", "preview"), 503},
		} {
			response := fetch(t, a, test.change)
			if location := response.Header.Get("Location"); response.StatusCode != test.want || location != "" {
				t.Errorf("request %d: status %d, want %d; location %q", i, response.StatusCode, test.want, location)
			}
		}
		got := make(chan *http.Response, 8)
		for range cap(got) {
			go func() { got <- fetch(t, a, header("Cookie", strings.Repeat("a", 30<<10))) }() // of other servers on 127.0.0.1
		}
		counts := map[int]int{}
		for range cap(got) {
			response := <-got
			want := http.Header{"Cache-Control": {"no-store"}, "Referrer-Policy": {"no-referrer"}, "Content-Length": {"0"}, "Date": response.Header["Date"]}
			if response.StatusCode == http.StatusFound {
				want.Set("Location", signInURL)
			}
			counts[response.StatusCode]++
			if diff := cmp.Diff(want, response.Header); diff != "" {
				t.Errorf("status %d (-want +got)\n%s", response.StatusCode, diff)
			}
		}
		if diff := cmp.Diff(map[int]int{302: 1, 410: 7}, counts); diff != "" {
			t.Errorf("answers (-want +got)\n%s", diff)
		}
		<-ctx.Done()                       // nobody goes on watching the opener
		return errors.New("exit status 1") // an opener can end so after its browser has the URL
	}, never)
	if err != nil || listens(address) {
		t.Errorf("%v; it still listens: %t", err, listens(address))
	}
}

func TestHandOverEnds(t *testing.T) {
	broken := errors.New("no browser here")
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx   context.Context
		open  error
		sleep func(context.Context, time.Duration) error
		exit  int
	}{
		"nobody comes": {t.Context(), nil, func(_ context.Context, d time.Duration) error {
			if d != 30*time.Second {
				t.Errorf("waits %v", d)
			}
			return nil
		}, failure.ExitNetwork},
		"no browser": {t.Context(), broken, never, failure.ExitUsage},
		"Ctrl-C":     {interrupted, nil, never, failure.ExitInterrupt},
	} {
		var address string
		err := console.HandOver(test.ctx, secret.New(signInURL), func(_ context.Context, a string) error { address = a; return test.open }, test.sleep)
		if exit(err) != test.exit || test.open != nil && !errors.Is(err, test.open) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v, want exit %d", name, err, test.exit)
		}
		if listens(address) {
			t.Errorf("%s: it still listens", name)
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
