package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// onVM makes a laptop a virtual machine of Google Cloud on which nobody logs in,
// and on which nothing can be kept.
func onVM(l *laptop) {
	for name, value := range l.box.WorkloadEnvironment("gcp-metadata", "") {
		l.env[name] = value
	}
	section := fmt.Sprintf("issuer = %s\nclient_id = %s\nstorage = file\nprompt = never\n", l.box.Issuer, l.box.ClientID)
	l.write(".aws/config", strings.Replace(l.config(), section, "source = gcp-metadata\n", 1))
}

// Every command works where nobody logs in: none asks for a login, and those that
// tell of one tell of the source.
func TestCommandsWithASource(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	onVM(l)
	must(t, l.box.Trust(l.box.RoleARN, l.mustRun("trust-policy", "-p", "dev")))
	if got, want := l.mustRun("login", "-p", "dev", "--force"), "daypass: no login is needed: the tokens of corp come from Google's metadata server.\n"; got != want {
		t.Errorf("login says %q", got)
	}
	l.mustRun("process", "--profile", "dev")
	var all []map[string]any
	if err := json.Unmarshal([]byte(l.mustRun("status", "--json")), &all); err != nil || all[0]["source"] != "gcp-metadata" || all[0]["login"] != nil || all[0]["needs_person"] != false {
		t.Errorf("status --json: %v, %v", all, err)
	}
	if got := l.mustRun("status", "-p", "dev"); !strings.Contains(got, "source        gcp-metadata\n") || strings.Contains(got, "login") {
		t.Errorf("status says:\n%s", got)
	}
	if got := strings.Count(l.mustRun("token", "-p", "dev"), "."); got != 2 {
		t.Errorf("a token with %d dots", got)
	}
	policy := l.mustRun("trust-policy", "-p", "dev", "--format", "cli", "--sub")
	if strings.Contains(policy, "create-open-id-connect-provider") || strings.Contains(policy, "WARNING") || !strings.Contains(policy, sandbox.ServiceAccount) {
		t.Errorf("trust-policy says:\n%s", policy)
	}
	if got := l.mustRun("console", "-p", "dev", "--print"); !strings.Contains(got, "SigninToken=") {
		t.Errorf("console says %q", got)
	}
	_, text, _ := l.run("doctor", "-p", "dev")
	for _, part := range []string{"ok    keyring", "nothing can be kept here", "deploy@octo-project.iam.gserviceaccount.com from Google's metadata server, ID token until", "ok    role"} {
		if !strings.Contains(text, part) {
			t.Errorf("the doctor does not say %q:\n%s", part, text)
		}
	}
	for _, link := range []string{"provider", "issuer", "flow", "renewal", "prompt"} {
		if strings.Contains(text, "  "+link+"  ") {
			t.Errorf("the doctor looks at %s:\n%s", link, text)
		}
	}
	if got := l.mustRun("logout", "-p", "dev"); got != "You were not logged in to corp.\n" {
		t.Errorf("logout says %q", got)
	}
	if n := l.box.Count("discovery") + l.box.Count("device"); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
	l.env["GCE_METADATA_HOST"] = "metadata.example"
	if _, text, _ := l.run("doctor", "-p", "dev"); !strings.Contains(text, "FAIL  login               GCE_METADATA_HOST") {
		t.Errorf("the doctor does not name the break:\n%s", text)
	}
}

// A machine without a home folder keeps nothing, and everything works.
func TestSourceWithoutAHome(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	onVM(l)
	flags := []string{"--source", "gcp-metadata", "--role-arn", l.box.RoleARN, "--sts-endpoint", l.box.STSEndpoint}
	for _, name := range []string{"HOME", "USERPROFILE", "LocalAppData"} {
		delete(l.env, name)
	}
	must(t, l.box.Trust(l.box.RoleARN, l.mustRun(append([]string{"trust-policy"}, flags...)...)))
	for range 2 {
		if got := l.mustRun(append([]string{"process"}, flags...)...); !strings.HasPrefix(got, `{"Version":1,`) {
			t.Errorf("process says %q", got)
		}
	}
	l.env["GCE_METADATA_HOST"] = ""
	for _, args := range [][]string{ // a login, and a file that its command reads
		{"process", "--issuer", l.box.Issuer, "--client-id", "c", "--role-arn", l.box.RoleARN},
		append(append([]string{"exec"}, flags...), "--azure-tenant", "9f1c0000-0000-4000-8000-000000000000", "--azure-client-id", "1b9e0000-0000-4000-8000-000000000001", "--azure", "--", "go"),
	} {
		if code, _, stderr := l.run(args...); code != 2 || !strings.Contains(stderr, "Set HOME") {
			t.Errorf("%s without a home: exit %d, %s", args[0], code, stderr)
		}
	}
}
