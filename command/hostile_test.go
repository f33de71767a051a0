package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/internal/sandbox"
)

// The tables of hostile and broken answers, in the files hostile_*_test.go, one
// for each who can be hostile. Every row is a whole command line on a laptop that
// has a login, at a moment when daypass must ask everybody anew: the role
// credentials, the ID token and what is remembered of the provider have all run
// out. Whatever the answer, the rules of [hostile.check] hold.

// marker is somewhere in every bad answer, outside of what errors may quote, and may
// not be found in any file afterwards.
const marker = "MARK-7f3a9c51"

const plainCommand = "process --profile dev"

// hostile is one row: a bad answer from a server, or a fault on the machine.
type hostile struct {
	name    string
	at      string // where: a server's endpoint, see [isFor], or "config", "environment", "storage"
	answer  answer
	fault   func(*attack) (mend func()) // nothing to mend: nil
	command string                      // "": plainCommand
	exit    int
	// says is how the first line of the error begins, behind "daypass: ", with
	// HOST for the servers' host and CONFIG for the configuration file; "" where exit
	// is 0.
	says string

	options func(*sandbox.Options)
	// after is what there is after the row: the login as before, or nothing (a login
	// must be made).
	after after
}

type after int

const (
	loginKept after = iota
	loginGone
)

// answer answers one request in place of the sandbox.
type answer func(a *attack, w http.ResponseWriter, r *http.Request)

// attack is a row that runs.
type attack struct {
	*laptop
	// given are texts of the bad answer that may not be stored.
	mu    sync.Mutex
	given []string
	// thief is a host that nobody has named in a configuration.
	thief  *httptest.Server
	stolen []string
}

// ok reports an error of the test's own, also from a server, which cannot end the test.
func (a *attack) ok(err error) bool {
	if err != nil {
		a.t.Error(err)
	}
	return err == nil
}

// forbid notes a text that may not be stored.
func (a *attack) forbid(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.given = append(a.given, text)
}

// runHostile runs a table, several rows at a time.
func runHostile(t *testing.T, rows []hostile) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range rows {
		if name := row.at + "/" + row.name; seen[name] {
			t.Errorf("two rows have the name %s", name)
		} else {
			seen[name] = true
		}
		t.Run(row.at+"/"+row.name, func(t *testing.T) {
			t.Parallel()
			row.run(t)
		})
	}
}

func (h hostile) run(t *testing.T) {
	a := h.begin(t)
	h.forget(a)
	codes := a.box.Count("device")
	mend := func() {}
	if h.fault != nil {
		if f := h.fault(a); f != nil {
			mend = f
		}
	}
	command := cmp.Or(h.command, plainCommand)
	requests, started, clock := a.box.Count(""), time.Now(), a.clock.Now()
	code, stdout, stderr := a.run(strings.Fields(command)...)
	if took := time.Since(started); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if waited := a.clock.Now().Sub(clock); waited > 20*time.Minute {
		t.Errorf("it waited for %v", waited)
	}
	if n := a.box.Count("") - requests; n > 100 {
		t.Errorf("it made %d requests", n)
	}
	h.check(t, a, code, stdout, stderr)
	if strings.HasPrefix(command, "process") && a.box.Count("device") != codes {
		t.Error("it started a login")
	}
	mend()
	h.checkAfter(t, a)
}

// begin is prepare, and from then on the bad answers come.
func (h hostile) begin(t *testing.T) *attack {
	a := h.prepare(t)
	a.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if h.answer == nil || !isFor(h.at, r) {
			return false
		}
		h.answer(a, w, r)
		return true
	})
	return a
}

// forget removes what is remembered of the provider, for rows about discovery: it
// would serve.
func (h hostile) forget(a *attack) {
	if h.at != "discovery" {
		return
	}
	remembered, _ := filepath.Glob(filepath.Join(a.home(), ".local/state/daypass/provider-*.json"))
	for _, path := range remembered {
		a.ok(os.Remove(path))
	}
}

// prepare makes a laptop with a login that has to ask everybody anew.
func (h hostile) prepare(t *testing.T) *attack {
	o := sandbox.Options{}
	if h.options != nil {
		h.options(&o)
	}
	a := &attack{laptop: newLaptop(t, o)}
	// Ahead of the real time: a context whose deadline lies before it, as that of
	// process does by the laptop's clock, would hide the time-outs of requests.
	a.clock.Advance(time.Since(a.clock.Now()).Truncate(time.Second) + 400*24*time.Hour)
	a.thief = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		a.mu.Lock()
		defer a.mu.Unlock()
		a.stolen = append(a.stolen, r.Method+" "+r.URL.String()+" "+string(body))
	}))
	t.Cleanup(a.thief.Close)
	a.login()
	a.clock.Advance(25 * time.Hour)
	a.box.AutoApprove("taro")
	a.env["DAYPASS_DEBUG"] = filepath.Join(a.home(), "debug.log")
	return a
}

// check holds what every row must hold.
func (h hostile) check(t *testing.T, a *attack, code int, stdout, stderr string) {
	t.Helper()
	lines := failed(t, stderr)
	first := ""
	if len(lines) > 0 {
		first = lines[0]
	}
	config := filepath.Join(a.home(), ".aws", "config")
	if quoted := strconv.Quote(config); quoted != `"`+config+`"` {
		config = quoted // as errors write it: the backslashes of Windows
	}
	says := strings.NewReplacer("HOST", strings.TrimPrefix(a.box.URL, "http://"), "CONFIG", config).Replace(h.says)
	if code != h.exit || !strings.HasPrefix(first, says) || (first == "") != (h.exit == 0) {
		t.Errorf("exit %d, want %d; the first line must begin with %q:\n%s", code, h.exit, says, stderr)
	}
	if h.exit != 0 {
		if stdout != "" {
			t.Errorf("stdout: %q", stdout)
		}
		// What is wrong with a setting says mostly also what to do.
		if len(lines) < 2 && h.exit != 2 || len(lines) > 3 {
			t.Errorf("%d lines, want what is wrong and what to do:\n%s", len(lines), stderr)
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(stderr, "\n"), "\n") {
		if bad := strings.IndexFunc(line, unfit); bad >= 0 || !utf8.ValidString(line) {
			t.Errorf("a line holds %q", line[max(bad, 0):])
		}
		if len(line) > 3000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if piece := leaked(stderr+strings.Join(strings.Fields(stderr), ""), a.box.Issued()); piece != "" {
		t.Errorf("a piece of a secret is printed: %q", piece)
	}
	notes, _ := os.ReadFile(a.env["DAYPASS_DEBUG"])
	if piece := leaked(string(notes), a.box.Issued()); piece != "" {
		t.Errorf("a piece of a secret is in the debug log: %q", piece)
	}
	a.mu.Lock()
	stolen, given := a.stolen, append([]string{marker}, a.given...)
	a.mu.Unlock()
	for _, request := range stolen {
		t.Errorf("another host was asked: %.300q", request)
	}
	for name, text := range a.filesKept() {
		for _, bad := range given {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %.40q of the bad answer", name, bad)
			}
		}
	}
}

// checkAfter ends the attack and looks for the login.
func (h hostile) checkAfter(t *testing.T, a *attack) {
	t.Helper()
	a.box.Intercept(nil)
	a.clock.Advance(time.Minute) // the provider is left alone for a while
	code, stdout, stderr := a.run("process", "--profile", "dev")
	switch h.after {
	case loginKept:
		if code != 0 || !strings.Contains(stdout, `"Version":1`) {
			t.Errorf("afterwards: exit %d\n%s", code, stderr)
		}
	case loginGone:
		if code != 3 {
			t.Errorf("afterwards: exit %d, want 3\n%s", code, stderr)
		}
		a.login()
		a.mustRun("process", "--profile", "dev")
	}
}

// failed returns the lines of the error on stderr, the first without the program's
// name. Above them there may be the three lines that ask for a login.
func failed(t *testing.T, stderr string) []string {
	t.Helper()
	if stderr == "" {
		return nil
	}
	var shown, lines []string
	for _, line := range strings.Split(strings.TrimSuffix(stderr, "\n"), "\n") {
		text, first := strings.CutPrefix(line, "daypass: ")
		switch {
		case strings.HasPrefix(line, "daypass: log in"):
			shown = append(shown, line)
		case first:
			lines = append(lines, text)
		case lines == nil && shown != nil:
			shown = append(shown, line)
		default:
			lines = append(lines, line)
		}
	}
	if len(shown) > 3 {
		t.Errorf("the prompt has %d lines:\n%s", len(shown), stderr)
	}
	return lines
}

// unfit tells characters that move the cursor, are not seen or turn the writing.
func unfit(r rune) bool {
	return r < ' ' || r == 0x7f || 0x80 <= r && r <= 0x9f || unicode.In(r, unicode.Cf)
}

// filesKept are all files below the home folder but the configuration, by path.
func (l *laptop) filesKept() map[string]string {
	l.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(l.home(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, ".lock") || strings.Contains(path, ".aws") {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, l.home())] = string(text)
		return err
	})
	must(l.t, err)
	return files
}

// isFor tells whether a request is for the place of that name.
func isFor(at string, r *http.Request) bool {
	grant := r.PostForm.Get("grant_type")
	switch path := r.URL.Path; at {
	case "discovery":
		return strings.HasSuffix(path, "/.well-known/openid-configuration")
	case "keys":
		return strings.HasSuffix(path, "/keys")
	case "device":
		return strings.HasSuffix(path, "/device_authorization")
	case "poll":
		return strings.HasSuffix(path, "/token") && strings.HasSuffix(grant, ":device_code")
	case "refresh":
		return strings.HasSuffix(path, "/token") && grant == "refresh_token"
	case "revoke":
		return strings.HasSuffix(path, "/revoke")
	case "sts":
		return strings.TrimSuffix(path, "/") == "/sts"
	case "sign-in":
		return strings.HasSuffix(path, "/federation")
	}
	panic(fmt.Sprintf("there is no place %q", at))
}

// The kinds of bad answers.

// saying is an answer in so many words.
func saying(status int, contentType, body string) answer {
	return func(_ *attack, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func asJSON(status int, body string) answer { return saying(status, "application/json", body) }

// page is what a sign-in page, a captive portal or a proxy sends.
func page(status int) answer {
	return saying(status, "text/html; charset=utf-8", "<!DOCTYPE html><html><!-- "+marker+" --><title>Sign in</title></html>")
}

// oauthError is an error of RFC 6749 section 5.2, with a description.
func oauthError(status int, code, description string) answer {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description, "error_uri": "https://corp.example/" + marker})
	return asJSON(status, string(body))
}

// nonsense are the answers that are of no use to anybody, by name. Of those that
// are cut off, the end never arrives.
func nonsense() (readable, cutOff map[string]answer) {
	return map[string]answer{
			"empty": asJSON(200, ""), "null": asJSON(200, "null"), "a list": asJSON(200, `["`+marker+`"]`), "a text": asJSON(200, `"`+marker+`"`),
			"half an object": asJSON(200, `{"id_token":"`+marker), "two objects": asJSON(200, `{"x":"`+marker+`"}{}`), "100000 levels": asJSON(200, deep(100000)),
			"8 MB": largeJSON(8 << 20), "endless": endless("application/json", `{"id_token":"`), "a web page": page(200), "status 204": saying(204, "application/json", ""),
		}, map[string]answer{
			"dropped": dropped, "broken off": brokenOff(`{"id_token":"` + marker), "1 MB of headers": withHeader("X", strings.Repeat("x", 1<<20), page(200)),
		}
}

// largeJSON is valid JSON of so many bytes.
func largeJSON(bytes int) answer {
	return asJSON(http.StatusOK, `{"x":"`+marker+strings.Repeat("x", bytes)+`"}`)
}

// endless writes as long as somebody reads.
func endless(contentType, begin string) answer {
	return func(_ *attack, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		chunk := []byte(strings.Repeat(marker+" ", 4096))
		_, err := w.Write([]byte(begin))
		for err == nil && r.Context().Err() == nil {
			_, err = w.Write(chunk)
		}
	}
}

// brokenOff promises more than it sends.
func brokenOff(body string) answer {
	return func(_ *attack, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		_, _ = w.Write([]byte(body))
		panic(http.ErrAbortHandler)
	}
}

// dropped closes the connection without an answer.
func dropped(*attack, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// notHTTP repeats what it was sent in a line that is not of HTTP, which net/http
// quotes.
func notHTTP(a *attack, w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if !a.ok(err) {
		return
	}
	_, _ = io.WriteString(conn, strings.ReplaceAll(inPieces(r), " ", "")+"\r\n\r\n")
	_ = conn.Close()
}

// inPieces are the secrets that a request brought, broken up by spaces.
func inPieces(r *http.Request) string {
	text := ""
	for _, name := range []string{"refresh_token", "device_code", "code_verifier", "token", "WebIdentityToken", "Session"} {
		for rest := r.PostForm.Get(name); rest != ""; {
			n := min(15, len(rest))
			text, rest = text+rest[:n]+" ", rest[n:]
		}
	}
	return text
}

// redirect leads to another place; THIEF in it is a host that nobody has named.
func redirect(status int, to string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		to := strings.ReplaceAll(to, "THIEF", strings.TrimPrefix(a.thief.URL, "http://"))
		w.Header().Set("Location", strings.ReplaceAll(to, "SELF", r.URL.Path))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(marker))
	}
}

// withHeader adds a header to another answer.
func withHeader(name, value string, to answer) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		to(a, w, r)
	}
}

// own is what the sandbox answers.
func (a *attack) own(r *http.Request) []byte {
	w := httptest.NewRecorder()
	a.box.Serve(w, r)
	return w.Body.Bytes()
}

// changed is the sandbox's own answer, a JSON object, with fields changed.
func changed(change func(a *attack, fields map[string]any)) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		own := httptest.NewRecorder()
		a.box.Serve(own, r)
		if own.Code != http.StatusOK { // that nobody has approved yet
			asJSON(own.Code, own.Body.String())(a, w, r)
			return
		}
		var fields map[string]any
		if err := json.Unmarshal(own.Body.Bytes(), &fields); err != nil {
			a.t.Errorf("the sandbox's answer: %v", err)
		}
		change(a, fields)
		body, err := json.Marshal(fields)
		a.ok(err)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
}

// with is the sandbox's own answer with one field set to what is of no use; nil
// removes it.
func with(name string, value any) answer {
	return changed(func(_ *attack, fields map[string]any) {
		fields["marker"] = marker
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	})
}

// quirk is with for what has to be borne.
func quirk(name string, value any) answer {
	return changed(func(_ *attack, fields map[string]any) {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	})
}

// once answers one request, and leaves the others to the sandbox.
func once(bad answer) answer {
	var used atomic.Bool
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		if used.Swap(true) {
			a.box.Serve(w, r)
			return
		}
		bad(a, w, r)
	}
}

// deep is JSON that is nested so deep, inside an object.
func deep(levels int) string {
	return `{"` + marker + `":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
}

// echoed is an error whose description repeats parameters of the request, as of a
// careless server.
func echoed(parameters ...string) answer {
	return func(a *attack, w http.ResponseWriter, r *http.Request) {
		description := ""
		for _, name := range parameters {
			description += name + "=" + r.PostForm.Get(name) + " "
		}
		oauthError(http.StatusBadRequest, "invalid_thing", description)(a, w, r)
	}
}

// Servers that take a request and say nothing, or a byte now and then: a request
// has 10 s, of real time. The rows wait side by side.
func TestServersThatSayNothing(t *testing.T) {
	t.Parallel()
	silent := func(_ *attack, w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
	}
	dripping := func(_ *attack, w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	}
	const login, console = "login --profile dev --force", "console --print --profile dev"
	rows := []hostile{
		{name: "silent", at: "discovery", answer: silent},
		{name: "dripping", at: "discovery", answer: dripping},
		{name: "silent, once", at: "keys", answer: once(silent), command: login},
		{name: "silent", at: "device", answer: silent, command: login, exit: 6, says: "cannot log in: HOST does not answer as it should ("},
		{name: "dripping", at: "device", answer: dripping, command: login, exit: 6, says: "cannot log in: HOST does not answer as it should ("},
		{name: "silent, once", at: "poll", answer: once(silent), command: login},
		{name: "dripping, once", at: "poll", answer: once(dripping), command: login},
		{name: "silent, once", at: "refresh", answer: once(silent)},
		{name: "dripping, once", at: "refresh", answer: once(dripping)},
		{name: "silent", at: "revoke", answer: silent, command: "logout --profile dev", after: loginGone},
		{name: "silent, once", at: "sts", answer: once(silent)},
		{name: "dripping, once", at: "sts", answer: once(dripping)},
		{name: "silent, once", at: "sign-in", answer: once(silent), command: console},
		{name: "dripping, once", at: "sign-in", answer: once(dripping), command: console},
	}
	type outcome struct {
		code           int
		stdout, stderr bytes.Buffer
		took           time.Duration
	}
	attacks, outcomes := make([]*attack, len(rows)), make([]outcome, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		a, command := row.begin(t), cmp.Or(row.command, plainCommand)
		attacks[i] = a
		all.Go(func() {
			o, started := &outcomes[i], time.Now()
			o.code = Run(t.Context(), a.environment(&o.stdout, &o.stderr, strings.Fields(command)...))
			o.took = time.Since(started)
		})
	}
	all.Wait()
	for i, row := range rows {
		t.Run(row.at+"/"+row.name, func(t *testing.T) {
			o := &outcomes[i]
			if o.took > 25*time.Second {
				t.Errorf("it took %v", o.took)
			}
			row.check(t, attacks[i], o.code, o.stdout.String(), o.stderr.String())
			row.checkAfter(t, attacks[i])
		})
	}
}
