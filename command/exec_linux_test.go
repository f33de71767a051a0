package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/process"
)

const (
	tenantID = "9f1c0000-0000-4000-8000-000000000000"
	appID    = "1b9e0000-0000-4000-8000-000000000001"
)

// withClouds gives the profile dev an application in Entra ID that trusts its role,
// and the clouds some secrets.
func (l *laptop) withClouds() {
	l.t.Helper()
	l.box.Federate(sandbox.FederatedCredential{Tenant: tenantID, ClientID: appID, Issuer: sandbox.OutboundIssuer, Subject: l.box.RoleARN, Audience: "api://AzureADTokenExchange"})
	l.box.PutSecret("eu-west-1", "dev/db", `{"user":"app","password":"secret-of-aws-4711-0815"}`)
	l.box.PutParameter("eu-west-1", "/dev/key", "parameter-of-ssm-4711-0815")
	l.box.PutVaultSecret(tenantID, "corp-kv", "db", "secret-of-azure-4711-0815")
	l.box.PutVaultSecret(sandbox.AzureTenant, "vm-kv", "db", "secret-for-the-vm-4711-0815")
	l.write(".aws/config", l.read(".aws/config")+"daypass_azure_tenant = "+tenantID+"\ndaypass_azure_client_id = "+appID+"\n\n[profile vm]\ndaypass_azure_via = imds\n")
	for name, path := range map[string]string{"SECRETS_MANAGER": "/secretsmanager", "SSM": "/ssm", "COGNITO_IDENTITY": "/cognito-identity"} {
		l.env["AWS_ENDPOINT_URL_"+name] = l.box.URL + path
	}
	l.env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = l.box.URL
}

// withPrograms gives the laptop the clouds and makes its commands programs of their own,
// which reach them through a proxy, by the real time.
func (l *laptop) withPrograms() {
	l.t.Helper()
	l.withClouds()
	l.box.Set(func(o *sandbox.Options) { o.Now = nil })
	l.write("bin/daypass", "")
	l.install()
	l.env["PATH"] = os.Getenv("PATH")
	proxy, err := sandbox.StartInternet(http.HandlerFunc(l.box.Cloud), sandbox.CloudHosts()...)
	must(l.t, err)
	l.t.Cleanup(proxy.Close)
	l.write("ca.pem", string(proxy.Certificate))
	l.env["HTTPS_PROXY"], l.env["SSL_CERT_FILE"] = proxy.Proxy, filepath.Join(l.home(), "ca.pem")
}

// asProgram is withPrograms, and somebody is logged in.
func (l *laptop) asProgram() {
	l.t.Helper()
	l.withPrograms()
	l.box.AutoApprove("taro")
	if code, _, stderr := l.asChild("login", "-p", "dev"); code != 0 {
		l.t.Fatalf("login: %s", stderr)
	}
	l.box.AutoApprove("")
}

// asChild runs daypass without a terminal.
func (l *laptop) asChild(args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	cmd, out, errs := l.start(args...)
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// start starts daypass in a session of its own, without a terminal.
func (l *laptop) start(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	l.t.Helper()
	cmd, stdout, stderr = exec.Command(l.installed(), args...), &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Env, cmd.Stdout, cmd.Stderr = l.environ(), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	must(l.t, cmd.Start())
	// One that outlives its test writes into a folder that is being removed.
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended, and have been waited for
		_ = cmd.Wait()
	})
	return cmd, stdout, stderr
}

// The command has the secrets that its variables refer to: of the environment, of the
// files, of which the later ones win, and of --env, which wins over everything.
func TestExecResolvesReferences(t *testing.T) {
	t.Parallel()
	l := newLaptop(t, sandbox.Options{})
	l.asProgram()
	l.env["CONNECTION"], l.env["UNTOUCHED"], l.env["A"], l.env["AWS_PROFILE"] = "awssecrets://dev/db#password", "https://example.com/?x#y", "of the environment", "awssecrets://not-asked-for"
	l.write("one.env", "A=of the first file\nB=of the first file\nC=awsssm://dev/key\n")
	l.write("two.env", "B=of the second file\r\nD=azurekeyvault://corp-kv/db\r\n")
	code, stdout, stderr := l.asChild("exec", "-p", "dev", "--env-file", filepath.Join(l.home(), "one.env"), "--env-file", filepath.Join(l.home(), "two.env"),
		"--env", "E=ref+awssecrets://dev/db#/user", "--env", "AWS_REGION=us-east-2", "--",
		"sh", "-c", `printf '%s\n' "$A" "$B" "$C" "$D" "$E" "$CONNECTION" "$UNTOUCHED" "$AWS_REGION" "$AWS_DEFAULT_REGION" "${AWS_PROFILE-none}" "${AWS_SESSION_TOKEN:+token}"; exit 7`)
	want := "of the first file\nof the second file\nparameter-of-ssm-4711-0815\nsecret-of-azure-4711-0815\napp\nsecret-of-aws-4711-0815\nhttps://example.com/?x#y\nus-east-2\neu-west-1\nnone\ntoken\n"
	if code != 7 || stdout != want || stderr != "" {
		t.Errorf("exit %d, %s\n%s, want\n%s", code, stderr, stdout, want)
	}
	for _, request := range l.box.Requests() {
		if request.Error != "" && request.Endpoint != "token:device" {
			t.Errorf("%s: %s", request.Endpoint, request.Error)
		}
	}

	// On a virtual machine of Azure: no account at AWS, and nothing of one in the
	// environment of the command.
	for _, variable := range []string{"CONNECTION", "AWS_PROFILE"} {
		delete(l.env, variable)
	}
	code, stdout, stderr = l.asChild("exec", "-p", "vm", "--env", "S=azurekeyvault://vm-kv/db", "--", "sh", "-c", `echo "$S"; env | grep -c ^AWS_ACCESS`)
	if code != 1 || stdout != "secret-for-the-vm-4711-0815\n0\n" || stderr != "" {
		t.Errorf("on the machine: exit %d, %s\n%s", code, stderr, stdout)
	}
}

// If a secret cannot be had, or the command cannot be run, nothing starts.
func TestExecStartsNothing(t *testing.T) {
	t.Parallel()
	l := newLaptop(t, sandbox.Options{})
	l.withClouds()
	l.login()
	started := filepath.Join(l.home(), "started")
	l.write("bad.env", "A=1\n\nB=\"s3cret\n")
	l.write("script", "touch "+started+"\n") // without #!
	script, many := filepath.Join(l.home(), "script"), ""
	must(t, os.Chmod(script, 0o700))
	for i := range 50_000 {
		many += fmt.Sprintf("V%d=\n", i)
	}
	l.write("many.env", many+"DB=awssecrets://nope\n")
	for _, tt := range []struct {
		args  []string
		exit  int
		first string
	}{
		{[]string{"-p", "dev", "--env-file", filepath.Join(l.home(), "many.env")}, failure.ExitAWS, "DB: AWS knows nothing of the secret nope in eu-west-1 (ResourceNotFoundException"},
		{[]string{"-p", "dev", "--env", "DB=awssecrets://dev/db?x"}, failure.ExitUsage, "DB: this reference to a secret cannot be followed: it may not have parameters"},
		{[]string{"-p", "dev", "--env", "DB"}, failure.ExitUsage, "--env number 1 is not NAME=VALUE"},
		{[]string{"-p", "dev", "--env", "=s3cret"}, failure.ExitUsage, "--env number 1 is not NAME=VALUE"},
		{[]string{"-p", "dev", "--env-file", filepath.Join(l.home(), "bad.env")}, failure.ExitUsage, `bad.env" of --env-file cannot be used: line 3: the quote`},
		{[]string{"-p", "dev", "--env-file", filepath.Join(l.home(), "nope.env")}, failure.ExitUsage, `nope.env" of --env-file cannot be used: no such file`},
		{[]string{"-p", "dev", "--env-file", l.home()}, failure.ExitUsage, `of --env-file cannot be used: is a directory`},
		{[]string{"-p", "vm", "--env", "DB=awssecrets://dev/db"}, failure.ExitUsage, "DB: a secret of AWS needs a role, and profile vm has none"},
		{[]string{"-p", "vm", "--azure"}, failure.ExitUsage, "--azure is not needed with daypass_azure_via = imds"},
		{[]string{"-p", "dev", "--serve", "--", script}, 126, fmt.Sprintf("daypass: the command %q cannot be run: exec format error.\n", script)},
		{[]string{"-p", "dev", "--", script + "-that-is-not-there"}, 127, "cannot be run: no such file"},
		{[]string{"-p", "dev", "--", "no-such-command", "--", "x"}, 127, "cannot be run: executable file not found"}, // the second "--" is the command's
	} {
		began := time.Now()
		code, stdout, stderr := l.run(append(append([]string{"exec"}, tt.args...), "--", "touch", started)...)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %v", tt.args, took)
		}
		if code != tt.exit || stdout != "" || !strings.Contains(stderr, tt.first) || strings.Contains(stderr, "s3cret") ||
			strings.Contains(stderr, "\nEach line is") != strings.Contains(tt.first, "line 3") {
			t.Errorf("%q: exit %d, want %d\n%s%s", tt.args, code, tt.exit, stdout, stderr)
		}
		if _, err := os.Stat(started); err == nil {
			t.Fatalf("%q: the command was started", tt.args)
		}
	}
	for _, command := range []string{"process", "login", "console", "token", "status", "trust-policy"} {
		if code, _, stderr := l.run(command, "-p", "vm"); code != failure.ExitUsage || !strings.Contains(stderr, "profile vm is for Azure alone") {
			t.Errorf("daypass %s for a profile without a role: exit %d\n%s", command, code, stderr)
		}
	}
}

// The command finds Azure's variables without those that would win over them, and the
// file is for nobody else, and gone afterwards.
func TestExecAzure(t *testing.T) {
	t.Parallel()
	l := newLaptop(t, sandbox.Options{})
	l.env["XDG_STATE_HOME"] = filepath.Join(l.home(), "state [a]*") // not a pattern
	l.asProgram()
	for _, name := range append(azureShadows(), "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_TOKEN_CREDENTIALS", "ARM_CLIENT_SECRET", "ARM_OIDC_TOKEN", "ARM_USE_MSI") {
		l.env[name] = "stale"
	}
	code, stdout, stderr := l.asChild("exec", "-p", "dev", "--azure", "--env", "ARM_USE_CLI=mine", "--", "sh", "-c",
		`env | grep -E '^(AZURE|ARM)_' | grep -v AUTHORITY_HOST | sort; stat -c %a "$AZURE_FEDERATED_TOKEN_FILE" "$(dirname "$AZURE_FEDERATED_TOKEN_FILE")"; cut -d. -f1 "$AZURE_FEDERATED_TOKEN_FILE" | base64 -d 2>/dev/null; exit 9`)
	file := ""
	for line := range strings.Lines(stdout) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "AZURE_FEDERATED_TOKEN_FILE="); found {
			file = name
		}
	}
	want := "ARM_CLIENT_ID=" + appID + "\nARM_OIDC_TOKEN_FILE_PATH=" + file + "\nARM_TENANT_ID=" + tenantID + "\nARM_USE_CLI=mine\nARM_USE_OIDC=true\n" +
		"AZURE_CLIENT_ID=" + appID + "\nAZURE_FEDERATED_TOKEN_FILE=" + file + "\nAZURE_TENANT_ID=" + tenantID + "\n600\n700\n"
	if code != 9 || !strings.HasPrefix(stdout, want) || !strings.Contains(stdout, `"RS256"`) || stderr != "" || !strings.HasPrefix(file, l.home()) {
		t.Errorf("exit %d, %s\n%s, want\n%s", code, stderr, stdout, want)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	// Whoever has no application is told so.
	l.write(".aws/config", strings.ReplaceAll(l.read(".aws/config"), "daypass_azure_client_id", "# "))
	if code, _, stderr := l.asChild("exec", "-p", "dev", "--azure", "--", "true"); code != failure.ExitUsage || !strings.Contains(stderr, "daypass_azure_client_id: missing") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// What a killed daypass has left is cleared away by the next one, and what a running
// one has is not.
func TestExecAzureClearsUp(t *testing.T) {
	t.Parallel()
	l := newLaptop(t, sandbox.Options{})
	l.asProgram()
	script := `echo "$AZURE_FEDERATED_TOKEN_FILE" > ` + l.home() + `/"$1".part; mv ` + l.home() + `/"$1".part ` + l.home() + `/"$1"; exec sleep 8 >/dev/null 2>&1`
	state := ".local/state/daypass/azure/"
	l.write(state+"A", "of one that was killed when it had no lock")
	l.write(state+"A~1", "")
	file := func(name string) string {
		waitFor(t, name, func() bool { _, err := os.Stat(filepath.Join(l.home(), name)); return err == nil })
		return strings.TrimSpace(l.read(name))
	}
	killed, _, _ := l.start("exec", "-p", "dev", "--azure", "--", "sh", "-c", script, "sh", "killed")
	left := file("killed")
	running, _, _ := l.start("exec", "-p", "dev", "--azure", "--", "sh", "-c", script, "sh", "running")
	kept := file("running")
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if _, err := os.Stat(left); err != nil {
		t.Fatalf("a killed one has left nothing: %v", err)
	}
	if code, _, stderr := l.asChild("exec", "-p", "dev", "--azure", "--", "true"); code != 0 {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed one left is still there")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what a running one has is gone: %v", err)
	}
	_ = running.Process.Signal(syscall.SIGTERM)
	_ = running.Wait()
	if left, _ := filepath.Glob(filepath.Join(l.home(), state, "*")); len(left) != 0 || running.ProcessState.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("left behind: %q, exit %d", left, running.ProcessState.ExitCode())
	}
}

// The file is replaced when four fifths of an assertion's life are over, also after
// failures and after a laptop was asleep, and nobody is asked for that.
func TestAssertionIsRenewed(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.withClouds()
	l.login()
	var out bytes.Buffer
	e := l.environment(&out, &out)
	p, err := loadProfile(e.source(newVersion(nil)), "dev")
	must(t, err)
	s, err := e.session(p)
	must(t, err)
	a, err := s.newAssertion()
	must(t, err)
	defer a.close()
	read := func() string {
		text, err := os.ReadFile(a.path())
		must(t, err)
		return string(text)
	}
	began, renewed, last := l.clock.Now(), []time.Duration{}, ""
	s.Tell = func(line string) { t.Errorf("somebody is told %q", line) }
	e.Sleep = func(_ context.Context, d time.Duration) error {
		if now := read(); now != last {
			last, renewed = now, append(renewed, l.clock.Now().Sub(began).Round(time.Minute))
			switch len(renewed) {
			case 2: // the next tries fail
				l.box.FailSTS(sandbox.STSError{Code: "AccessDenied"}) // the old credentials serve
				l.box.FailCall("webidentity", slices.Repeat([]sandbox.STSError{{Code: "AccessDenied"}}, 4)...)
			case 3: // the laptop sleeps
				d += 2 * time.Hour
			case 4:
				return errors.New("the command has ended")
			}
		}
		l.clock.Advance(d)
		return nil
	}
	s.Sleep = l.clock.Sleep
	c, err := s.Credentials(t.Context(), process.ForSession)
	must(t, err)
	due, err := s.putAssertion(t.Context(), a, c)
	must(t, err)
	s.renewAssertion(t.Context(), a, due)
	const m = time.Minute
	if want := []time.Duration{0, 48 * m, 98 * m, 218 * m}; !slices.Equal(renewed, want) {
		t.Errorf("replaced after %v, want %v", renewed, want)
	}
	if s.Person != nil || s.Waiting != nil {
		t.Error("somebody can be asked, or told what is waited for")
	}
}

func TestAzureTokenCommand(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.withClouds()
	l.login()
	run := func(args ...string) (int, string, string) { return l.run(append([]string{"azure-token"}, args...)...) }
	code, raw, stderr := run("-p", "dev", "--resource", "https://vault.azure.net")
	if code != 0 || strings.Count(raw, "\n") != 1 || !slices.Contains(l.box.Issued(), strings.TrimSpace(raw)) {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	code, document, stderr := run("-p", "dev", "--scope", "https://vault.azure.net/.default", "--format", "json")
	if want := `{"access_token":"` + strings.TrimSpace(raw) + `","expires":"` + l.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339) + "\"}\n"; code != 0 || document != want {
		t.Errorf("exit %d, %s, another document than the raw token", code, stderr)
	}
	if code, _, stderr := run("-p", "vm", "--resource", "https://vault.azure.net"); code != 0 {
		t.Errorf("on a machine: exit %d, %s", code, stderr)
	}
	for _, args := range [][]string{
		{"-p", "dev"}, {"-p", "dev", "--resource", "a", "--scope", "b"}, {"-p", "dev", "--resource", "a b"}, {"-p", "dev", "--resource", "a", "--format", "yaml"},
	} {
		if code, stdout, _ := run(args...); code != failure.ExitUsage || stdout != "" {
			t.Errorf("%q: exit %d", args, code)
		}
	}
	l.write(".aws/config", l.config())
	if code, _, stderr := run("-p", "dev", "--resource", "a"); code != failure.ExitUsage || !strings.Contains(stderr, "daypass: profile dev does not say how to sign in to Azure.") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// The doctor tries the link to Azure, and has few others to try on a machine of
// Azure's.
func TestDoctorOfAzure(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.withClouds()
	l.login()
	if _, text, _ := l.run("doctor", "-p", "dev"); !strings.Contains(text, "ok    Azure               gives a token for Key Vault until ") {
		t.Errorf("%s", text)
	}
	l.box.FailCall("entra", sandbox.STSError{Code: "700213"})
	if _, text, _ := l.run("doctor", "-p", "dev"); !strings.Contains(text, "FAIL  Azure               Entra ID does not trust the subject") {
		t.Errorf("%s", text)
	}
	if code, text, _ := l.run("doctor", "-p", "vm"); code != 0 || strings.Count(text, "\n") != 2 || !strings.Contains(text, "ok    Azure") {
		t.Errorf("exit %d\n%s", code, text)
	}
}
