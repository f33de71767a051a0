package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// clock is a clock that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start starts a sandbox with a clock of its own.
func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *clock) {
	t.Helper()
	c := newClock()
	if o.Now == nil {
		o.Now = c.Now
	}
	s, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, c
}

// client follows no redirect.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	text   string
	fields map[string]any // of a JSON body
}

func (r reply) string(name string) string {
	value, _ := r.fields[name].(string)
	return value
}

func send(t *testing.T, r *http.Request) reply {
	t.Helper()
	response, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: response.StatusCode, header: response.Header, text: string(body)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &got.fields); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func get(t *testing.T, address string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, r)
}

func post(t *testing.T, address string, form url.Values) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, r)
}

// fields makes a form of name, value pairs.
func fields(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// authorize opens a device authorization.
func authorize(t *testing.T, s *sandbox.Sandbox, pairs ...string) reply {
	t.Helper()
	form := fields("client_id", s.ClientID, "scope", "openid email offline_access")
	for name, values := range fields(pairs...) {
		form[name] = values
	}
	return post(t, s.DeviceEndpoint, form)
}

func tokenEndpoint(s *sandbox.Sandbox) string {
	return strings.TrimSuffix(s.Issuer, "/") + "/token"
}

// poll asks once for the tokens of a device authorization.
func poll(t *testing.T, s *sandbox.Sandbox, deviceCode string, pairs ...string) reply {
	t.Helper()
	form := fields("client_id", s.ClientID, "grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", deviceCode)
	for name, values := range fields(pairs...) {
		form[name] = values
	}
	return post(t, tokenEndpoint(s), form)
}

func refresh(t *testing.T, s *sandbox.Sandbox, token string) reply {
	t.Helper()
	return post(t, tokenEndpoint(s), fields("client_id", s.ClientID, "grant_type", "refresh_token", "refresh_token", token))
}

// logIn goes through a whole login as the user taro.
func logIn(t *testing.T, s *sandbox.Sandbox) reply {
	t.Helper()
	opened := authorize(t, s)
	if err := s.Approve(opened.string("user_code"), "taro"); err != nil {
		t.Fatal(err)
	}
	tokens := poll(t, s, opened.string("device_code"))
	if tokens.status != http.StatusOK {
		t.Fatalf("login: %d %s", tokens.status, tokens.string("error"))
	}
	return tokens
}
