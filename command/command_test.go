package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

func TestProcessFromFlagsAloneNeedsNoFile(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	must(t, os.RemoveAll(filepath.Join(l.home(), ".aws")))
	l.box.AutoApprove("taro")
	flags := []string{"--issuer", l.box.Issuer, "--client-id", l.box.ClientID, "--role-arn", l.box.RoleARN,
		"--sts-endpoint", l.box.STSEndpoint, "--storage", "file"}
	l.mustRun(append([]string{"login"}, flags...)...)
	var document map[string]any
	if err := json.Unmarshal([]byte(l.mustRun(append([]string{"process"}, flags...)...)), &document); err != nil || document["Version"] != 1.0 {
		t.Errorf("%v, %v", document, err)
	}
}

func TestProcessIsSilentOnSuccessAndBriefOnFailure(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	code, stdout, stderr := l.run("process", "--profile", "dev")
	if code != 3 || stdout != "" || strings.Count(stderr, "\n") > 3 || !strings.HasPrefix(stderr, "daypass: profile dev needs a login") {
		t.Errorf("without a login: exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}
	for line, want := range map[string]string{
		"token --idp corp": "daypass: [daypass-idp corp] needs a login",
		"process --issuer " + l.box.Issuer + " --client-id x --role-arn " + l.box.RoleARN: "daypass: this profile needs a login",
	} {
		if code, _, stderr := l.run(strings.Fields(line)...); code != 3 || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: exit %d, %s", line, code, stderr)
		}
	}
	if got := l.box.Count("device"); got != 0 {
		t.Errorf("%d authorizations where nobody can be asked", got)
	}
	l.login()
	code, stdout, stderr = l.run("process", "--profile", "dev")
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Errorf("after it: exit %d, stdout of %d bytes, stderr %q", code, len(stdout), stderr)
	}
	before := l.box.Count("")
	if again := l.mustRun("process", "--profile", "dev"); again != stdout || l.box.Count("") != before {
		t.Errorf("the warm call made %d requests", l.box.Count("")-before)
	}
	if token := l.mustRun("token", "--profile", "dev"); !strings.Contains(l.mustRun("token", "--profile", "dev", "--format", "json"), strings.TrimSpace(token)) {
		t.Error("the token as JSON is another one")
	}
	if code, stdout, _ := l.run("token", "--profile", "dev", "--format", "xml"); code != 2 || stdout != "" {
		t.Errorf("the token as XML: exit %d", code)
	}
}

func TestLoginWithoutATerminalShowsThePromptOnStderr(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.box.AutoApprove("taro")
	for _, barred := range []string{"CI=true", "DAYPASS_PROMPT=never"} {
		name, value, _ := strings.Cut(barred, "=")
		l.env[name] = value
		code, _, stderr := l.run("login", "--profile", "dev")
		if want := "daypass: a login needs a person, but nobody may be asked ("; code != 3 || !strings.HasPrefix(stderr, want) || l.box.Count("device") != 0 {
			t.Errorf("%s: exit %d, %d codes\n%s", barred, code, l.box.Count("device"), stderr)
		}
		delete(l.env, name)
	}
	l.env["CI"] = "false"
	code, stdout, stderr := l.run("login", "--profile", "dev")
	if code != 0 || stdout != "daypass: logged in to corp as taro@example.com; renews by itself.\n" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	for _, part := range []string{"daypass: log in at ", "for profile dev (Developer, 111122223333)", "user_code=", "Approve only if the page shows", "Good until "} {
		if !strings.Contains(stderr, part) {
			t.Errorf("the prompt lacks %q:\n%s", part, stderr)
		}
	}
	l.clock.Advance(time.Second)
	if stdout := l.mustRun("login", "--idp", "corp"); !strings.HasPrefix(stdout, "daypass: still logged in to corp as taro@example.com") {
		t.Errorf("second login: %q", stdout)
	}

	// An address is asked for only where somebody can paste one.
	var shown bytes.Buffer
	l.env["CI"] = "true" // the test may have a terminal
	e := l.environment(nil, &shown)
	s := &session{env: &e, typed: true, noBrowser: true, Pipeline: &process.Pipeline{}}
	for _, want := range []string{"Open it in a browser on this machine.", "then paste the address where it ends up."} {
		_, err := s.show(process.Open{Authorization: deviceflow.Authorization{VerificationURI: "https://corp.example/"}}, false)
		if err != nil || !strings.Contains(shown.String(), want) {
			t.Errorf("%v, shown:\n%s", err, shown.String())
		}
		s.Paste = s.paste
	}
}

func TestLogout(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.login()
	l.mustRun("process", "--profile", "dev")
	stdout := l.mustRun("logout", "--profile", "dev")
	if !strings.HasPrefix(stdout, "Logged out of corp (refresh token revoked): profile dev.\nAWS credentials already given out stay valid until ") {
		t.Errorf("logout says %q", stdout)
	}
	if code, _, _ := l.run("process", "--profile", "dev"); code != 3 {
		t.Errorf("process after logout: exit %d", code)
	}
	l.login()
	l.write(".aws/config", l.config()+strings.ReplaceAll(l.config()[strings.Index(l.config(), "[profile"):], "[profile dev]", "[profile other]"))
	if stdout := l.mustRun("logout", "-p", "other"); !strings.Contains(stdout, "): profiles dev, other.\n") {
		t.Errorf("logout of two profiles says %q", stdout)
	}
	l.login()
	must(t, os.RemoveAll(filepath.Join(l.home(), ".aws")))
	if stdout := l.mustRun("logout", "--all"); !strings.HasPrefix(stdout, "Logged out of corp (refresh token revoked)") {
		t.Errorf("logout --all without a configuration says %q", stdout)
	}
	if stdout := l.mustRun("logout", "--all"); stdout != "No login on this machine is known.\n" {
		t.Errorf("logout --all of nothing says %q", stdout)
	}
}

func TestStatus(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.run("process", "--profile", "dev")
	code, stdout, stderr := l.run("status", "--profile", "dev")
	if code != 3 || !strings.Contains(stdout, "none") || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "exit 3: profile dev needs a login") || !strings.Contains(stderr, "daypass login --profile dev") {
		t.Errorf("before: exit %d\n%s%s", code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if len(line) > 80+len("\n") {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	l.login()
	l.mustRun("process", "--profile", "dev")
	before := l.box.Count("")
	stdout = l.mustRun("status")
	for _, part := range []string{"dev\n", l.box.RoleARN, "taro@example.com, renews by itself", "until ", "file"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("status lacks %q:\n%s", part, stdout)
		}
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(l.mustRun("status", "--json")), &all); err != nil || len(all) != 1 || all[0]["needs_person"] != false {
		t.Errorf("--json: %v, %v", all, err)
	}
	if l.box.Count("") != before {
		t.Error("status asked the network")
	}
	l.write(".aws/config", l.config()+strings.ReplaceAll(l.config()[strings.Index(l.config(), "[profile"):], "[profile dev]", "[profile other]"))
	if got := l.mustRun("status"); !strings.HasPrefix(got, "dev\n") || !strings.Contains(got, "\n\nother\n") || strings.Count(got, "taro@example.com, renews by itself") != 2 {
		t.Errorf("not a block for each profile:\n%s", got)
	}
	l.mustRun("logout", "-p", "dev")
	l.write(".aws/config", "[profile broken]\ndaypass_idp = gone\n"+l.config())
	if code, _, stderr := l.run("status"); code != 3 {
		t.Errorf("a broken profile and one that needs a login: exit %d\n%s", code, stderr)
	}
	failed := process.Status{Profile: "dev", LastFailure: &process.LastFailure{Exit: 3, Line: "code X stays good until 09:27:"}}
	if got := render([]process.Status{failed}, time.Now()); !strings.Contains(string(got), "exit 3: code X stays good until 09:27\n") {
		t.Errorf("a line that leads to another one:\n%s", got)
	}
}

// No character in JSON changes what a terminal shows, and none is lost.
func TestJSONIsFitForATerminal(t *testing.T) {
	name := "taro\nRun: evil\u009b2J\u200b\u202e\u2066\ufeff\u2028\U000e0041\ufe0f\u007f\t\u00e9"
	l := newLaptop(t, sandbox.Options{Claims: map[string]any{"email": name, "name": name}})
	l.login()
	for _, command := range []string{"status --json", "doctor --profile dev --json"} {
		_, stdout, stderr := l.run(strings.Fields(command)...)
		if bad := strings.IndexFunc(strings.ReplaceAll(stdout, "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }); bad >= 0 || !strings.Contains(stdout, "\u00e9") {
			t.Errorf("%s: unfit at %d:\n%+q%s", command, bad, stdout, stderr)
		}
		var all any
		if err := json.Unmarshal([]byte(stdout), &all); err != nil || !strings.Contains(fmt.Sprint(all), name) {
			t.Errorf("%s: %v, lacks the name: %+q", command, err, fmt.Sprint(all))
		}
	}
}

// Status ends with what most needs doing, in whatever order the profiles are.
func TestStatusExit(t *testing.T) {
	well, person := process.Status{}, process.Status{NeedsPerson: true}
	away := process.Status{Failure: failure.New(failure.ExitKeyring, nil, "away")}
	for want, all := range map[int][]process.Status{0: {well}, failure.ExitLogin: {well, person, well}, failure.ExitKeyring: {person, away, person}} {
		exit := 0
		if err := firstNeed(all); err != nil {
			exit = failure.From(err).Exit
		}
		if exit != want {
			t.Errorf("exit %d, want %d", exit, want)
		}
	}
}

// The notes for DAYPASS_DEBUG tell the steps and hold no secret.
func TestDebugFile(t *testing.T) {
	l := newLaptop(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	path := filepath.Join(l.home(), "debug.log")
	l.env["DAYPASS_DEBUG"] = path
	l.login()
	l.mustRun("process", "--profile", "dev")
	l.clock.Advance(2 * time.Hour)
	if code, stdout, stderr := l.run("process", "--profile", "dev"); code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Errorf("with DAYPASS_DEBUG: exit %d, stderr %q", code, stderr)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	notes, err := os.ReadFile(path)
	must(t, err)
	for _, part := range []string{"ask a person", "renew the login", "assume role", "read credentials", "store", "path=/sts", "path=/idp/token", "status=200"} {
		if !strings.Contains(string(notes), part) {
			t.Errorf("the notes lack %q:\n%s", part, notes)
		}
	}
	for _, secret := range l.box.Issued() {
		if strings.Contains(string(notes), secret) {
			t.Errorf("the notes hold a secret of %d bytes", len(secret))
		}
	}
	l.env["DAYPASS_DEBUG"] = "debug.log"
	if code, _, stderr := l.run("process", "--profile", "dev"); code != 2 || !strings.Contains(stderr, "absolute") {
		t.Errorf("a relative path: exit %d, %s", code, stderr)
	}
}

// The command's environment has the credentials, or the address of the server, and
// nothing that would go before them.
func TestExecEnvironment(t *testing.T) {
	p := profile.Profile{RoleARN: "arn:aws:iam::111122223333:role/x", AccountID: "111122223333", Region: "eu-west-1"}
	c := process.Credentials{AccessKeyID: "ASIA", SecretAccessKey: secret.New("key"), SessionToken: secret.New("token"), Expires: time.Unix(0, 0)}
	server := &credentialServer{profile: p, host: "127.0.0.1:1", token: secret.New("bearer")}
	const keys = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_ACCOUNT_ID AWS_SECURITY_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE"
	const set = " AWS_ACCESS_KEY_ID=ASIA AWS_SECRET_ACCESS_KEY=key AWS_SESSION_TOKEN=token AWS_CREDENTIAL_EXPIRATION=1970-01-01T00:00:00Z"
	for _, test := range []struct {
		x                       execution
		region, inherited, want string
	}{
		{execution{}, "eu-west-1", keys + " AWS_REGION", "PATH=inherited AWS_ACCOUNT_ID=111122223333 AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1" + set},
		{execution{}, "", keys, "PATH=inherited AWS_ACCOUNT_ID=111122223333" + set}, // no region that nobody has named
		{execution{env: []string{"AWS_ACCOUNT_ID=mine"}}, "", keys, "PATH=inherited" + set + " AWS_ACCOUNT_ID=mine"},
		{execution{server: server}, "eu-west-1", keys + " AWS_ACCESS_KEY AWS_SECRET_KEY AWS_CREDENTIAL_FILE AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" +
			" AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_REGION",
			"PATH=inherited AWS_ACCOUNT_ID=111122223333 AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1" +
				" AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/credentials AWS_CONTAINER_AUTHORIZATION_TOKEN=bearer"},
	} {
		p.Region = test.region
		environ := strings.Fields("SYSTEMROOT=x PATH=inherited " + strings.ReplaceAll(test.inherited, " ", "=inherited ") + "=inherited")
		if diff := cmp.Diff(strings.Fields("SYSTEMROOT=x "+test.want), test.x.with(p, environ, c)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// What process may take in all counts from its start: where a keyring has used it up,
// no exchange begins.
func TestProcessTimeoutCountsFromTheStart(t *testing.T) {
	l := newLaptop(t, sandbox.Options{Rotate: true, IDTokenLife: time.Hour})
	l.login()
	l.clock.Advance(2 * time.Hour)
	run := func(slow time.Duration) (code int, stderr string) {
		var out, errs bytes.Buffer
		e := l.environment(&out, &errs, "process", "--profile", "dev")
		e.CatchSignals = func() { l.clock.Advance(slow) } // called after the first read
		return Run(t.Context(), e), errs.String()
	}
	if code, stderr := run(40 * time.Second); code != 6 || !strings.Contains(stderr, "no time was left") {
		t.Errorf("with 10 s left: exit %d\n%s", code, stderr)
	}
	if got := l.box.Count("token:refresh"); got != 0 {
		t.Errorf("%d exchanges begun with 10 s left", got)
	}
	if code, stderr := run(0); code != 0 {
		t.Errorf("with 50 s left: exit %d\n%s", code, stderr)
	}
}
