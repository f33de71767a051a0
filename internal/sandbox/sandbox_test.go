package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// start starts a sandbox with a clock of its own.
func start(t *testing.T, o sandbox.Options) (*sandbox.Sandbox, *sandbox.Clock) {
	t.Helper()
	c := sandbox.NewClock(time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC))
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

// client does not follow redirects.
func client(t *testing.T) *http.Client {
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
	_ = json.Unmarshal(body, &got.fields) // other bodies have none
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

// fields makes a form of name, value pairs; the last of a name wins.
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
	return post(t, s.DeviceEndpoint, fields(append([]string{"client_id", s.ClientID, "scope", "openid email offline_access"}, pairs...)...))
}

const grantDeviceCode = "urn:ietf:params:oauth:grant-type:device_code"

// poll asks once for the tokens of a device authorization.
func poll(t *testing.T, s *sandbox.Sandbox, deviceCode string, pairs ...string) reply {
	t.Helper()
	return askToken(t, s, append([]string{"grant_type", grantDeviceCode, "device_code", deviceCode}, pairs...)...)
}

func refresh(t *testing.T, s *sandbox.Sandbox, token string) reply {
	t.Helper()
	return askToken(t, s, "grant_type", "refresh_token", "refresh_token", token)
}

func askToken(t *testing.T, s *sandbox.Sandbox, pairs ...string) reply {
	t.Helper()
	return post(t, s.Issuer+"/token", fields(append([]string{"client_id", s.ClientID}, pairs...)...))
}

// logIn goes through a whole login as the user taro.
func logIn(t *testing.T, s *sandbox.Sandbox, pairs ...string) reply {
	t.Helper()
	opened := authorize(t, s, pairs...)
	if err := s.Approve(opened.string("user_code"), "taro"); err != nil {
		t.Fatal(err)
	}
	return poll(t, s, opened.string("device_code"))
}
