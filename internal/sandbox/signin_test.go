package sandbox_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// sessionJSON logs in, assumes the role and gives its credentials the form that
// the federation endpoint takes.
func sessionJSON(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	got, err := assume(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := json.Marshal(map[string]string{
		"sessionId":    *got.Credentials.AccessKeyId,
		"sessionKey":   *got.Credentials.SecretAccessKey,
		"sessionToken": *got.Credentials.SessionToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(session)
}

func TestSigninToken(t *testing.T) {
	tests := map[string]struct {
		options sandbox.Options
		pass    time.Duration
		form    []string
		status  int
	}{
		"plain":                {status: 200},
		"duration too long":    {form: []string{"SessionDuration", "43201"}, status: 400},
		"duration not welcome": {options: sandbox.Options{RefuseSessionDuration: true}, form: []string{"SessionDuration", "3600"}, status: 400},
		"expired credentials":  {pass: time.Hour, status: 400},
		"made-up credentials":  {form: []string{"Session", `{"sessionId":"ASIAIOSFODNN7EXAMPLE","sessionKey":"k","sessionToken":"t"}`}, status: 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			form := fields(append([]string{"Action", "getSigninToken", "Session", sessionJSON(t, s)}, test.form...)...)
			clock.Advance(test.pass)
			got := post(t, s.SigninEndpoint+"/federation", form)
			if got.status != test.status || (got.string("SigninToken") != "") != (test.status == 200) {
				t.Errorf("status = %d, want %d; token there: %t", got.status, test.status, got.string("SigninToken") != "")
			}
			if n := len(s.SecretsInURLs()); n != 0 {
				t.Errorf("%d requests with a secret in the URL, want none", n)
			}
		})
	}
}

// TestSecretsInURLs has a careless client be seen.
func TestSecretsInURLs(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	form := fields("Action", "getSigninToken", "Session", sessionJSON(t, s))
	s.FailSignin(1)
	for _, want := range []int{503, 200} { // AWS takes GET as well
		if got := get(t, s.SigninEndpoint+"/federation?"+form.Encode()); got.status != want {
			t.Errorf("status = %d, want %d", got.status, want)
		}
	}
	if got := get(t, s.STSEndpoint+"?WebIdentityToken="+logIn(t, s).string("id_token")); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a token in the URL: %d, want 405", got.status)
	}
	if n := len(s.SecretsInURLs()); n != 3 {
		t.Errorf("%d requests with a secret in the URL, want 3", n)
	}
}

func TestSignIn(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	token := post(t, s.SigninEndpoint+"/federation", fields("Action", "getSigninToken", "Session", sessionJSON(t, s))).string("SigninToken")
	address := func(pairs ...string) string {
		query := []string{"Action", "login", "Issuer", "https://corp.example/", "Destination", "https://eu-west-1.console.aws.amazon.com/s3/home", "SigninToken", token}
		return s.SigninEndpoint + "/federation?" + fields(append(query, pairs...)...).Encode()
	}
	if got := get(t, s.SigninEndpoint+"/console"); got.status != 403 {
		t.Errorf("console without a sign-in: %d, want 403", got.status)
	}
	for name, c := range map[string]struct {
		pairs  []string
		status int
	}{
		"a console in the sandbox": {[]string{"Destination", s.URL + "/x"}, 302},
		"another host":             {[]string{"Destination", "https://console.aws.amazon.com.evil.example/"}, 400},
		"a host that ends like it": {[]string{"Destination", "https://evilconsole.aws.amazon.com/"}, 400},
		"not https":                {[]string{"Destination", "http://console.aws.amazon.com/"}, 400},
		"user info":                {[]string{"Destination", "https://x@console.aws.amazon.com/"}, 400},
		"no issuer":                {[]string{"Issuer", ""}, 400},
		"unknown token":            {[]string{"SigninToken", "x"}, 400},
	} {
		if got := get(t, address(c.pairs...)); got.status != c.status {
			t.Errorf("%s: %d, want %d", name, got.status, c.status)
		}
	}
	clock.Advance(15 * time.Minute)
	if got := get(t, address()); got.status != 400 {
		t.Errorf("after 15 minutes: %d, want 400", got.status)
	}
}
