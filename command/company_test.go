//go:build unix

package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// A company's login is offered first, needs no section of its own, and is told
// wherever settings are; a file that is not the administrator's stops everything.
func TestCompanySettings(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.write("etc/config", fmt.Sprintf("[daypass-idp company]\nissuer = %s\nclient_id = %s\nstorage = file\n", l.box.Issuer, l.box.ClientID))
	path := filepath.Join(l.home(), "etc", "config")
	l.env["DAYPASS_SYSTEM_CONFIG"] = path
	l.write(".aws/config", "")
	l.write(filepath.Join("bin", executableName()), "")
	if code, _, stderr := l.configure("--yes", "--profile", "dev", "--role-arn", l.box.RoleARN, "--sts-endpoint", l.box.STSEndpoint, "--signin-endpoint", l.box.SigninEndpoint); code != 0 {
		t.Fatal(stderr)
	}
	if text := l.read(".aws/config"); strings.Contains(text, "daypass-idp") || !strings.Contains(text, "daypass_idp = company") {
		t.Error(text)
	}
	// The company's client secret stays in its file, unless a section of another name needs it.
	l.box.Set(func(o *sandbox.Options) { o.ClientSecret = "hunter2" })
	l.write("etc/config", strings.Replace(l.read("etc/config"), "storage =", "client_secret = hunter2\nstorage =", 1))
	for login, written := range map[string]bool{"company": false, "other": true} {
		code, text, stderr := l.configure("--yes", "--dry-run", "--profile", "x", "--role-arn", l.box.RoleARN, "--issuer", l.box.Issuer, "--client-id", l.box.ClientID, "--idp", login)
		if code != 0 || strings.Contains(text, "client_secret = (hidden)") != written {
			t.Errorf("exit %d: %s%s", code, text, stderr)
		}
	}
	l.write("etc/config", strings.Replace(l.read("etc/config"), "client_secret = hunter2\n", "", 1))
	l.box.Set(func(o *sandbox.Options) { o.ClientSecret = "" })
	l.login()
	l.mustRun("process", "--profile", "dev")
	said := "client_id, issuer, storage from " + path
	if text := l.mustRun("status", "-p", "dev"); !strings.Contains(strings.Join(strings.Fields(text), " "), "settings "+said) {
		t.Error(text)
	}
	if _, text, _ := l.run("doctor", "-p", "dev"); !strings.Contains(text, said) {
		t.Error(text)
	}
	// A file that is handed out does not lead the company's login elsewhere unseen.
	var out, errs bytes.Buffer
	e := l.environment(&out, &errs, "configure", "--yes", "--import", "-")
	e.Executable, e.Invoked, e.Stdin = l.installed(), l.installed(), strings.NewReader("[daypass-idp company]\nissuer = https://evil.example\n")
	want := "[daypass-idp company] issuer = https://evil.example, for a login that you already have"
	if code := Run(t.Context(), e); code != 2 || !strings.Contains(errs.String(), want) {
		t.Errorf("import: exit %d: %s", code, &errs)
	}
	must(t, os.Chmod(path, 0o666))
	before := len(l.box.Requests())
	for _, args := range [][]string{{"process", "--profile", "dev"}, {"status"}, {"login"}, {"logout"}, {"console"}, {"exec", "--", "true"}, {"token"}} {
		if code, _, stderr := l.run(args...); code != 2 || !strings.Contains(stderr, "so it may not say where you log in") {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
	if n := len(l.box.Requests()); n != before {
		t.Errorf("%d requests were sent", n-before)
	}
	if code, text, _ := l.run("doctor", "-p", "dev"); code != 2 || !strings.Contains(text, "so it may not say where you log in") {
		t.Errorf("doctor: exit %d: %s", code, text)
	}
	// Whoever wants to be logged out is, whatever an administrator does.
	if text := l.mustRun("logout", "--all"); !strings.Contains(text, "Logged out of company") {
		t.Error(text)
	}
}
