package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

func TestRequestsAreRecorded(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	get(t, s.Issuer+"/.well-known/openid-configuration")
	get(t, s.Issuer+"/keys")
	tokens := logIn(t, s)
	clock.pass(time.Minute)
	refresh(t, s, tokens.string("refresh_token"))
	refresh(t, s, "rt-unknown")
	post(t, s.Issuer+"/revoke", fields("client_id", s.ClientID, "token", "x"))
	post(t, s.STSEndpoint, fields("Action", "AssumeRoleWithWebIdentity"))
	get(t, s.URL+"/nowhere")

	var got []string
	for _, r := range s.Requests() {
		got = append(got, strings.TrimRight(r.Endpoint+" "+r.Method+" "+http.StatusText(r.Status)+" "+r.Error, " "))
	}
	want := []string{
		"discovery GET OK",
		"keys GET OK",
		"device POST OK",
		"token:device POST OK",
		"token:refresh POST OK",
		"token:refresh POST Bad Request invalid_grant",
		"revoke POST OK",
		"sts POST Bad Request InvalidAction",
		" GET Not Found",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if s.Count("token:refresh") != 2 || s.Count("") != len(want) || s.Count("page") != 0 {
		t.Errorf("counts: %d %d %d", s.Count("token:refresh"), s.Count(""), s.Count("page"))
	}
	last := s.Requests()[4]
	if !last.Time.Equal(clock.Now()) || last.Form.Get("refresh_token") != tokens.string("refresh_token") {
		t.Error("the record lacks time or form")
	}
}

func TestIssued(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	opened := authorize(t, s)
	tokens := logIn(t, s)
	issued := s.Issued()
	for _, secret := range []string{opened.string("device_code"), tokens.string("id_token"), tokens.string("access_token"), tokens.string("refresh_token")} {
		if secret == "" || !slices.Contains(issued, secret) {
			t.Error("a secret is missing")
		}
	}
	if slices.Contains(issued, opened.string("user_code")) {
		t.Error("user codes are no secrets")
	}
	slices.Sort(issued)
	if len(slices.Compact(issued)) != len(issued) {
		t.Error("a secret was handed out twice")
	}
}

func TestDateHeaderFollowsTheClock(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	clock.pass(-24 * time.Hour)
	got, err := http.ParseTime(get(t, s.Issuer+"/keys").header.Get("Date"))
	if err != nil || !got.Equal(clock.Now()) {
		t.Errorf("Date = %v (%v), want %v", got, err, clock.Now())
	}
}

func TestIntercept(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/keys") {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	if got := get(t, s.Issuer+"/keys"); got.status != http.StatusBadGateway {
		t.Errorf("intercepted: %d", got.status)
	}
	if got := authorize(t, s); got.status != http.StatusOK {
		t.Errorf("let through: %d", got.status)
	}
	s.Intercept(nil)
	if got := get(t, s.Issuer+"/keys"); got.status != http.StatusOK {
		t.Errorf("after it ended: %d", got.status)
	}
	var status []int
	for _, r := range s.Requests() {
		status = append(status, r.Status)
	}
	if diff := cmp.Diff([]int{502, 200, 200}, status); diff != "" {
		t.Errorf("recorded status (-want +got):\n%s", diff)
	}
}

// TestLostAnswer has a refresh act and its answer get lost, as a network can.
func TestLostAnswer(t *testing.T) {
	s, _ := start(t, sandbox.Options{Rotate: true})
	token := logIn(t, s).string("refresh_token")
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		s.Serve(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	form := fields("client_id", s.ClientID, "grant_type", "refresh_token", "refresh_token", token)
	response, err := client(t).PostForm(tokenEndpoint(s), form)
	if err == nil {
		_ = response.Body.Close()
		t.Fatalf("got an answer: %d", response.StatusCode)
	}
	s.Intercept(nil)
	requests := s.Requests()
	if last := requests[len(requests)-1]; last.Endpoint != "token:refresh" || last.Status != 0 {
		t.Errorf("recorded %s with status %d, want token:refresh with 0", last.Endpoint, last.Status)
	}
	if got := refresh(t, s, token); got.string("error") != "invalid_grant" || s.Reused() != 1 {
		t.Errorf("error %q, reused %d: the lost request did not act", got.string("error"), s.Reused())
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	s, clock := start(t, sandbox.Options{Rotate: true, ReuseGrace: time.Hour})
	token := logIn(t, s).string("refresh_token")
	address := tokenEndpoint(s)
	browser := client(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				response, err := browser.PostForm(address, fields("client_id", s.ClientID, "grant_type", "refresh_token", "refresh_token", token))
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				clock.pass(time.Second)
				s.Set(func(o *sandbox.Options) { o.TokenPadding++ })
				s.Requests()
				s.Issued()
			}
		})
	}
	all.Wait()
	if got := s.Count("token:refresh"); got != 40 {
		t.Errorf("%d requests, want 40", got)
	}
}

func TestStartRefusesABadIssuerPath(t *testing.T) {
	for _, path := range []string{"realms", "/realms/"} {
		if s, err := sandbox.Start(sandbox.Options{IssuerPath: path}); err == nil {
			s.Close()
			t.Errorf("%q: accepted", path)
		}
	}
}
