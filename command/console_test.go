package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// consoleVariable makes this test program a browser: it holds the file for what
// the browser saw.
const consoleVariable = "DAYPASS_TEST_CONSOLE_BROWSER"

// visit is what a browser saw.
type visit struct {
	Arguments []string
	Page      string
}

// TestConsoleBrowser is the browser, in a process of its own.
func TestConsoleBrowser(t *testing.T) {
	record := os.Getenv(consoleVariable)
	if record == "" {
		return // nobody started a browser
	}
	v := visit{Arguments: flag.Args()}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	if response, err := browser.Get(flag.Arg(0)); err != nil {
		v.Page = err.Error()
	} else {
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		v.Page = fmt.Sprintf("%d %v %s", response.StatusCode, err, page)
	}
	data, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(record+".part", data, 0o600)
	}
	if err == nil {
		err = os.Rename(record+".part", record)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// openDesktop gives the laptop a browser. visited waits for it.
func (l *laptop) openDesktop() (visited func() visit) {
	l.t.Helper()
	record := filepath.Join(l.t.TempDir(), "visit")
	l.t.Setenv(consoleVariable, record)
	delete(l.env, "CI")
	l.env["BROWSER"] = "is-not-asked" // there is one, also on a machine without a screen
	command := fmt.Sprintf("browser_command = %s -test.run=^TestConsoleBrowser$ {url} {profile}\n", os.Args[0])
	l.write(".aws/config", strings.Replace(l.config(), "storage = file\n", "storage = file\n"+command, 1))
	return func() visit {
		l.t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		data, err := os.ReadFile(record)
		for ; errors.Is(err, fs.ErrNotExist); data, err = os.ReadFile(record) {
			if time.Now().After(deadline) {
				l.t.Fatal("no browser was started")
			}
			time.Sleep(5 * time.Millisecond)
		}
		var v visit
		if err := json.Unmarshal(data, &v); err != nil {
			l.t.Fatal(err)
		}
		return v
	}
}

// runPatiently is run with a clock on which the wait for a browser does not end.
func (l *laptop) runPatiently(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	e := l.environment(&out, &errs, args...)
	e.Sleep = func(ctx context.Context, d time.Duration) error {
		if d < 30*time.Second {
			return l.sleep(ctx, d)
		}
		<-ctx.Done()
		return ctx.Err()
	}
	code = Run(ctx, e)
	return code, out.String(), errs.String()
}

// signsInTo checks that stdout is one sign-in URL, and returns its destination.
func (l *laptop) signsInTo(stdout string) string {
	l.t.Helper()
	u, err := url.Parse(strings.TrimSuffix(stdout, "\n"))
	if err != nil || !strings.HasPrefix(stdout, l.box.SigninEndpoint+"/federation?") || strings.Count(stdout, "\n") != 1 {
		l.t.Fatalf("not a line with the sign-in URL: %d bytes, %v", len(stdout), err)
	}
	if query := u.Query(); query.Get("Action") != "login" || query.Get("SigninToken") == "" || query.Get("Issuer") != l.box.Issuer {
		l.t.Errorf("action %q, issuer %q", query.Get("Action"), query.Get("Issuer"))
	}
	return u.Query().Get("Destination")
}

func TestConsolePrint(t *testing.T) {
	for _, partition := range []struct{ name, region, console string }{
		{"aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com"},
		{"aws-us-gov", "us-gov-east-1", "https://us-gov-east-1.console.amazonaws-us-gov.com"},
		{"aws-cn", "cn-northwest-1", "https://cn-northwest-1.console.amazonaws.cn"},
	} {
		t.Run(partition.name, func(t *testing.T) {
			l := newLaptop(t, sandbox.Options{})
			role := "arn:" + partition.name + ":iam::111122223333:role/Developer"
			if err := l.box.Trust(role, ""); err != nil {
				t.Fatal(err)
			}
			l.write(".aws/config", strings.NewReplacer(l.box.RoleARN, role, "eu-west-1", partition.region).Replace(l.config()))
			l.login()
			for what, want := range map[string]string{
				"":                          partition.console + "/console/home?region=" + partition.region,
				"s3":                        partition.console + "/s3/home?region=" + partition.region,
				"/lambda/home#/functions/x": partition.console + "/lambda/home#/functions/x",
				partition.console + "/ec2/": partition.console + "/ec2/",
			} {
				code, stdout, stderr := l.run("console", what, "--print", "-p", "dev")
				if code != 0 || stderr != "" {
					t.Fatalf("%q: exit %d, stderr %q", what, code, stderr)
				}
				if got := l.signsInTo(stdout); got != want {
					t.Errorf("%q leads to %q, want %q", what, got, want)
				}
			}
			if l.box.Count("sts") != 1 || l.box.Count("federation") != 4 || len(l.box.SecretsInURLs()) != 0 {
				t.Errorf("sts %d, federation %d, secrets in URLs %d", l.box.Count("sts"), l.box.Count("federation"), len(l.box.SecretsInURLs()))
			}
		})
	}
}

// In a build's log nobody asked for a URL that signs in.
func TestConsoleWithNeitherBrowserNorTerminal(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	code, stdout, stderr := l.run("console", "iam", "-p", "dev")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "daypass console --print --profile dev") || l.box.Count("federation") != 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if got := l.signsInTo(l.mustRun("console", "iam", "--print")); got != "https://console.aws.amazon.com/iam/home" {
		t.Errorf("with --print it leads to %q", got)
	}
}

func TestConsoleRefusesBeforeAnythingElse(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	before := l.box.Count("")
	for _, test := range []struct {
		args []string
		part string
	}{
		{[]string{"https://evil.example/"}, "console of partition aws"},
		{[]string{"https://console.amazonaws.cn/"}, "console of partition aws"},
		{[]string{"//evil.example"}, "another host"},
		{[]string{"lamda"}, "lambda, lightsail, logs"},
		{[]string{"https://444455556666-ab.eu-west-1.console.aws.amazon.com/"}, "account 444455556666"},
		{[]string{"arn:aws:s3:::bucket"}, "an ARN is not a page"},
		{[]string{"s3", "ec2"}, "accepts at most 1 arg"},
		{[]string{"--duration", "14m"}, "15m to 12h"},
		{[]string{"--duration", "43201"}, "15m to 12h"},
		{[]string{"--duration", "-1h"}, "15m to 12h"},
		{[]string{"--duration", "900.5s"}, "15m to 12h"},
		{[]string{"--duration", "long"}, "15m to 12h"},
		{[]string{"--signin-endpoint", "http://evil.example"}, "https"},
		{[]string{"--region", "us-iso-east-1", "--role-arn", "arn:aws-iso:iam::111122223333:role/x"}, "console of partition \"aws-iso\""},
	} {
		code, stdout, stderr := l.run(append([]string{"console", "-p", "dev"}, test.args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.part) || strings.Count(stderr, "\n") > 3 {
			t.Errorf("%q: exit %d, stdout %q, stderr:\n%s", test.args, code, stdout, stderr)
		}
	}
	if n := l.box.Count("") - before; n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestConsoleDuration(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	sent := func(args ...string) []string {
		t.Helper()
		before := len(l.box.Requests())
		l.signsInTo(l.mustRun(append([]string{"console", "--print", "-p", "dev"}, args...)...))
		var durations []string
		for _, r := range l.box.Requests()[before:] {
			durations = append(durations, r.Endpoint+" "+r.Form.Get("SessionDuration")+r.Form.Get("DurationSeconds"))
		}
		return durations
	}
	steps := []struct {
		name string
		args []string
		want []string
	}{
		{"none", nil, []string{"sts 3600", "federation "}},
		{"hours", []string{"--duration", "8h"}, []string{"federation 28800"}}, // with the credentials in the cache
		{"seconds", []string{"--duration", "900"}, []string{"federation 900"}},
	}
	for _, step := range steps {
		if diff := cmp.Diff(step.want, sent(step.args...)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
	}
	l.box.Set(func(o *sandbox.Options) { o.RefuseSessionDuration = true })
	if diff := cmp.Diff([]string{"federation 28800", "federation "}, sent("--duration", "8h")); diff != "" {
		t.Errorf("refused (-want +got)\n%s", diff)
	}
}

func TestConsoleOpensTheBrowser(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	visited := l.openDesktop()
	code, stdout, stderr := l.runPatiently(t.Context(), "console", "s3", "-p", "dev")
	if code != 0 || stdout != "" || stderr != "" {
		t.Fatalf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	v := visited()
	if len(v.Arguments) != 2 || !strings.HasPrefix(v.Arguments[0], "http://127.0.0.1:") || v.Arguments[1] != "dev" || strings.Contains(v.Arguments[0], "?") {
		t.Errorf("the browser was started with %q", v.Arguments)
	}
	for _, part := range []string{"200 ", "assumed-role/Developer/taro", "https://eu-west-1.console.aws.amazon.com/s3/home"} {
		if !strings.Contains(v.Page, part) {
			t.Errorf("the page lacks %q:\n%s", part, v.Page)
		}
	}
	if response, err := http.Get(v.Arguments[0]); err == nil {
		response.Body.Close()
		t.Errorf("the address works again: status %d", response.StatusCode)
	}
}

func TestConsoleWithoutAnAnswerFromTheBrowser(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	l.openDesktop()
	printIt := "daypass console --print --profile dev\n"

	l.env["DAYPASS_PROMPT"] = "browser"
	code, stdout, stderr := l.run("console", "-p", "dev", "--browser-command", os.Args[0]+" -test.run=^$ {url}")
	if code != 6 || stdout != "" || !strings.HasPrefix(stderr, "daypass: no browser opened the sign-in link within 30 s.") || !strings.HasSuffix(stderr, printIt) {
		t.Errorf("nobody comes: exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = l.run("console", "-p", "dev", "--browser-command", "no-such-program {url}")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "no-such-program") || strings.Contains(stderr, "127.0.0.1") || !strings.HasSuffix(stderr, printIt) {
		t.Errorf("no browser: exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	code, stdout, stderr = l.runPatiently(ctx, "console", "-p", "dev", "--browser-command", os.Args[0]+" -test.run=^$ {url}")
	if code != 130 || stdout != "" || stderr != "daypass: interrupted.\n" {
		t.Errorf("Ctrl-C: exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}
}

func TestConsoleFaults(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	code, stdout, stderr := l.run("console", "--print", "-p", "dev")
	if code != 3 || stdout != "" || !strings.Contains(stderr, "daypass login --profile dev") {
		t.Errorf("without a login: exit %d\n%s", code, stderr)
	}
	l.login()
	l.mustRun("console", "--print", "-p", "dev")
	host := strings.TrimPrefix(l.box.URL, "http://")
	for _, test := range []struct {
		status int
		body   string
		code   int
		want   string
	}{
		{400, "Invalid credentials parameter\n", 5, "daypass: AWS sign-in refused the credentials of profile dev (status 400: Invalid credentials parameter).\n" +
			"The endpoint was " + host + ". Do the credentials work elsewhere? aws sts get-caller-identity --profile dev\n"},
		{503, "", 6, "daypass: cannot reach AWS sign-in: " + host + " does not answer (3 tries: status 503).\nYour login is kept. Try again later.\n"},
		{200, "<html>", 6, "daypass: " + host + " does not answer as AWS sign-in does: a web page instead of a sign-in token.\nIs there a proxy or a login page in between?\n"},
	} {
		l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/signin/federation" {
				return false
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
			return true
		})
		code, stdout, stderr := l.run("console", "--print", "-p", "dev")
		if diff := cmp.Diff(test.want, stderr); code != test.code || stdout != "" || diff != "" {
			t.Errorf("status %d: exit %d, stdout %q, stderr (-want +got)\n%s", test.status, code, stdout, diff)
		}
	}
	l.env["AWS_CA_BUNDLE"] = filepath.Join(l.home(), ".aws", "config")
	if code, _, stderr := l.run("console", "--print", "-p", "dev"); code != 2 || !strings.Contains(stderr, "AWS_CA_BUNDLE") {
		t.Errorf("no certificate in the bundle: exit %d\n%s", code, stderr)
	}
}

// What AWS and the provider gave out appears nowhere but in the one line that was
// asked for, also where the sign-in endpoint repeats what it is sent.
func TestConsoleShowsNoSecret(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	visited := l.openDesktop()
	var outputs []string
	record := func(code int, stdout, stderr string) { outputs = append(outputs, stdout, stderr) }
	record(l.runPatiently(t.Context(), "console", "-p", "dev"))
	outputs = append(outputs, visited().Arguments...)
	l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/signin/federation" {
			return false
		}
		_ = r.ParseForm()
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, r.PostForm.Get("Session"))
		return true
	})
	record(l.run("console", "-p", "dev", "--duration", "8h"))
	secrets := l.box.Issued()
	if len(secrets) < 6 {
		t.Fatalf("only %d secrets were given out", len(secrets))
	}
	for _, text := range outputs {
		for _, secret := range secrets {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("a secret of %d bytes in:\n%s", len(secret), text)
			}
		}
	}
}

func TestConsoleHelpFitsATerminal(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	help := l.mustRun("console", "--help")
	long, _, _ := strings.Cut(help, "Usage:")
	for line := range strings.Lines(long) {
		if len(line) > 80+len("\n") {
			t.Errorf("%d columns: %q", len(line)-1, line)
		}
	}
	for _, part := range []string{"acm, ", "stepfunctions", "--duration"} {
		if !strings.Contains(help, part) {
			t.Errorf("the help lacks %q", part)
		}
	}
}
