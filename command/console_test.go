package command

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

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
	l := newLaptop(t, sandbox.Options{})
	role := "arn:aws-us-gov:iam::111122223333:role/Developer"
	must(t, l.box.Trust(role, ""))
	l.write(".aws/config", strings.NewReplacer(l.box.RoleARN, role, "eu-west-1", "us-gov-east-1").Replace(l.config()))
	l.login()
	const console = "https://us-gov-east-1.console.amazonaws-us-gov.com"
	for what, want := range map[string]string{
		"":                          console + "/console/home?region=us-gov-east-1",
		"s3":                        console + "/s3/home?region=us-gov-east-1",
		"/lambda/home#/functions/x": console + "/lambda/home#/functions/x",
		console + "/ec2/":           console + "/ec2/",
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
		{[]string{"lamda"}, "lambda, lightsail, logs"},
		{[]string{"https://444455556666-ab.eu-west-1.console.aws.amazon.com/"}, "account 444455556666"},
		{[]string{"s3", "ec2"}, "accepts at most 1 arg"},
		{[]string{"--duration", "14m"}, "15m to 12h"},
		{[]string{"--duration", "43201"}, "15m to 12h"},
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
	before := l.box.Count("federation")
	l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if isFor("sign-in", r) {
			http.Error(w, "Invalid credentials parameter", http.StatusBadRequest)
		}
		return isFor("sign-in", r)
	})
	const want = "daypass: AWS sign-in refused the credentials of profile dev (status 400: Invalid credentials parameter).\n"
	if code, _, stderr := l.run("console", "--print", "-p", "dev", "--duration", "8h"); code != 5 || !strings.HasPrefix(stderr, want) || l.box.Count("federation")-before != 2 {
		t.Errorf("everything refused: exit %d, %d requests\n%s", code, l.box.Count("federation")-before, stderr)
	}
}

// A server in trouble is asked three times, with pauses, unless somebody presses Ctrl-C.
func TestConsoleTriesAgain(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	for fail := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		l.box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !isFor("sign-in", r) {
				return false
			}
			if asked++; fail == 4 {
				cancel()
			}
			if asked <= fail {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return asked <= fail
		})
		var out bytes.Buffer
		before := l.clock.Now()
		code, waited := Run(ctx, l.environment(&out, &out, "console", "--print", "-p", "dev")), l.clock.Now().Sub(before)
		want := []struct {
			code, asked int
			waited      time.Duration
		}{{0, 1, 0}, {0, 2, time.Second}, {0, 3, 3 * time.Second}, {6, 3, 3 * time.Second}, {130, 1, 0}}[fail]
		if code != want.code || asked != want.asked || waited != want.waited {
			t.Errorf("%d failures: exit %d, %d requests, waited %v, want %+v", fail, code, asked, waited, want)
		}
		cancel()
	}
}

// Whatever keeps the console from being opened is said, with what helps. In a build's log
// nobody has asked for a URL that signs in.
func TestConsoleFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		env    string
		args   string
		exit   int
		stderr string // how it begins, and how it ends
		last   string
	}{
		{"no login", "", "--print", 3, "profile dev needs a login", "daypass login --profile dev"},
		{"no certificate in the bundle", "AWS_CA_BUNDLE=/dev/null", "--print", 2, "the CA bundle for AWS cannot be used: ", "at a PEM file, or leave it out."},
		{"neither browser nor terminal", "", "iam", 2, "the console cannot be opened here: nobody may be asked (", ", repeat your command with --print."},
		{"nobody comes", "DAYPASS_PROMPT=browser", "--browser-command " + os.Args[0] + " -test.run=^$ {url}", 6, "no browser opened the sign-in link within 30 s.", "For the URL instead, repeat your command with --print."},
		{"no browser", "DAYPASS_PROMPT=browser", "--browser-command no-such-program {url}", 2, `the browser did not start ("no-such-program {url}": not found in PATH).`, "For the URL instead, repeat your command with --print."},
	} {
		l := newLaptop(t, sandbox.Options{})
		if test.exit != 3 {
			l.login()
		}
		l.env["BROWSER"] = "is-not-asked" // there is one, also on a machine without a screen
		name, value, _ := strings.Cut(test.env, "=")
		l.env[name] = value
		code, stdout, stderr := l.run(append([]string{"console", "-p", "dev"}, strings.SplitN(test.args, " ", 2)...)...)
		if code != test.exit || stdout != "" || !strings.HasPrefix(stderr, "daypass: "+test.stderr) || !strings.HasSuffix(stderr, test.last+"\n") || l.box.Count("federation") > strings.Count(test.args, "{url}") {
			t.Errorf("%s: exit %d, stdout %q, stderr:\n%s", test.name, code, stdout, stderr)
		}
	}
}
