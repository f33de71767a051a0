package console_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/secret"
)

const signInURL = "https://signin.aws.amazon.com/federation?Action=login&SigninToken=x"

// never is a clock on which 30 seconds do not pass.
func never(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// request is one request to the one-time address, which a test can bend.
type request struct {
	method, host, path string // "" for the right one
	header             map[string]string
}

// send sends it to the address and returns the answer, without following it.
func (q request) send(t *testing.T, address string) *http.Response {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	method, host, path := q.method, q.host, q.path
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = u.Path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+u.Host, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque, r.Host = path, host
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || len(body) != 0 {
		t.Errorf("%+v: body %q, %v", q, body, err)
	}
	response.Body.Close()
	return response
}

func TestHandOver(t *testing.T) {
	var address string
	err := console.HandOver(t.Context(), secret.New(signInURL), func(a string) error {
		address = a
		u, err := url.Parse(a)
		if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" || len(u.Path) < 1+26 || u.RawQuery != "" {
			t.Errorf("address %q: %v", a, err)
		}
		response := request{}.send(t, a)
		for name, want := range map[string]string{"Location": signInURL, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if response.StatusCode != http.StatusFound {
			t.Errorf("status %d", response.StatusCode)
		}
		return nil
	}, never)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(address)
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

func TestHandOverIsNotUsedUpByOthers(t *testing.T) {
	var fetched bool
	err := console.HandOver(t.Context(), secret.New(signInURL), func(a string) error {
		u, _ := url.Parse(a)
		for _, test := range []struct {
			request
			want int
		}{
			{request{path: "/"}, 404},
			{request{path: "/favicon.ico"}, 404},
			{request{path: u.Path + "/"}, 404},
			{request{path: u.Path + "?"}, 404},
			{request{path: u.Path + "?x=1"}, 404},
			{request{path: strings.ToLower(u.Path)}, 404},
			{request{path: u.Path[:len(u.Path)-1]}, 404},
			{request{path: "/" + u.Path}, 404},
			{request{path: "/%" + hex(u.Path[1]) + u.Path[2:]}, 404},
			{request{path: "/./" + u.Path[1:]}, 404},
			{request{host: "evil.example"}, 404},
			{request{host: "evil.example:" + u.Port()}, 404},
			{request{host: "localhost:" + u.Port()}, 404},
			{request{host: "127.0.0.1"}, 404},
			{request{host: "127.0.0.1:1"}, 404},
			{request{host: "127.0.0.1.:" + u.Port()}, 404},
			{request{method: "HEAD"}, 405},
			{request{method: "POST"}, 405},
			{request{method: "OPTIONS"}, 405},
			{request{header: map[string]string{"Sec-Purpose": "prefetch;prerender"}}, 503},
			{request{header: map[string]string{"Purpose": "prefetch"}}, 503},
			{request{header: map[string]string{"X-Moz": "prefetch"}}, 503},
			{request{header: map[string]string{"Purpose": "preview"}}, 503},
			{request{header: map[string]string{"Cookie": strings.Repeat("a", 30<<10)}}, 302}, // of other servers on 127.0.0.1
			{request{}, 410},
			{request{}, 410},
		} {
			response := test.send(t, a)
			location := response.Header.Get("Location")
			if response.StatusCode != test.want || (location != "") != (test.want == 302) {
				t.Errorf("%+v: status %d, want %d; location %q", test.request, response.StatusCode, test.want, location)
			}
			fetched = fetched || location != ""
		}
		return nil
	}, never)
	if err != nil || !fetched {
		t.Errorf("fetched %t, %v", fetched, err)
	}
}

func TestHandOverEnds(t *testing.T) {
	broken := errors.New("no browser here")
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name  string
		ctx   context.Context
		open  error
		sleep func(context.Context, time.Duration) error
		want  error
	}{
		{"nobody comes", t.Context(), nil, func(_ context.Context, d time.Duration) error {
			if d != 30*time.Second {
				t.Errorf("waits %v", d)
			}
			return nil
		}, console.ErrNotFetched},
		{"no browser", t.Context(), broken, never, broken},
		{"Ctrl-C", interrupted, nil, never, context.Canceled},
	} {
		var address string
		err := console.HandOver(test.ctx, secret.New(signInURL), func(a string) error { address = a; return test.open }, test.sleep)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		u, _ := url.Parse(address)
		if conn, err := net.Dial("tcp", u.Host); err == nil {
			conn.Close()
			t.Errorf("%s: it still listens", test.name)
		}
		if strings.Contains(err.Error(), u.Path) {
			t.Errorf("%s: the error holds the address", test.name)
		}
	}
}

// Of two that come at once, one gets the URL.
func TestHandOverOnce(t *testing.T) {
	got := make(chan int, 8)
	err := console.HandOver(t.Context(), secret.New(signInURL), func(a string) error {
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for range cap(got) {
			go func() {
				response, err := browser.Get(a)
				if err != nil {
					got <- 0
					return
				}
				response.Body.Close()
				got <- response.StatusCode
			}()
		}
		counts := map[int]int{}
		for range cap(got) {
			counts[<-got]++
		}
		if diff := cmp.Diff(map[int]int{302: 1, 410: 7}, counts); diff != "" {
			t.Errorf("answers (-want +got)\n%s", diff)
		}
		return nil
	}, never)
	if err != nil {
		t.Error(err)
	}
}

func TestHandOverAddressesDiffer(t *testing.T) {
	paths := map[string]bool{}
	for range 20 {
		err := console.HandOver(t.Context(), secret.New(signInURL), func(a string) error {
			u, err := url.Parse(a)
			paths[u.Path] = true
			return errors.Join(err, io.EOF)
		}, never)
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	if len(paths) != 20 {
		t.Errorf("%d different paths in 20 addresses", len(paths))
	}
}

func hex(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}
