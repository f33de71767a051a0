package browserflow

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

func newClient(t *testing.T, o sandbox.Options) (*idp.Client, *sandbox.Sandbox) {
	t.Helper()
	box, err := sandbox.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	return &idp.Client{
		Issuer: box.Issuer, ClientID: box.ClientID, ClientSecret: secret.New(o.ClientSecret), Transport: &http.Transport{DisableKeepAlives: true}, Now: time.Now,
	}, box
}

func mustListen(t *testing.T, client *idp.Client) *Listener {
	t.Helper()
	l, err := Listen(t.Context(), client, []string{"http://127.0.0.1/callback"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// send sends a request as it is written, and returns the status of the answer, 0 if
// there is none, with its header and body.
func send(t *testing.T, host, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, nil, ""
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, ""
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	return response.StatusCode, response.Header, string(text)
}

func get(host, path string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// Whatever any web page, user or scanner of the machine sends is refused and changes
// nothing: the true answer still works afterwards, once.
func TestHostileRedirects(t *testing.T) {
	t.Parallel()
	client, box := newClient(t, sandbox.Options{})
	l := mustListen(t, client)
	back, err := box.Authorize(l.Address, "taro")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(back)
	host, good := u.Host, u.RequestURI()
	with := func(change func(url.Values)) string {
		q := u.Query()
		change(q)
		return "/callback?" + q.Encode()
	}
	set := func(name, value string) string { return with(func(q url.Values) { q.Set(name, value) }) }
	without := func(name string) string { return with(func(q url.Values) { q.Del(name) }) }
	state, code := u.Query().Get("state"), u.Query().Get("code")
	_, port, _ := net.SplitHostPort(host)
	for i, request := range []string{
		get(host, set("state", "x")), get(host, set("state", "")), get(host, without("state")), get(host, set("state", state[1:])),
		get(host, set("state", state+"x")), get(host, set("state", strings.ToLower(state))), get(host, good+"&state="+state), get(host, good+"&state=x"),
		get(host, set("iss", "https://evil.example")), get(host, set("iss", box.Issuer+"/")), get(host, set("iss", "")), get(host, without("iss")), get(host, good+"&iss="+url.QueryEscape(box.Issuer)),
		get(host, without("code")), get(host, set("code", "")), get(host, good+"&code="+code), get(host, good+"&code=x"),
		get(host, set("code", strings.Repeat("c", maxCode+1))), get(host, set("code", strings.Repeat("c", 100<<10))),
		get(host, set("error", "access_denied")), get(host, good+"&error=a&error=b"), get(host, "/callback?error=access_denied"), get(host, good+"&error_description=a&error_description=b"),
		get(host, good+"&x=%zz"), get(host, good+";x=1"), get(host, "/callback?"+url.QueryEscape(u.RawQuery)), get(host, "/callback"), get(host, "/callback#"+u.RawQuery),
		strings.Replace(get(host, good), "GET", "HEAD", 1), strings.Replace(get(host, good, "Content-Length: 0"), "GET", "POST", 1),
		strings.Replace(get(host, good), "GET", "PUT", 1), strings.Replace(get(host, good), "GET", "DELETE", 1), strings.Replace(get(host, good), "GET", "TRACE", 1),
		strings.Replace(get(host, good), "GET", "get", 1), strings.Replace(get(host, "*"), "GET", "OPTIONS", 1),
		strings.Replace(get(host, good, "Origin: https://evil.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Private-Network: true"), "GET", "OPTIONS", 1),
		strings.Replace(get(host, host), "GET", "CONNECT", 1),
		get("evil.example", good), get("evil.example:"+port, good), get("localhost:"+port, good), get("127.0.0.1", good), get("127.0.0.1.:"+port, good), get("[::1]:"+port, good), get("", good), get(host+"\r\nHost: "+host, good),
		"GET " + good + " HTTP/1.0\r\n\r\n", "GET http://" + host + good + " HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		get(host, "/"+good), get(host, "/./callback?"+u.RawQuery), get(host, "/x/../callback?"+u.RawQuery), get(host, "/%63allback?"+u.RawQuery),
		get(host, "/callback/?"+u.RawQuery), get(host, "/CALLBACK?"+u.RawQuery), get(host, "/?"+u.RawQuery), get(host, "/favicon.ico"), get(host, "/.well-known/x"), get(host, "/callback%00?"+u.RawQuery),
		get(host, l.last), get(host, l.last+"?"+u.RawQuery),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SSH-2.0-scan\r\n\r\n", "\x00\x00\r\n\r\n", "GET " + good + "\r\n\r\n",
		get(host, good, "X: "+strings.Repeat("x", 100<<10)), "POST /callback HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz",
	} {
		status, header, body := send(t, host, request)
		if 0 < status && status < 400 || header.Get("Location") != "" || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("request %d: status %d, %v\n%.200q", i, status, header, request)
		}
		for _, held := range []string{state, code, l.nonce.Reveal(), l.verifier.Reveal(), l.Address, l.Start} {
			if strings.Contains(body, held) {
				t.Errorf("request %d: the answer holds a secret:\n%s", i, body)
			}
		}
	}
	for range 50 { // half-open ones, which hold up nobody
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET "+good)
	}
	select {
	case <-l.Answers:
		t.Fatal("one of them was taken for the answer")
	default:
	}

	// The first of those that come at once is the answer.
	statuses := make(chan int, 5)
	for range cap(statuses) {
		go func() {
			status, header, _ := send(t, host, get(host, good))
			if where := header.Get("Location"); (status == http.StatusSeeOther) != (where == l.last) || header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("status %d, to %q", status, where)
			}
			statuses <- status
		}()
	}
	answer := <-l.Answers
	tokens, err := l.Redeem(t.Context(), answer)
	if err != nil || tokens.IDToken.Empty() || tokens.RefreshToken.Empty() {
		t.Errorf("%+v, %v", tokens, err)
	}
	for range cap(statuses) - 1 {
		if status := <-statuses; status != http.StatusBadRequest {
			t.Errorf("a second use has status %d", status)
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); l.Finish(Page{Title: "<b>", Text: "taro<script>&\n"}) }()
	if status := <-statuses; status != http.StatusSeeOther {
		t.Errorf("the answer has status %d", status)
	}
	status, header, body := send(t, host, get(host, l.last))
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff"} {
		if header.Get(name) != want {
			t.Errorf("%s is %q", name, header.Get(name))
		}
	}
	if status != http.StatusOK || strings.Contains(body, "<b>") || strings.Contains(body, "script") != strings.Contains(body, "taro&lt;script&gt;&amp;") ||
		!strings.Contains(body, "viewport") || !strings.Contains(body, "light dark") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("status %d, %v\n%s", status, header, body)
	}
	<-ended
	if conn, err := net.Dial("tcp", host); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// answering has the provider answer the first requests otherwise; nil breaks the
// connection.
func answering(first ...http.HandlerFunc) func(*Listener, *Answer, *sandbox.Sandbox) {
	return func(_ *Listener, _ *Answer, box *sandbox.Sandbox) {
		box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if len(first) == 0 {
				return false
			}
			next := first[0]
			if first = first[1:]; next == nil {
				panic(http.ErrAbortHandler)
			}
			next(w, r)
			return true
		})
	}
}

func oauthError(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"`+code+`"}`, status) }
}

func page(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusForbidden) }

// What a provider must refuse, and what must not be taken from it.
func TestRedeem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		o      sandbox.Options
		change func(*Listener, *Answer, *sandbox.Sandbox)
		want   string // "": it succeeds
		denied bool
	}{
		"as it should be":       {},
		"client secret":         {o: sandbox.Options{ClientSecret: "s3cret-of-the-client"}},
		"wrong verifier":        {change: func(l *Listener, _ *Answer, _ *sandbox.Sandbox) { l.verifier = l.state }, want: "code_verifier does not match", denied: true},
		"injected code":         {change: func(_ *Listener, answer *Answer, _ *sandbox.Sandbox) { answer.code = secret.New("x") }, want: "the code is not known", denied: true},
		"other nonce":           {change: func(l *Listener, _ *Answer, _ *sandbox.Sandbox) { l.nonce = l.state }, want: "its nonce is not that of this login"},
		"nonce of another type": {o: sandbox.Options{Claims: map[string]any{"nonce": 1}}, want: "its nonce is not that of this login"},
		"lost answer":           {change: answering(nil)},
		"lost, and used up":     {change: answering(nil, oauthError(400, "invalid_grant")), want: "does not answer as it should (EOF)"},
		"limited rate":          {change: answering(oauthError(429, "access_denied")), want: "asks to wait"},
		"a proxy's page":        {change: answering(page), want: "a web page instead of JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			client, box := newClient(t, test.o)
			l := mustListen(t, client)
			u, err := url.Parse(sure(box.Authorize(l.Address, "taro")))
			if err != nil {
				t.Fatal(err)
			}
			answer, problem := l.read(u.RawQuery)
			if problem != "" {
				t.Fatal(problem)
			}
			if test.change != nil {
				test.change(l, &answer, box)
			}
			tokens, err := l.Redeem(t.Context(), answer)
			if test.want == "" {
				if err != nil || tokens.IDToken.Empty() {
					t.Errorf("%+v, %v", tokens, err)
				}
				if _, err := l.Redeem(t.Context(), answer); !errors.Is(err, idp.ErrDenied) {
					t.Errorf("the code again: %v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, idp.ErrDenied) != test.denied || !tokens.RefreshToken.Empty() {
				t.Errorf("%+v, %v, want %q", tokens, err, test.want)
			}
		})
	}
}

// A provider's no comes as what it is, and nothing is redeemed.
func TestRefusal(t *testing.T) {
	t.Parallel()
	client, box := newClient(t, sandbox.Options{})
	l := mustListen(t, client)
	for query, want := range map[string]string{
		"error=access_denied": "was refused (access_denied)",
		"error=access_denied&error_description=no%0d%0a%1b[31mred":              "was refused (access_denied: no)",
		"error=server_error&error_description=AADSTS53003: blocked Trace ID: x": "policy refuses this login (AADSTS53003",
		"error=" + strings.Repeat("e", 300):                                     strings.Repeat("e", 64),
		"error=temporarily_unavailable":                                         "asks to wait", // and nobody has refused
	} {
		answer, problem := l.read(strings.ReplaceAll(query, " ", "+") + "&iss=" + url.QueryEscape(box.Issuer) + "&state=" + l.state.Reveal())
		_, err := l.Redeem(t.Context(), answer)
		exit := failure.ExitRefused
		if strings.Contains(query, "unavailable") {
			exit = failure.ExitNetwork
		}
		if f := failure.From(err); problem != "" || errors.Is(err, idp.ErrDenied) != (exit == failure.ExitRefused) || f.Exit != exit || !strings.Contains(f.Error(), want) || strings.ContainsAny(f.Error(), "\x1b\r") {
			t.Errorf("%s: %q, %v", query, problem, err)
		}
	}
	if n := box.Count("token:code"); n != 0 {
		t.Errorf("%d codes redeemed", n)
	}

	// If another user's program was faster than the browser, the login ends, and says so.
	l.link.Fetched(errors.New("a program of another user (uid 1001) opened the sign-in link"))
	_, err := l.Redeem(t.Context(), <-l.Answers)
	if !errors.Is(err, idp.ErrDenied) || failure.From(err).Lines[0] != "a program of another user (uid 1001) opened the sign-in link, so nobody was logged in." {
		t.Error(err)
	}
}

// The redirect address is the configured one: with a port exactly that, else any; the
// next one if it is taken; both families for localhost.
func TestRedirects(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := "http://" + taken.Addr().String() + "/cb"
	for name, test := range map[string]struct {
		uris []string
		want string // PORT is any
	}{
		"any port":              {[]string{"http://127.0.0.1/callback"}, "http://127.0.0.1:PORT/callback"},
		"no path":               {[]string{"http://127.0.0.1"}, "http://127.0.0.1:PORT"},
		"localhost":             {[]string{"http://localhost/a/b"}, "http://localhost:PORT/a/b"},
		"IPv6":                  {[]string{"http://[::1]/callback"}, "http://[::1]:PORT/callback"},
		"the second":            {[]string{busy, "http://127.0.0.1/second"}, "http://127.0.0.1:PORT/second"},
		"localhost, half taken": {[]string{strings.Replace(busy, "127.0.0.1", "localhost", 1), "http://127.0.0.1/x"}, "http://127.0.0.1:PORT/x"},
	} {
		client, _ := newClient(t, sandbox.Options{})
		l, err := Listen(t.Context(), client, test.uris)
		if err != nil {
			if strings.Contains(test.uris[0], "::1") {
				continue // there is no IPv6 here
			}
			t.Errorf("%s: %v", name, err)
			continue
		}
		u, _ := url.Parse(l.Redirect)
		q, _ := url.Parse(l.Address)
		if got := strings.Replace(l.Redirect, ":"+u.Port(), ":PORT", 1); got != test.want || q.Query().Get("redirect_uri") != l.Redirect {
			t.Errorf("%s: %q", name, got)
		}
		hosts := []string{u.Hostname()}
		if name == "localhost" {
			hosts = []string{"127.0.0.1", "::1"}
		}
		for _, host := range hosts {
			if status, _, _ := send(t, net.JoinHostPort(host, u.Port()), get(u.Host, cmp.Or(u.EscapedPath(), "/"))); status != http.StatusBadRequest {
				t.Errorf("%s at %s: status %d", name, host, status)
			}
		}
		l.Close()
	}

	client, box := newClient(t, sandbox.Options{})
	_, err = Listen(t.Context(), client, []string{busy, busy})
	if f := failure.From(err); f.Exit != failure.ExitUsage || strings.Count(f.Lines[0], taken.Addr().String()) != 2 {
		t.Errorf("all taken: %v", err)
	}
	if n := box.Count(""); n > 1 { // discovery
		t.Errorf("%d requests", n)
	}
	_, err = Listen(t.Context(), client, []string{"http://127.0.0.1:65536"})
	if err == nil || strings.Contains(err.Error(), "in use") {
		t.Errorf("a port that cannot be: %v", err)
	}
}

// The request is what RFC 6749, 7636, OpenID Connect and the configuration ask for, and
// the sandbox refuses whatever lacks any of it.
func TestRequest(t *testing.T) {
	t.Parallel()
	client, box := newClient(t, sandbox.Options{})
	client.Audience, client.ExtraParams = "api", "organization=o%20p"
	seen := map[string]bool{}
	for range 2 {
		l := mustListen(t, client)
		q := sure(url.Parse(l.Address)).Query()
		for name, want := range map[string]string{
			"response_type": "code", "client_id": box.ClientID, "scope": "openid email offline_access", "prompt": "consent", "audience": "api",
			"organization": "o p", "code_challenge_method": "S256", "redirect_uri": l.Redirect,
		} {
			if got := q.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if value := q.Get(name); len(value) < 22 || seen[value] {
				t.Errorf("%s = %q", name, value)
			} else {
				seen[value] = true
			}
		}
	}
	client.ExtraParams = "prompt=login"
	if q := sure(url.Parse(mustListen(t, client).Address)).Query(); q.Get("prompt") != "login" {
		t.Errorf("prompt = %q", q.Get("prompt"))
	}
	client.ExtraParams, client.Issuer = "", "https://accounts.google.com"
	if q := sure(url.Parse(client.AuthorizationURL(idp.Metadata{AuthorizationEndpoint: "https://a.example/?x=1"}, url.Values{}))).Query(); q.Get("access_type") != "offline" || q.Get("prompt") != "consent" || q.Get("x") != "1" {
		t.Errorf("Google: %v", q)
	}
	client.Issuer = "https://login.microsoftonline.com/t/v2.0"
	if q := sure(url.Parse(client.AuthorizationURL(idp.Metadata{}, url.Values{"scope": {"offline_access"}}))).Query(); q.Has("prompt") || q.Has("access_type") {
		t.Errorf("Entra: %v", q)
	}
}

func sure[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
