package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// watched is a laptop on whose terminal everything is written down: what is seen
// there, stdout, the arguments and environments of children, every file.
type watched struct {
	*laptop
	said []utterance
}

// utterance is a text that daypass let out, and where.
type utterance struct{ where, text string }

const clientSecret = "s3cret-of-the-client-J1oXg0-7f3a9c51"

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{laptop: newLaptop(t, sandbox.Options{ClientSecret: clientSecret, Rotate: true, ReuseGrace: time.Hour})}
	w.withPrograms()
	w.write(".aws/config", strings.NewReplacer("storage = file\n", "storage = file\nclient_secret = "+clientSecret+"\n",
		"daypass_azure_tenant", "credential_process = "+w.installed()+" process --profile dev\ndaypass_azure_tenant").Replace(w.read(".aws/config")))
	// Whatever starts a browser, and the command that exec runs, leave a record.
	record := "#!/bin/sh\n{ for a in \"$0\" \"$@\"; do echo \"argument: $a\"; done; env; } >\"" + w.home() + "/children/$$.part\"\n" +
		"mv \"" + w.home() + "/children/$$.part\" \"" + w.home() + "/children/${0##*/}-$$\"\n"
	for _, name := range []string{"xdg-open", "chosen-browser", "browser-of-the-environment", "child-of-exec"} {
		w.write("bin/"+name, record)
		must(t, os.Chmod(filepath.Join(w.home(), "bin", name), 0o700))
	}
	w.write("children/.keep", "")
	w.env["PATH"] = filepath.Join(w.home(), "bin") + ":" + os.Getenv("PATH")
	w.env["DISPLAY"] = ":0"
	w.env["DAYPASS_DEBUG"] = filepath.Join(w.home(), "debug.log")
	return w
}

// runs runs a command on the terminal, writes down what comes of it, and returns
// the exit code.
func (w *watched) runs(args ...string) int {
	w.t.Helper()
	p := w.terminal(args...)
	code, seen := p.End()
	command := "daypass " + strings.Join(args, " ")
	w.said = append(w.said, utterance{"terminal of " + command, seen}, utterance{"stdout of " + command, w.withoutProduct(args, p.stdout.String())})
	w.looksAtFiles(command)
	return code
}

// withoutProduct is the stdout of a command without the secret that it is for.
func (w *watched) withoutProduct(args []string, stdout string) string {
	var product struct {
		SecretAccessKey, SessionToken string
		IDToken                       string `json:"id_token"`
		AccessToken                   string `json:"access_token"`
	}
	switch {
	case slices.Contains([]string{"process", "token", "azure-token"}, args[0]):
		if strings.HasPrefix(stdout, "eyJ") {
			return ""
		}
		_ = json.Unmarshal([]byte(stdout), &product)
	case args[0] == "console" && slices.Contains(args, "--print"):
		if u, err := url.Parse(strings.TrimSpace(stdout)); err == nil {
			product.AccessToken = url.QueryEscape(u.Query().Get("SigninToken"))
		}
	}
	for _, secret := range []string{product.SecretAccessKey, product.SessionToken, product.IDToken, product.AccessToken} {
		stdout = strings.ReplaceAll(stdout, secret, "")
	}
	return stdout
}

// looksAtFiles writes down every file of the home but the keyring's items, and looks at the
// modes of those.
func (w *watched) looksAtFiles(command string) {
	w.t.Helper()
	err := filepath.WalkDir(w.home(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, w.home()+"/")
		info, err := entry.Info()
		if err != nil {
			return err
		}
		state := strings.HasPrefix(name, ".local/state/daypass")
		if state && entry.IsDir() && info.Mode().Perm() != 0o700 || state && !entry.IsDir() && info.Mode().Perm() != 0o600 {
			w.t.Errorf("after %s: %s has mode %v", command, name, info.Mode())
		}
		if !info.Mode().IsRegular() || strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "children/") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		what := string(text)
		switch {
		case strings.HasPrefix(name, ".local/state/daypass/items/"):
			w.looksAtRecord(command, what)
			return nil
		case strings.HasPrefix(name, ".aws/config"):
			what = strings.ReplaceAll(what, "client_secret = "+clientSecret+"\n", "")
		}
		w.said = append(w.said, utterance{"file " + name + " after " + command, what})
		return nil
	})
	must(w.t, err)
}

// looksAtRecord finds what no record is for: an access token is of no use to
// daypass, a sign-in token leaves at once, the client secret is in the configuration.
func (w *watched) looksAtRecord(command, record string) {
	for _, part := range []string{`"at-`, "signin-", clientSecret} {
		if strings.Contains(record, part) {
			w.t.Errorf("after %s: a record holds %s...", command, part)
		}
	}
}

// children writes down the arguments and environments of what daypass has started
// since the last call.
func (w *watched) children(want int) (records []string) {
	w.t.Helper()
	folder := filepath.Join(w.home(), "children")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(folder, "*-*"))
		if len(names) >= want {
			for _, name := range names {
				text, err := os.ReadFile(name)
				if err == nil {
					err = os.Remove(name)
				}
				must(w.t, err)
				records = append(records, string(text))
				w.said = append(w.said, utterance{"arguments and environment of " + filepath.Base(name), string(text)})
			}
			return records
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d children, want %d", len(names), want)
		}
	}
}

// No secret that the provider, STS or the sign-in endpoint gave out, and not the
// client secret, is seen on the terminal, on stderr, on a stdout that is not for
// it, in the arguments or the environment of a child, or in a file that is not one
// of storage = file; whether the commands succeed or fail.
func TestNoSecretLeavesTheCommands(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.box.AutoApprove("taro")
	expect := func(want int, args ...string) {
		t.Helper()
		if code := w.runs(args...); code != want {
			t.Errorf("daypass %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, w.said[len(w.said)-1].text)
		}
	}

	expect(0, "process", "--profile", "dev") // asks, in a browser and on the terminal
	expect(0, "login", "-p", "dev", "--force", "--browser-command", filepath.Join(w.home(), "bin/chosen-browser")+" {url} {profile}")
	w.env["BROWSER"] = filepath.Join(w.home(), "bin/browser-of-the-environment")
	expect(0, "login", "-p", "dev", "--force")
	if seen := w.said[0].text; !strings.HasSuffix(seen, "daypass: logged in as taro@example.com.\n") {
		t.Errorf("process does not end with whose login it is:\n%s", seen)
	}
	if records := w.children(3); !strings.Contains(strings.Join(records, ""), "argument: "+w.box.VerificationURI+"?user_code=") {
		t.Errorf("no browser got the address: %q", records)
	}
	for _, args := range [][]string{
		{"process", "--profile", "dev"}, {"process", "--profile", "dev", "--duration", "30m"}, {"login", "-p", "dev"}, {"status"}, {"status", "--json"},
		{"token", "-p", "dev"}, {"token", "-p", "dev", "--format", "json"}, {"token", "-p", "dev", "--format", "gcp"}, {"console", "-p", "dev", "--print"}, {"doctor", "-p", "dev"}, {"doctor", "-p", "dev", "--json"},
		{"trust-policy", "-p", "dev"}, {"trust-policy", "-p", "dev", "--sub", "--format", "cli"}, {"trust-policy", "-p", "dev", "--format", "terraform"}, {"trust-policy", "-p", "dev", "--format", "cloudformation"},
		{"configure", "--yes", "--idp", "corp", "--role-arn", "arn:aws:iam::111122223333:role/Admin", "--profile", "admin", "--region", "eu-west-1"},
		{"configure", "--yes", "--dry-run", "--idp", "corp", "--role-arn", "arn:aws:iam::111122223333:role/Other", "--profile", "other"},
		{"completion", "bash"}, {"__complete", "login", "--profile", ""}, {"version"}, {"--help"}, {"help", "settings"}, {"bogus"}, {"process", "--bogus"}, {"token", "-p", "dev", "--format", "xml"}, {"exec", "-p", "dev", "--", "/no/such/program"},
	} {
		w.runs(args...)
	}

	// exec's child has what it is to have, and no other secret.
	child := func(secrets string, args ...string) (record string) {
		t.Helper()
		expect(0, append([]string{"exec", "-p", "dev"}, args...)...)
		for _, text := range w.children(1) {
			record = text
		}
		w.said = w.said[:len(w.said)-1]
		for line := range strings.SplitSeq(record, "\n") {
			if name, _, _ := strings.Cut(line, "="); !slices.Contains(strings.Fields(secrets), name) {
				w.said = append(w.said, utterance{"exec's child", line})
			}
		}
		return record
	}
	record := child("AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN", "--", "child-of-exec", "an argument")
	if !strings.Contains(record, "\nAWS_SESSION_TOKEN=") || !strings.Contains("\n"+record, "\nargument: an argument\n") {
		t.Error("exec's child has no credentials, or not its arguments")
	}

	// With secrets in its environment and Azure's file, it has those as well, and
	// nothing of the two clouds is anywhere else.
	for _, args := range [][]string{
		{"azure-token", "-p", "dev", "--resource", "https://vault.azure.net"}, {"azure-token", "-p", "dev", "--resource", "https://vault.azure.net", "--format", "json"}, {"doctor", "-p", "dev"},
		{"exec", "-p", "dev", "--env", "DB=awssecrets://dev/db#nope", "--", "child-of-exec"}, {"exec", "-p", "dev", "--env", "DB=awssecrets://dev/db", "--azure", "--", "true"},
	} {
		w.runs(args...)
	}
	record = child("AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN ONE TWO THREE", "--azure", "--env", "ONE=awssecrets://dev/db#password", "--env", "TWO=awsssm:///dev/key", "--env", "THREE=azurekeyvault://corp-kv/db", "--", "child-of-exec")
	for _, line := range []string{"ONE=secret-of-aws-4711-0815", "TWO=parameter-of-ssm-4711-0815", "THREE=secret-of-azure-4711-0815"} {
		if !strings.Contains(record, "\n"+line+"\n") {
			t.Errorf("exec's child lacks %s", line)
		}
	}
	// What the clouds' errors repeat.
	for service, path := range map[string]string{"secretsmanager": "/secretsmanager/", "entra": "/oauth2/v2.0/token", "keyvault": "/secrets/db"} {
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, path) {
				return false
			}
			sent := r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token") + " " + r.PostForm.Get("client_assertion")
			document, _ := json.Marshal(map[string]any{"__type": "Brand" + sent, "message": sent, "error_description": sent, "error_codes": []int{1}, "error": map[string]any{"code": sent, "message": sent}})
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = rw.Write(document)
			return true
		})
		w.runs("exec", "-p", "dev", "--env", "ONE=awssecrets://dev/db", "--", "true")
		w.runs("exec", "-p", "dev", "--env", "ONE=azurekeyvault://corp-kv/db", "--", "true")
		w.runs("azure-token", "-p", "dev", "--resource", "https://"+service)
		w.box.Intercept(nil)
	}

	// The console and the login in a browser open by an address on loopback that is
	// good once.
	var secrets []string
	for args, inside := range map[string]string{"console -p dev": "SigninToken=", "login -p dev --force --flow browser": "state="} {
		p := w.terminal(strings.Fields(args)...)
		for _, text := range w.children(1) {
			_, address, _ := strings.Cut(text, "argument: http://")
			address, _, _ = strings.Cut(address, "\n")
			to := request(t, http.MethodGet, "http://"+address).Header.Get("Location")
			if !strings.Contains(to, inside) {
				t.Errorf("the browser was led to %q", to)
			}
			if inside == "state=" {
				w.runs("status", "--json") // while the tab is open
				back, err := w.box.Authorize(to, "taro")
				must(t, err)
				u, err := url.Parse(to)
				must(t, err)
				secrets = append(secrets, u.Query().Get("state"), u.Query().Get("nonce"))
				last := request(t, http.MethodGet, back)
				w.said = append(w.said, utterance{"the last address", last.Header.Get("Location")})
			}
		}
		code, seen := p.End()
		w.said = append(w.said, utterance{"terminal of daypass " + args, seen}, utterance{"stdout of daypass " + args, p.stdout.String()})
		if code != 0 {
			t.Errorf("daypass %s: exit %d\n%s", args, code, seen)
		}
	}
	if w.box.Count("token:code") != 1 {
		t.Error("nobody logged in with the browser")
	}

	// Who fails repeats what it was sent, as careless servers do. Each command has to
	// renew.
	w.box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Second })
	expect(0, "login", "-p", "dev", "--force")
	for _, place := range []string{"refresh", "sts", "sign-in", "device", "poll", "keys", "revoke"} {
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !isFor(place, r) {
				return false
			}
			sent := r.PostForm.Encode() + " " + r.PostForm.Get("WebIdentityToken") + " " + r.PostForm.Get("refresh_token") + " " + r.PostForm.Get("Session")
			if place == "sts" {
				stsRefusal(400, "NoSuchThing", strings.ReplaceAll(sent, "&", "&amp;"))(nil, rw, r)
			} else {
				oauthError(400, "no_such_thing", sent)(nil, rw, r)
			}
			return true
		})
		time.Sleep(1100 * time.Millisecond) // the ID token ends
		for _, args := range [][]string{
			{"login", "-p", "dev"}, {"process", "--profile", "dev", "--duration", "45m"}, {"token", "-p", "dev"}, {"console", "-p", "dev", "--print"},
			{"exec", "-p", "dev", "--", "/no/such/program"}, {"doctor", "-p", "dev"}, {"status", "-p", "dev"},
		} {
			w.runs(args...)
		}
		switch place {
		case "device", "poll", "keys":
			w.runs("login", "-p", "dev", "--force")
		case "revoke":
			w.runs("logout", "-p", "dev")
		case "sign-in":
			w.runs("console", "-p", "dev")
		}
		w.box.Intercept(nil)
	}
	// A source that repeats what it was sent, and one that works. Its token is kept
	// nowhere.
	for name, value := range w.box.WorkloadEnvironment("app-service", "") {
		w.env[name] = value
	}
	login := w.read(".aws/config")
	w.write(".aws/config", strings.Replace(regexp.MustCompile(`(?m)^(issuer|client_id|client_secret|prompt) = .*\n`).ReplaceAllString(login, ""),
		"storage = file\n", "storage = file\nsource = azure-imds\naudience = "+sandbox.AppIDURI+"\n", 1))
	for _, fails := range []bool{true, false} {
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !fails || !strings.HasPrefix(r.URL.Path, "/msi") {
				return false
			}
			oauthError(400, "no_such_thing", r.Header.Get("X-Identity-Header")+r.Header.Get("X-Identity-Header"))(nil, rw, r)
			return true
		})
		for _, args := range [][]string{
			{"process", "--profile", "dev"}, {"token", "-p", "dev"}, {"token", "-p", "dev", "--format", "gcp"}, {"login", "-p", "dev"}, {"status", "--json"},
			{"doctor", "-p", "dev"}, {"trust-policy", "-p", "dev"}, {"exec", "-p", "dev", "--", "/no/such/program"}, {"logout", "-p", "dev"},
		} {
			w.runs(args...)
		}
	}
	w.box.Intercept(nil)
	w.write(".aws/config", login)
	delete(w.env, "IDENTITY_HEADER") // the platform's, and so also that of children
	if w.box.Count("app-service") < 8 {
		t.Error("the source was not asked")
	}

	for _, args := range [][]string{ // nobody is logged in, and nobody approves
		{"status", "-p", "dev"}, {"doctor", "-p", "dev"}, {"trust-policy", "-p", "dev", "--sub"}, {"logout", "-p", "dev"}, {"logout", "--all"},
	} {
		w.runs(args...)
	}
	expect(0, "login", "-p", "dev", "--force")
	expect(0, "logout", "--all")
	_ = w.children(0)

	secrets = append(append(secrets, w.box.Issued()...), clientSecret)
	for _, request := range w.box.Requests() {
		if verifier := request.Form.Get("code_verifier"); verifier != "" {
			secrets = append(secrets, verifier)
		}
	}
	if len(secrets) < 60 || len(w.said) < 200 {
		t.Errorf("%d secrets and %d texts: the storm did not happen", len(secrets), len(w.said))
	}
	shown := map[string]bool{}
	for _, s := range w.said {
		if piece := leaked(s.text, secrets); piece != "" && !shown[s.where] {
			shown[s.where] = true
			t.Errorf("%s: holds a piece of a secret, %q", s.where, piece)
		}
	}
	if found := w.box.SecretsInURLs(); len(found) > 0 {
		t.Errorf("%d requests have a secret in their URL, the first at %s", len(found), found[0].Endpoint)
	}
}

// What is not a regular file of its own gets no debug log: a pipe would wait, and a
// line in stdout is no longer JSON. /dev/stdout can be a regular file.
func TestDebugFileRefused(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(l.home(), name))
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	pipe, stdout, stderr := filepath.Join(l.home(), "pipe"), file("stdout"), file("stderr")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for path, says := range map[string]string{
		pipe: "is not a regular file", os.DevNull: "is not a regular file", l.home(): "is not a regular file",
		fmt.Sprintf("/proc/self/fd/%d", stdout.Fd()): "is an output of this command", stderr.Name(): "is an output of this command",
	} {
		l.env["DAYPASS_DEBUG"] = path
		e := l.environment(nil, nil, "process", "--profile", "dev")
		e.Stdout, e.Stderr = stdout, stderr
		code := Run(t.Context(), e)
		said, err := os.ReadFile(stderr.Name())
		if code != 2 || err != nil || !strings.Contains(string(said), says) || strings.Count(string(said), "\n") != 2 {
			t.Errorf("%s: exit %d, %q, %v", path, code, said, err)
		}
		must(t, errors.Join(stderr.Truncate(0), func() error { _, err := stderr.Seek(0, 0); return err }()))
	}
	if info, err := stdout.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("stdout holds %d bytes, %v", info.Size(), err)
	}
}

// Whoever logs in is told that others can read the client secret; an SDK is not.
func TestReadableClientSecret(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.box.AutoApprove("taro")
	l.write(".aws/config", strings.Replace(l.config(), "storage = file", "storage = file\nclient_secret = hunter2hunter2", 1))
	const warning = "daypass: other users of this machine can read the client_secret in "
	for _, tt := range []struct {
		command string
		mode    os.FileMode
		warns   bool
	}{{"login", 0o600, false}, {"login", 0o640, true}, {"login", 0o604, true}, {"process", 0o604, false}} {
		must(t, os.Chmod(filepath.Join(l.home(), ".aws/config"), tt.mode))
		if _, _, stderr := l.run(tt.command, "--profile", "dev"); strings.Contains(strings.Join(strings.Fields(stderr), " "), warning) != tt.warns || strings.Contains(stderr, "hunter2") {
			t.Errorf("%+v: %q", tt, stderr)
		}
	}
	if _, stdout, _ := l.run("doctor", "--profile", "dev"); !strings.Contains(strings.Join(strings.Fields(stdout), " "), strings.TrimPrefix(warning, "daypass: ")) {
		t.Errorf("doctor: %s", stdout)
	}
}
