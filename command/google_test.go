package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/google"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// googleDocument is what Google's libraries read.
type googleDocument struct {
	Version       int
	Success       bool
	TokenType     string `json:"token_type"`
	IDToken       string `json:"id_token"`
	Expires       int64  `json:"expiration_time"`
	Code, Message string
}

// forGoogle runs a command line as Google's libraries do: what they read is a
// document, whatever is wrong, and stderr is empty.
func (l *laptop) forGoogle(args ...string) googleDocument {
	l.t.Helper()
	code, stdout, stderr := l.run(args...)
	var d googleDocument
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || code != 0 || stderr != "" || d.Version != 1 || strings.Count(stdout, "\n") != 1 || d.Success != (d.Code == "") {
		l.t.Errorf("daypass %s: exit %d, stdout %q, stderr %q, %v", strings.Join(args, " "), code, stdout, stderr, err)
	}
	return d
}

func TestTokenForGoogle(t *testing.T) {
	const idToken, jwt = "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"
	l := newLaptop(t, sandbox.Options{IDTokenLife: time.Hour})
	l.env["GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE"] = "0"
	fails := func(code, message string, args ...string) {
		t.Helper()
		if d := l.forGoogle(args...); d.Success || d.Code != code || !strings.HasPrefix(d.Message, "daypass: ") || !strings.Contains(d.Message, message) || d.IDToken != "" {
			t.Errorf("%s: %+v", strings.Join(args, " "), d)
		}
	}
	usual := []string{"token", "--format", "gcp", "--profile", "dev"}
	fails("3", "profile dev needs a login, but Google's library lets nobody be asked.\nRun in a terminal", usual...)
	l.login()
	d := l.forGoogle(usual...)
	if want := l.clock.Now().Add(time.Hour).Unix(); !d.Success || d.TokenType != idToken || strings.Count(d.IDToken, ".") != 2 || d.Expires != want {
		t.Errorf("%+v, want an expiry of %d", d, want)
	}
	if d := l.forGoogle("token", "--format=gcp", "--idp", "corp"); !d.Success {
		t.Errorf("%+v", d)
	}
	l.env["GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE"] = jwt
	output := l.home() + "/cache.json"
	l.write("cache.json", strings.Repeat("a longer text than the one that follows", 100))
	must(t, os.Chmod(output, 0o644))
	l.env["GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"] = output
	d = l.forGoogle(usual...)
	if info, err := os.Stat(output); err != nil || d.TokenType != jwt || l.read("cache.json") != string(google.Token(jwt, secret.New(d.IDToken), time.Unix(d.Expires, 0))) || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%+v, %v; the file holds %q", d, err, l.read("cache.json"))
	}
	link := l.home() + "/link"           // not a file: it stays
	if os.Symlink(output, link) == nil { // Windows may not allow that
		l.env["GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"] = link
		l.forGoogle(usual...)
		if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
			t.Errorf("%v, %v", info, err)
		}
		l.env["GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"] = output
	}

	fails("2", "no section [profile nobody]", "token", "--format", "gcp", "--profile", "nobody")
	if text := l.read("cache.json"); !strings.HasPrefix(text, `{"version":1,"success":false,"code":"2"`) {
		t.Errorf("the file holds %q", text)
	}
	l.env["GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"] = l.home() + "/no/such/folder/cache.json"
	fails("2", "unknown flag: --bogus", "token", "--bogus", "--format", "gcp")
	fails("2", `unexpected argument "argument"`, "token", "--format", "gcp", "--profile", "dev", "argument")
	l.env["GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE"] = "urn:ietf:params:oauth:token-type:saml2"
	fails("2", "a token of type \"urn:ietf:params:oauth:token-type:saml2\"", usual...)
	delete(l.env, "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE")
	l.env["DAYPASS_DEBUG"] = "relative"
	fails("2", "is not an absolute path", usual...)
	delete(l.env, "DAYPASS_DEBUG")
	l.write(".aws/config", "[profile dev]\ndaypass_idp = corp\n[daypass-idp corp]\n?\n")
	fails("2", "", usual...)
}

// Nobody is asked but where the library says that somebody may be.
func TestGoogleSaysWhetherSomebodyIsAsked(t *testing.T) {
	for interactive, asked := range map[string]int{"0": 0, "": 0, "2": 0, "1": 1} {
		l := newLaptop(t, sandbox.Options{Interval: time.Second})
		delete(l.env, "CI")
		l.env["DAYPASS_PROMPT"], l.env["BROWSER"] = "auto", "is-not-asked"
		l.box.AutoApprove("taro")
		l.env["GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE"] = interactive
		d := l.forGoogle("token", "--format", "gcp", "--profile", "dev")
		if got := l.box.Count("device"); got != asked || strings.Contains(d.Message, "lets nobody be asked") != (asked == 0) {
			t.Errorf("interactive %q: %d codes, %+v", interactive, got, d)
		}
	}
}

func TestGCPConfig(t *testing.T) {
	const audience = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/aws/providers/dev"
	l := newHealthyLaptop(t, sandbox.Options{})
	installed := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		e := l.environment(&out, &errs, append([]string{"gcp-config", "--audience", audience}, args...)...)
		e.Executable = l.program()
		code = Run(t.Context(), e)
		return code, out.String(), errs.String()
	}
	for args, want := range map[string]string{
		"-p dev":                               `"environment_id": "aws1"`,
		"-p dev --via login":                   `"command": "` + filepath.ToSlash(l.program()) + ` token --format gcp --profile dev"`,
		"--idp corp --via login":               `"command": "` + filepath.ToSlash(l.program()) + ` token --format gcp --idp corp"`,
		"-p dev --service-account a@b.example": `/serviceAccounts/a@b.example:generateAccessToken"`,
	} {
		if code, stdout, stderr := installed(strings.Fields(args)...); code != 0 || stderr != "" || !strings.Contains(stdout, want) || !json.Valid([]byte(stdout)) {
			t.Errorf("%s: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
	for name, args := range map[string]string{
		"is not a provider of a workload identity pool":  "--audience x -p dev",
		"--via \"gcp\" is not aws or login":              "--via gcp --audience " + audience + " -p dev",
		"--via aws needs the role of a profile":          "--idp corp --audience " + audience,
		"is not the e-mail address of a service account": "--service-account x -p dev --audience " + audience,
		"give either --profile or --idp":                 "--idp corp -p dev --audience " + audience,
	} {
		if code, stdout, stderr := l.run(append([]string{"gcp-config"}, strings.Fields(args)...)...); code != 2 || stdout != "" || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit %d, %q, %s", args, code, stdout, stderr)
		}
	}
	l.write(".aws/config", strings.Replace(l.config(), "region = eu-west-1\n", "", 1))
	if code, _, stderr := l.run("gcp-config", "-p", "dev", "--audience", audience); code != 2 || !strings.Contains(stderr, "profile dev has none") {
		t.Errorf("without a region: exit %d, %s", code, stderr)
	}
	l.write(".aws/config", strings.ReplaceAll(l.config(), "[profile dev]", "[profile \"my dev\"]"))
	if code, stdout, stderr := installed("-p", "my dev", "--via", "login"); code != 2 || stdout != "" || !strings.Contains(stderr, `cannot run a command with "my dev" in it`) {
		t.Errorf("a space: exit %d, %q, %s", code, stdout, stderr)
	}
}
