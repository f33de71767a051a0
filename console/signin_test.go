package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const (
	destination = "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1#a&b"
	issuer      = "https://corp.example/?a=b&c"
	key         = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	token       = "IQoJb3JpZ2luX2VjEXAMPLE//token=="
)

// federation is a pretend sign-in endpoint, and what was asked there.
type federation struct {
	*httptest.Server
	mu    sync.Mutex
	forms []url.Values
	slept []time.Duration
}

// asked is what was asked until now.
func (f *federation) asked() []url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.forms
}

func newFederation(t *testing.T, answer http.HandlerFunc) *federation {
	f := &federation{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.RequestURI != "/base/federation" {
			t.Errorf("%s %s: %v", r.Method, r.RequestURI, err)
		}
		f.mu.Lock()
		f.forms = append(f.forms, r.PostForm)
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// signIn signs in; the clock does not pass, and no error holds a secret.
func (f *federation) signIn(t *testing.T, ctx context.Context, duration time.Duration) (signIn secret.String, refused bool, err error) {
	t.Helper()
	in := console.SignIn{
		Endpoint: f.URL + "/base", Transport: &http.Transport{MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true},
		Destination: destination, Issuer: issuer, Duration: duration,
		Sleep: func(ctx context.Context, d time.Duration) error {
			f.slept = append(f.slept, d)
			return ctx.Err()
		},
	}
	signIn, refused, err = in.URL(ctx, "ASIAEXAMPLE", secret.New(key), secret.New(token))
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, value := range []string{key, token, url.QueryEscape(key), url.QueryEscape(token)} {
			if strings.Contains(text, value) {
				t.Errorf("the error holds a secret: %s", text)
			}
		}
		if len(text) > 1000 {
			t.Errorf("the error has %d bytes", len(text))
		}
	}
	return signIn, refused, err
}

func TestSignIn(t *testing.T) {
	f := newFederation(t, body(200, `{"SigninToken":"a+b/c="}`))
	in, refused, err := f.signIn(t, t.Context(), 0)
	if err != nil || refused {
		t.Fatal(refused, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", in, in, in, in); strings.Contains(text, "SigninToken=") {
		t.Errorf("the URL is not typed as a secret: %s", text)
	}
	query, found := strings.CutPrefix(in.Reveal(), f.URL+"/base/federation?")
	got, err := url.ParseQuery(query)
	want := url.Values{"Action": {"login"}, "Destination": {destination}, "Issuer": {issuer}, "SigninToken": {"a+b/c="}}
	if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
		t.Errorf("URL %t, %v (-want +got)\n%s", found, err, diff)
	}
	session := fmt.Sprintf(`{"sessionId":"ASIAEXAMPLE","sessionKey":%q,"sessionToken":%q}`, key, token)
	want = url.Values{"Action": {"getSigninToken"}, "Session": {session}} // no SessionDuration unasked
	if diff := cmp.Diff([]url.Values{want}, f.asked()); diff != "" {
		t.Errorf("sent (-want +got)\n%s", diff)
	}
}

func TestDuration(t *testing.T) {
	for _, test := range []struct {
		refuse string // what is refused
		want   []string
		exit   int
	}{
		{"nothing", []string{"5400"}, -1},
		{"a duration", []string{"5400", ""}, -1},
		{"everything", []string{"5400", ""}, failure.ExitAWS},
	} {
		f := newFederation(t, func(w http.ResponseWriter, r *http.Request) {
			if test.refuse == "everything" || test.refuse == "a duration" && r.PostForm.Has("SessionDuration") {
				body(400, "Invalid credentials parameter\n")(w, r)
			} else {
				body(200, `{"SigninToken":"a"}`)(w, r)
			}
		})
		in, refused, err := f.signIn(t, t.Context(), 90*time.Minute)
		if exit(err) != test.exit || in.Empty() != (err != nil) || err == nil && refused != (test.refuse == "a duration") {
			t.Errorf("%s is refused: got %t, %v", test.refuse, refused, err)
		}
		var sent []string
		for _, form := range f.asked() {
			sent = append(sent, form.Get("SessionDuration"))
		}
		if !slices.Equal(sent, test.want) {
			t.Errorf("%s is refused: durations sent %q, want %q", test.refuse, sent, test.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "AWS sign-in refused the credentials of profile {profile} (status 400: Invalid credentials parameter).\n") {
			t.Errorf("got %v", err)
		}
	}
}

func TestUnavailableIsTriedThreeTimes(t *testing.T) {
	for fail := range 4 {
		var f *federation
		f = newFederation(t, func(w http.ResponseWriter, r *http.Request) {
			if len(f.asked()) <= fail {
				body(503, "")(w, r)
			} else {
				body(200, `{"SigninToken":"a"}`)(w, r)
			}
		})
		_, _, err := f.signIn(t, t.Context(), 0)
		if want := min(fail, 2); (err == nil) != (fail < 3) || len(f.asked()) != want+1 || len(f.slept) != want {
			t.Errorf("%d failures: %d requests, slept %v, %v", fail, len(f.asked()), f.slept, err)
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	const refused, network = failure.ExitAWS, failure.ExitNetwork
	for name, test := range map[string]struct {
		answer   http.HandlerFunc
		exit     int
		part     string
		requests int
	}{
		"a web page":         {body(200, "\n <html>log in to the wifi</html>"), network, "a web page", 1},
		"another type":       {body(200, `{"SigninToken":["a"]}`), network, "no sign-in token", 1},
		"a token of 1 MB":    {body(200, `{"SigninToken":"`+strings.Repeat("a", 1<<20)+`"}`), network, "no sign-in token", 1},
		"control characters": {body(200, `{"SigninToken":"a\r\nb"}`), network, "no sign-in token", 1},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, network, "status 307", 1},
		"forbidden": {body(403, "<html>blocked</html>"), refused, "(status 403)", 1},
		"not found": {body(404, "no\x1b[2Jthing\n.."), refused, "status 404", 1},
		"what was sent, in words": {func(w http.ResponseWriter, r *http.Request) {
			body(400, "bad credentials "+strings.NewReplacer(`"`, " ", ",", " ", ":", " ").Replace(r.PostForm.Get("Session")))(w, r)
		}, refused, "(status 400)", 1},
		"in trouble":           {body(502, "<html>"), network, "status 502", 3},
		"a dropped connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, network, "EOF", 3},
		"no HTTP": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, r.PostForm.Encode()+"\r\n\r\n")
			_ = conn.Close()
		}, network, "no HTTP answer", 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, test.answer)
			in, _, err := f.signIn(t, t.Context(), 0)
			if exit(err) != test.exit || !strings.Contains(err.Error(), test.part) || !in.Empty() {
				t.Errorf("got %T: %v; want %q", err, err, test.part)
			}
			if len(f.asked()) != test.requests {
				t.Errorf("%d requests, want %d", len(f.asked()), test.requests)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	f := newFederation(t, nil)
	f.Close()
	if _, _, err := f.signIn(t, t.Context(), 0); exit(err) != failure.ExitNetwork || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	late := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, context.DeadlineExceeded }}
	in := console.SignIn{Endpoint: f.URL, Transport: late, Sleep: func(context.Context, time.Duration) error { return nil }}
	if _, _, err := in.URL(t.Context(), "ASIAEXAMPLE", secret.New(key), secret.New(token)); !strings.Contains(err.Error(), "(3 tries: no answer in time)") {
		t.Errorf("got %v", err)
	}
}

// A certificate that does not serve now will not serve at the next try, nor will a
// proxy that refuses.
func TestWhatIsNotTriedAgain(t *testing.T) {
	f := newFederation(t, nil)
	f.Close()
	f.Server = httptest.NewUnstartedServer(http.NotFoundHandler())
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	refused := failure.New(failure.ExitNetwork, nil, "the proxy refused.")
	for want, transport := range map[string]*http.Transport{
		"the certificate of AWS sign-in, " + strings.TrimPrefix(f.URL, "https://") + ", is not trusted here (x509: ": {},
		"the proxy refused.": {Proxy: func(*http.Request) (*url.URL, error) { return nil, refused }},
	} {
		in := console.SignIn{Endpoint: f.URL, Transport: transport, Sleep: func(context.Context, time.Duration) error { t.Error("another try"); return nil }}
		_, _, err := in.URL(t.Context(), "ASIAEXAMPLE", secret.New(key), secret.New(token))
		if exit(err) != failure.ExitNetwork || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "ry again later") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFederation(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, _, err := f.signIn(t, ctx, 0); exit(err) != failure.ExitInterrupt || !errors.Is(err, context.Canceled) || len(f.slept) != 0 {
		t.Errorf("slept %v, got %v", f.slept, err)
	}
}

// exit is the exit code of an error, -1 if it has none.
func exit(err error) int {
	if f := new(failure.Error); errors.As(err, &f) {
		return f.Exit
	}
	return -1
}

func body(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}
