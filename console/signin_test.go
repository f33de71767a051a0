package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// aws is a pretend AWS, and credentials that it has given out.
type aws struct {
	t       *testing.T
	box     *sandbox.Sandbox
	session console.Session
	slept   []time.Duration
}

func newAWS(t *testing.T, o sandbox.Options) *aws {
	t.Helper()
	box, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	var device struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
	}
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	var assumed struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	post(t, box.DeviceEndpoint, jsonInto(&device), "client_id", box.ClientID, "scope", "openid")
	if err := box.Approve(device.UserCode, "taro"); err != nil {
		t.Fatal(err)
	}
	post(t, strings.TrimSuffix(box.DeviceEndpoint, "device_authorization")+"token", jsonInto(&tokens),
		"client_id", box.ClientID, "device_code", device.DeviceCode, "grant_type", "urn:ietf:params:oauth:grant-type:device_code")
	post(t, box.STSEndpoint, func(b []byte) error { return xml.Unmarshal(b, &assumed) }, "Action", "AssumeRoleWithWebIdentity", "Version", "2011-06-15",
		"RoleArn", box.RoleARN, "RoleSessionName", "taro", "WebIdentityToken", tokens.IDToken)
	c := assumed.Credentials
	if c.SessionToken == "" {
		t.Fatal("no credentials came from the sandbox")
	}
	return &aws{t: t, box: box, session: console.Session{
		AccessKeyID: c.AccessKeyId, SecretAccessKey: secret.New(c.SecretAccessKey), SessionToken: secret.New(c.SessionToken),
	}}
}

// client asks the pretend AWS; its clock does not pass.
func (a *aws) client() *console.Client {
	transport, err := console.NewTransport("")
	if err != nil {
		a.t.Fatal(err)
	}
	return &console.Client{Endpoint: a.box.SigninEndpoint, Transport: transport, Sleep: func(ctx context.Context, d time.Duration) error {
		a.slept = append(a.slept, d)
		return ctx.Err()
	}}
}

func options() console.Options {
	return console.Options{Destination: "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1#a&b", Issuer: "https://corp.example/?a=b&c"}
}

// federation answers the token requests in the sandbox's place.
func (a *aws) federation(answer func(w http.ResponseWriter, r *http.Request) bool) {
	a.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Path == "/signin/federation" && answer(w, r)
	})
}

// leaksNothing checks that an error's text, in every form, holds none of the
// secrets.
func (a *aws) leaksNothing(err error) {
	a.t.Helper()
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, value := range a.box.Issued() {
			if strings.Contains(text, value) || strings.Contains(text, url.QueryEscape(value)) {
				a.t.Errorf("the error holds a secret: %s", text)
			}
		}
	}
}

func TestSignIn(t *testing.T) {
	a := newAWS(t, sandbox.Options{})
	in, err := a.client().SignIn(t.Context(), a.session, options())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", in, in, in, in.URL); strings.Contains(text, "SigninToken=") {
		t.Errorf("the URL is not typed as a secret: %s", text)
	}
	u, err := url.Parse(in.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	token := query.Get("SigninToken")
	query.Del("SigninToken")
	want := url.Values{"Action": {"login"}, "Destination": {options().Destination}, "Issuer": {options().Issuer}}
	if diff := cmp.Diff(want, query); diff != "" || len(token) != 300 || !strings.HasPrefix(in.URL.Reveal(), a.box.SigninEndpoint+"/federation?") {
		t.Errorf("URL (-want +got)\n%s", diff)
	}
	requests := a.box.Requests()
	form := requests[len(requests)-1].Form
	form.Del("Session")
	if diff := cmp.Diff(url.Values{"Action": {"getSigninToken"}}, form); diff != "" {
		t.Errorf("SessionDuration is not to be sent unasked (-want +got)\n%s", diff)
	}
	if in.DurationRefused || len(a.box.SecretsInURLs()) != 0 {
		t.Errorf("duration refused: %t; %d secrets in URLs", in.DurationRefused, len(a.box.SecretsInURLs()))
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Jar: jar}).Get(in.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || a.box.Count("console") != 1 || !strings.Contains(string(page), "assumed-role/Developer/taro") {
		t.Errorf("the URL leads to status %d, %v:\n%s", response.StatusCode, err, page)
	}
}

func TestSignOutFirst(t *testing.T) {
	a := newAWS(t, sandbox.Options{})
	o := options()
	o.SignOutFirst = true
	in, err := a.client().SignIn(t.Context(), a.session, o)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(in.URL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	if u.Path != "/signin/oauth" || query.Get("Action") != "logout" || len(query) != 2 {
		t.Errorf("path %s, %d parameters", u.Path, len(query))
	}
	next, err := url.Parse(query.Get("redirect_uri"))
	if err != nil {
		t.Fatal(err)
	}
	if next.Host != u.Host || next.Path != "/signin/federation" || next.Query().Get("Destination") != o.Destination || len(next.Query().Get("SigninToken")) != 300 {
		t.Errorf("from the sign-out it goes on to %s%s", next.Host, next.Path)
	}
}

func TestDuration(t *testing.T) {
	for _, refused := range []bool{false, true} {
		a := newAWS(t, sandbox.Options{RefuseSessionDuration: refused})
		o := options()
		o.Duration = 90 * time.Minute
		in, err := a.client().SignIn(t.Context(), a.session, o)
		if err != nil || in.DurationRefused != refused || in.URL.Empty() {
			t.Errorf("refused %t: got %+v, %v", refused, in, err)
		}
		var sent []string
		for _, r := range a.box.Requests() {
			if r.Endpoint == "federation" {
				sent = append(sent, r.Form.Get("SessionDuration"))
			}
		}
		want := []string{"5400"}
		if refused {
			want = []string{"5400", ""}
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("durations sent (-want +got)\n%s", diff)
		}
	}
}

func TestRefusedCredentials(t *testing.T) {
	a := newAWS(t, sandbox.Options{})
	a.session.SecretAccessKey = secret.New("wrong")
	o := options()
	o.Duration = time.Hour
	in, err := a.client().SignIn(t.Context(), a.session, o)
	var refused *console.RefusedError
	if !errors.As(err, &refused) || refused.Status != 400 || refused.Said != "Invalid credentials parameter" || !in.URL.Empty() {
		t.Errorf("got %v, %v", in, err)
	}
	if n := a.box.Count("federation"); n != 2 {
		t.Errorf("%d requests, want one with the duration and one without", n)
	}
	a.leaksNothing(err)
}

func TestUnavailableIsTriedThreeTimes(t *testing.T) {
	for _, test := range []struct {
		fail int
		ok   bool
		want int // requests
	}{{1, true, 2}, {2, true, 3}, {3, false, 3}} {
		a := newAWS(t, sandbox.Options{})
		a.box.FailSignin(test.fail)
		_, err := a.client().SignIn(t.Context(), a.session, options())
		var unavailable *console.UnavailableError
		if (err == nil) != test.ok || !test.ok && (!errors.As(err, &unavailable) || unavailable.Tries != 3) {
			t.Errorf("%d failures: %v", test.fail, err)
		}
		if n := a.box.Count("federation"); n != test.want || len(a.slept) != test.want-1 {
			t.Errorf("%d failures: %d requests, %v slept", test.fail, n, a.slept)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	type refused = *console.RefusedError
	type unavailable = *console.UnavailableError
	type answer = *console.AnswerError
	for _, test := range []struct {
		name     string
		answer   func(w http.ResponseWriter, r *http.Request)
		matches  func(error) bool
		part     string
		requests int
	}{
		{"a web page", body(200, "\n <html>log in to the wifi</html>"), is[answer], "a web page", 1},
		{"an empty body", body(200, ""), is[answer], "no JSON", 1},
		{"an empty token", body(200, `{"SigninToken":""}`), is[answer], "no sign-in token", 1},
		{"a token that is null", body(200, `{"SigninToken":null}`), is[answer], "no sign-in token", 1},
		{"another type", body(200, `{"SigninToken":["a"]}`), is[answer], "no JSON", 1},
		{"something behind it", body(200, `{"SigninToken":"a"}{}`), is[answer], "no JSON", 1},
		{"a token of 1 MB", body(200, `{"SigninToken":"`+strings.Repeat("a", 1<<20)+`"}`), is[answer], "more than 65536 bytes", 1},
		{"control characters", body(200, `{"SigninToken":"a\r\nb"}`), is[answer], "characters", 1},
		{"an escape sequence", body(200, `{"SigninToken":"a\u001b[2J"}`), is[answer], "characters", 1},
		{"other letters", body(200, `{"SigninToken":"ä"}`), is[answer], "characters", 1},
		{"nothing", body(204, ""), is[answer], "status 204", 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/signin/console")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, is[answer], "status 307", 1},
		{"forbidden", body(403, "<html>blocked</html>"), is[refused], "(status 403)", 1},
		{"not found", body(404, "no\x1b[2Jthing\n.."), is[refused], "status 404", 1},
		{"what was sent", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			body(400, r.PostForm.Get("Session")+" "+r.PostForm.Encode())(w, r)
		}, is[refused], "status 400", 1},
		{"what was sent, in words", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			body(400, "bad credentials "+strings.NewReplacer(`"`, " ", ",", " ", ":", " ").Replace(r.PostForm.Get("Session")))(w, r)
		}, is[refused], "bad credentials", 1},
		{"too busy", body(429, ""), is[unavailable], "status 429", 3},
		{"in trouble", body(502, "<html>"), is[unavailable], "status 502", 3},
		{"a dropped connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, is[unavailable], "the connection was closed", 3},
		{"a body that breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			body(200, `{"SigninToken":"a"}`)(w, r)
			panic(http.ErrAbortHandler)
		}, is[unavailable], "the connection was closed", 3},
		{"no HTTP", func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, r.PostForm.Encode()+"\r\n\r\n")
			_ = conn.Close()
		}, is[unavailable], "malformed HTTP", 3},
		{"headers without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("a", 100<<10))
			body(200, `{"SigninToken":"a"}`)(w, r)
		}, is[unavailable], "", 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAWS(t, sandbox.Options{})
			var requests atomic.Int32
			a.federation(func(w http.ResponseWriter, r *http.Request) bool {
				requests.Add(1)
				test.answer(w, r)
				return true
			})
			in, err := a.client().SignIn(t.Context(), a.session, options())
			if err == nil || !test.matches(err) || !strings.Contains(err.Error(), test.part) || !in.URL.Empty() {
				t.Errorf("got %T: %v; want %q", err, err, test.part)
			}
			if n := int(requests.Load()); n != test.requests || a.box.Count("console") != 0 {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			a.leaksNothing(err)
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	a := newAWS(t, sandbox.Options{})
	client := a.client()
	a.box.Close()
	_, err := client.SignIn(t.Context(), a.session, options())
	if !is[*console.UnavailableError](err) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	a.leaksNothing(err)
}

func TestInterrupted(t *testing.T) {
	a := newAWS(t, sandbox.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	a.federation(func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := a.client().SignIn(ctx, a.session, options()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := len(a.slept); n != 0 {
		t.Errorf("slept %d times", n)
	}
}

func TestTransportNeedsACertificate(t *testing.T) {
	if _, err := console.NewTransport("signin_test.go"); err == nil || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("got %v", err)
	}
	if _, err := console.NewTransport("no such file"); err == nil {
		t.Error("a missing file is no error")
	}
}

// is reports whether err holds an error of type E.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func body(status int, text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func jsonInto(value any) func([]byte) error {
	return func(text []byte) error { return json.Unmarshal(text, value) }
}

func post(t *testing.T, address string, read func([]byte) error, pairs ...string) {
	t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	response, err := http.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = read(text)
	}
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
}

// Whatever an answer says, a token is one that can stand in a URL and a header.
func FuzzReadToken(f *testing.F) {
	for _, seed := range []string{`{"SigninToken":"abc"}`, `{"SigninToken":""}`, `{"signintoken":"a b"}`, `{"SigninToken":"\u0000"}`, "<html>", "", `{"SigninToken":1}`, `[]`, "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		client := console.Client{Endpoint: "http://127.0.0.1:1", Transport: always(answer)}
		in, err := client.SignIn(t.Context(), console.Session{}, options())
		if err != nil {
			if !is[*console.AnswerError](err) || !in.URL.Empty() {
				t.Errorf("%q: %T %v", answer, err, err)
			}
			return
		}
		u, err := url.Parse(in.URL.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		token := u.Query().Get("SigninToken")
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("%q: token %q", answer, token)
		}
	})
}

// always answers every request with status 200 and these bytes.
type always []byte

func (a always) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}
