package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/internal/sandbox"
)

// sessionJSON logs in, assumes the role and gives its credentials the form that
// the federation endpoint takes.
func sessionJSON(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	got, err := assume(t, s, sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
	})
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
		"plain":                   {status: 200},
		"with a duration":         {form: []string{"SessionDuration", "43200"}, status: 200},
		"duration too long":       {form: []string{"SessionDuration", "43201"}, status: 400},
		"duration not welcome":    {options: sandbox.Options{RefuseSessionDuration: true}, form: []string{"SessionDuration", "3600"}, status: 400},
		"welcome without":         {options: sandbox.Options{RefuseSessionDuration: true}, status: 200},
		"expired credentials":     {pass: time.Hour, status: 400},
		"made-up credentials":     {form: []string{"Session", `{"sessionId":"ASIAIOSFODNN7EXAMPLE","sessionKey":"k","sessionToken":"t"}`}, status: 400},
		"credentials not in JSON": {form: []string{"Session", "x"}, status: 400},
		"another action":          {form: []string{"Action", "logout"}, status: 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			form := fields("Action", "getSigninToken", "Session", sessionJSON(t, s))
			for field, values := range fields(test.form...) {
				form[field] = values
			}
			clock.pass(test.pass)
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

func TestFailSignin(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	form := fields("Action", "getSigninToken", "Session", sessionJSON(t, s))
	s.FailSignin(1)
	for _, want := range []int{503, 200} {
		if got := post(t, s.SigninEndpoint+"/federation", form); got.status != want {
			t.Errorf("status = %d, want %d", got.status, want)
		}
	}
}

func TestCredentialsInURLAreSeen(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	form := fields("Action", "getSigninToken", "Session", sessionJSON(t, s))
	if got := get(t, s.SigninEndpoint+"/federation?"+form.Encode()); got.status != 200 {
		t.Fatalf("GET = %d, want 200 as at AWS", got.status)
	}
	found := s.SecretsInURLs()
	if len(found) != 1 || found[0].Endpoint != "federation" {
		t.Errorf("found %d requests with a secret in the URL, want the one", len(found))
	}
}

func TestSignInLeadsToTheConsole(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	token := post(t, s.SigninEndpoint+"/federation", fields("Action", "getSigninToken", "Session", sessionJSON(t, s))).string("SigninToken")
	address := func(pairs ...string) string {
		query := fields("Action", "login", "Issuer", "https://corp.example/", "Destination", "https://eu-west-1.console.aws.amazon.com/s3/home", "SigninToken", token)
		for name, values := range fields(pairs...) {
			query[name] = values
		}
		return s.SigninEndpoint + "/federation?" + query.Encode()
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := client(t)
	browser.Jar, browser.CheckRedirect = jar, nil
	response, err := browser.Get(address())
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Request.URL.String() != s.URL+"/signin/console" {
		t.Errorf("ended at %s with %d", response.Request.URL, response.StatusCode)
	}
	if s.Count("login") != 1 || s.Count("console") != 1 {
		t.Errorf("login %d, console %d", s.Count("login"), s.Count("console"))
	}
	if got := get(t, s.URL+"/signin/console"); got.status != 403 {
		t.Errorf("console without a sign-in: %d, want 403", got.status)
	}
	for name, destination := range map[string]string{
		"another host":     "https://console.aws.amazon.com.evil.example/",
		"a host that ends": "https://evilconsole.aws.amazon.com/",
		"not https":        "http://console.aws.amazon.com/",
		"user info":        "https://x@console.aws.amazon.com/",
		"nowhere":          "",
	} {
		if got := get(t, address("Destination", destination)); got.status != 400 {
			t.Errorf("%s: %d, want 400", name, got.status)
		}
	}
	if got := get(t, address("Issuer", "")); got.status != 400 {
		t.Errorf("without issuer: %d, want 400", got.status)
	}
	if got := get(t, address("Destination", s.URL+"/x")); got.status != 302 {
		t.Errorf("destination in the sandbox: %d, want 302", got.status)
	}
	clock.pass(15 * time.Minute)
	if got := get(t, address()); got.status != 400 {
		t.Errorf("after 15 minutes: %d, want 400", got.status)
	}
}

func TestConsolePageNamesRoleAndDestination(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	token := post(t, s.SigninEndpoint+"/federation", fields("Action", "getSigninToken", "Session", sessionJSON(t, s))).string("SigninToken")
	destination := "https://console.aws.amazon.com/s3/home?region=eu-west-1"
	login := get(t, s.SigninEndpoint+"/federation?"+url.Values{"Action": {"login"}, "Issuer": {"x"}, "Destination": {destination}, "SigninToken": {token}}.Encode())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+login.header.Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", strings.Split(login.header.Get("Set-Cookie"), ";")[0])
	page := send(t, r)
	for _, want := range []string{"assumed-role/Developer/taro", destination} {
		if !strings.Contains(page.text, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}
