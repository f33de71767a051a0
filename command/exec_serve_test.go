package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// served is a server for the laptop's profile dev, and a client that asks it as the
// SDKs do.
type served struct {
	*credentialServer
	l *laptop
}

func (l *laptop) serve(t *testing.T) served {
	t.Helper()
	var out bytes.Buffer
	e := l.environment(&out, &out)
	p, err := loadProfile(e.source(newExec(&e)), "dev")
	must(t, err)
	_, err = e.session(p) // exec has one
	must(t, err)
	c, err := e.startServer(t.Context(), p)
	must(t, err)
	t.Cleanup(c.close)
	return served{c, l}
}

func (s served) ask(change func(*http.Request)) (status int, answer map[string]string, body string) {
	s.l.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.host+servedPath, nil)
	must(s.l.t, err)
	request.Header.Set("Authorization", s.token.Reveal())
	if change != nil {
		change(request)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	must(s.l.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(s.l.t, err)
	_ = json.Unmarshal(text, &answer)
	return response.StatusCode, answer, string(text)
}

// The command has credentials for as long as it runs, renewed by the rules of
// process.
func TestServe(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	s := l.serve(t)
	var keys []string
	for range 3 {
		status, answer, body := s.ask(nil)
		expires, err := time.Parse(time.RFC3339, answer["Expiration"])
		if status != 200 || err != nil || answer["SecretAccessKey"] == "" || answer["Token"] == "" || answer["AccountId"] != "111122223333" || expires.Before(l.clock.Now()) {
			t.Fatalf("%d %s", status, body)
		}
		keys = append(keys, answer["AccessKeyId"])
		l.clock.Advance(50 * time.Minute)
	}
	if keys[0] == keys[1] || keys[1] == keys[2] || l.box.Count("sts") != 3 {
		t.Errorf("%q, %d calls of STS", keys, l.box.Count("sts"))
	}
	s.ask(nil)
	if n := l.box.Count("sts"); n != 4 {
		t.Errorf("%d calls of STS", n)
	}
	s.ask(nil)
	if n := l.box.Count("sts"); n != 4 {
		t.Error("fresh credentials were renewed")
	}
	l.clock.Advance(2 * time.Hour)
	l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if isFor("sts", r) {
			stsRefusal(403, "AccessDenied", "no&#x9b;2J &#x202e;")(nil, w, r)
		}
		return isFor("sts", r)
	})
	if status, _, body := s.ask(nil); status != http.StatusForbidden || !strings.Contains(body, "no2J") || strings.ContainsFunc(body, unfit) {
		t.Errorf("%d %+q", status, body)
	}
	l.box.Intercept(nil)
	l.mustRun("logout", "--profile", "dev")
	status, answer, body := s.ask(nil)
	if status != http.StatusForbidden || answer["code"] != "3" || !strings.Contains(answer["message"], "needs a login") {
		t.Errorf("%d %s", status, body)
	}
	s.close()
	if _, err := http.Get("http://" + s.host + servedPath); err == nil {
		t.Error("the port is open after the end of the command")
	}
}

// Whoever scans the port, or sends requests from a page in the browser, gets nothing.
func TestServeRefuses(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	l.mustRun("process", "--profile", "dev")
	s := l.serve(t)
	token := s.token.Reveal()
	for name, change := range map[string]func(*http.Request){
		"no token":       func(r *http.Request) { r.Header.Del("Authorization") },
		"an empty token": func(r *http.Request) { r.Header.Set("Authorization", "") },
		"another token":  func(r *http.Request) { r.Header.Set("Authorization", token[:len(token)-1]) },
		"a bearer token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		"two tokens":     func(r *http.Request) { r.Header.Add("Authorization", "x") },
		"another host":   func(r *http.Request) { r.Host = strings.Replace(s.host, "127.0.0.1", "localhost", 1) },
		"a foreign host": func(r *http.Request) { r.Host = "evil.example" },
		"another path":   func(r *http.Request) { r.URL.Path = "/" },
		"a longer path":  func(r *http.Request) { r.URL.Path += "/" },
		"a query":        func(r *http.Request) { r.URL.RawQuery = "x" },
		"POST":           func(r *http.Request) { r.Method = http.MethodPost },
		"HEAD":           func(r *http.Request) { r.Method = http.MethodHead },
		"OPTIONS":        func(r *http.Request) { r.Method = http.MethodOptions },
	} {
		if status, _, body := s.ask(change); status < 400 || body != "" {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
	if status, _, _ := s.ask(nil); status != 200 {
		t.Errorf("the command gets %d", status)
	}
}

// However many ask at a time, a refusal is told to all and fetched once.
func TestServeLooksOnce(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	l.env["DAYPASS_DEBUG"] = filepath.Join(l.home(), "debug.log")
	s := l.serve(t)
	goOn := make(chan bool)
	l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if isFor("sts", r) {
			<-goOn
			stsRefusal(403, "AccessDenied", "no")(nil, w, r)
		}
		return isFor("sts", r)
	})
	const clients = 20
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if status, answer, body := s.ask(nil); status != http.StatusForbidden || answer["code"] != "5" {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	waitFor(t, "the others", func() bool {
		notes, _ := os.ReadFile(l.env["DAYPASS_DEBUG"])
		return strings.Count(string(notes), "wait for lock") == clients-1
	})
	close(goOn)
	all.Wait()
	if n := l.box.Count("sts"); n != 1 {
		t.Errorf("%d calls of STS", n)
	}
}

// A client that does not wait for the answer finds it when it asks again.
func TestServeAfterAClientGaveUp(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	s := l.serve(t)
	asked, goOn := make(chan bool, 2), make(chan bool)
	l.box.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if isFor("sts", r) {
			asked <- true
			<-goOn
		}
		return false
	})
	client, err := net.Dial("tcp", s.host)
	must(t, err)
	_, err = fmt.Fprintf(client, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", servedPath, s.host, s.token.Reveal())
	must(t, err)
	<-asked
	must(t, client.Close())
	time.Sleep(50 * time.Millisecond) // the server notices that
	close(goOn)
	if status, _, body := s.ask(nil); status != 200 || l.box.Count("sts") != 1 {
		t.Errorf("%d %s, %d calls of STS", status, body, l.box.Count("sts"))
	}
}
