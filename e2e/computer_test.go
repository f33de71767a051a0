//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/ptytest"
	"github.com/daypass/daypass/internal/sandbox"
)

// marker is the environment variable by which the processes of one computer are
// found again, however they were started.
const marker = "DAYPASS_E2E_COMPUTER"

// promptLink matches the complete link of a prompt, and the code in it.
const promptLink = `(http://127\.0\.0\.1:\d+/(?:idp/)?device\?user_code=([A-Z]{4}-[A-Z]{4}))`

// keyringPassword unlocks the login keyring of every computer.
const keyringPassword = "open sesame"

// computer is one person's computer: a home folder, a session bus with an open
// keyring, and a profile of the AWS CLI. A provider and AWS are in its reach.
type computer struct {
	t              *testing.T
	folder         string
	bus            string
	env            map[string]string
	provider       *provider // nil: the provider is aws's own
	issuer, client string
	aws            *sandbox.Sandbox
	keyring        *daemon
	keepsFiles     bool // storage = file: secrets are in the folder of items

	mu    sync.Mutex
	shown []string // what any command printed that was not its named product
}

// newComputer starts a computer that nobody has logged in on, in reach of a provider:
// nil is the sandbox's, one that is told what to do, and that fails on demand. When the
// test ends, nothing secret may have been shown or written to a file, and no process
// may be left.
func newComputer(t *testing.T, idp *provider, o sandbox.Options) *computer {
	t.Helper()
	folder, err := os.MkdirTemp("", "daypass-e2e-") // short: a socket's path has 107 bytes at most
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	for _, name := range []string{"home/.aws", "run", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(folder, name), 0o700))
	}
	aws, err := sandbox.Start(o)
	must(t, err)
	t.Cleanup(aws.Close)
	c := &computer{
		t:      t,
		folder: folder,
		bus:    startBus(t, folder),
		env: map[string]string{
			"PATH":                      "/usr/bin:/bin",
			"HOME":                      filepath.Join(folder, "home"),
			"XDG_RUNTIME_DIR":           filepath.Join(folder, "run"),
			"TMPDIR":                    filepath.Join(folder, "tmp"),
			"LANG":                      "C.UTF-8",
			"TERM":                      "xterm",
			"AWS_EC2_METADATA_DISABLED": "true",
			"AWS_PAGER":                 "",
			"AWS_ENDPOINT_URL_STS":      aws.STSEndpoint,
			"AWS_ENDPOINT_URL_SIGNIN":   aws.SigninEndpoint,
			"CHROMIUM":                  installed.chromium,
			"NODE_NO_WARNINGS":          "1", // the JS SDK's, of what a coming version will need
		},
		provider: idp,
		issuer:   aws.Issuer,
		client:   aws.ClientID,
		aws:      aws,
	}
	if idp != nil {
		c.issuer, c.client = idp.issuer, "daypass-e2e"
		must(t, aws.RegisterForeignProvider(c.issuer, c.client))
	}
	c.env["DBUS_SESSION_BUS_ADDRESS"] = c.bus
	c.keyring = startKeyring(t, c.environ(), c.bus, keyringPassword)
	c.env[marker] = folder // not in the daemons' environment: they are not strays

	t.Cleanup(c.checkSecrets)
	t.Cleanup(func() { checkStrays(t, folder) })
	return c
}

func (c *computer) environ() []string {
	var env []string
	for name, value := range c.env {
		env = append(env, name+"="+value)
	}
	return env
}

// writeConfig writes ~/.aws/config.
func (c *computer) writeConfig(sections ...string) {
	c.t.Helper()
	text := strings.Join(sections, "\n")
	c.keepsFiles = strings.Contains(text, "storage = file")
	write(c.t, filepath.Join(c.folder, "home/.aws/config"), text)
}

// section is a section [daypass-idp] for the provider, with further lines.
func (c *computer) section(name string, lines ...string) string {
	return fmt.Sprintf("[daypass-idp %s]\nissuer = %s\nclient_id = %s\n%s\n", name, c.issuer, c.client, strings.Join(lines, "\n"))
}

// profile is a section [profile] with a role of the same name, which trusts the
// provider.
func (c *computer) profile(name, section string) string {
	c.t.Helper()
	return fmt.Sprintf("[profile %[1]s]\nregion = eu-west-1\ncredential_process = %[2]s process --profile %[1]s\ndaypass_idp = %[3]s\ndaypass_role_arn = %[4]s\n",
		name, installed.daypass, section, c.trust(name))
}

// trust tells AWS to give a role to whoever logs in at the provider.
func (c *computer) trust(role string) (roleARN string) {
	c.t.Helper()
	roleARN = "arn:aws:iam::111122223333:role/" + role
	must(c.t, c.aws.Trust(roleARN, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/%[1]s"},
		"Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"%[1]s:aud": "%[2]s"}}
	}]}`, strings.TrimPrefix(c.issuer, "http://"), c.client)))
	return roleARN
}

// configure writes ~/.aws/config: a login with its tokens in the keyring, and a profile
// for each role, which is named like it.
func (c *computer) configure(roles ...string) {
	c.t.Helper()
	sections := []string{c.section("corp", "storage = keyring")}
	for _, role := range roles {
		sections = append(sections, c.profile(role, "corp"))
	}
	c.writeConfig(sections...)
}

// arn is what AWS calls the person under a role.
func arn(role string) string {
	return "arn:aws:sts::111122223333:assumed-role/" + role + "/taro@example.com"
}

// cli is the AWS CLI's command that prints the identity under a profile.
func (c *computer) cli(profile string) []string {
	// Debian's version does not know AWS_ENDPOINT_URL_STS.
	return []string{installed.aws, "sts", "get-caller-identity", "--profile", profile, "--endpoint-url", c.aws.STSEndpoint}
}

func (c *computer) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = c.environ()
	cmd.Dir = c.env["HOME"]
	return cmd
}

// result is what a command that ran without a terminal left behind.
type result struct {
	code           int
	stdout, stderr string
}

// running is a command that has no terminal and no input, as a cron job does.
type running struct {
	*exec.Cmd
	c              *computer
	stdout, stderr bytes.Buffer
}

func (c *computer) start(argv ...string) *running {
	c.t.Helper()
	r := &running{Cmd: c.command(argv...), c: c}
	r.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r.WaitDelay = 5 * time.Second // for a stray child that holds on to our pipes
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	must(c.t, r.Start())
	return r
}

// end waits for its end, which must come within two minutes. What it has printed on standard error
// must hold no secret.
func (r *running) end() result {
	r.c.t.Helper()
	hangs := time.AfterFunc(2*time.Minute, func() { _ = r.Process.Signal(syscall.SIGABRT) }) // a Go program tells where
	gone := time.AfterFunc(3*time.Minute, func() { _ = r.Process.Kill() })
	var exit *exec.ExitError
	if err := r.Wait(); err != nil && !errors.As(err, &exit) {
		r.c.t.Errorf("%q: %v", r.Args, err)
	}
	gone.Stop()
	if !hangs.Stop() {
		r.c.t.Errorf("%q hung:\n%s", r.Args, &r.stderr)
	}
	r.c.show(r.stderr.String())
	return result{r.ProcessState.ExitCode(), r.stdout.String(), r.stderr.String()}
}

// run runs a command to its end.
func (c *computer) run(argv ...string) result {
	c.t.Helper()
	return c.start(argv...).end()
}

// process runs daypass process, whose standard output is secret.
func (c *computer) process(profile string) result {
	c.t.Helper()
	return c.run(installed.daypass, "process", "--profile", profile)
}

// version1 is the document that credential_process prescribes:
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type version1 struct {
	Version         int
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	AccountId       string
}

// credentials reads the document that a successful daypass process printed.
func credentials(t *testing.T, r result) version1 {
	t.Helper()
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("exit code %d, standard error:\n%s", r.code, r.stderr)
	}
	var document version1
	if err := json.Unmarshal([]byte(r.stdout), &document); err != nil {
		t.Fatalf("standard output is no JSON document: %v", err)
	}
	if document.Version != 1 || document.AccessKeyId == "" || document.SecretAccessKey == "" ||
		document.SessionToken == "" || document.AccountId != "111122223333" ||
		time.Until(document.Expiration) < 30*time.Minute {
		t.Fatalf("document with version %d, account %q, expiration %s, or without a key",
			document.Version, document.AccountId, document.Expiration)
	}
	return document
}

// ends runs daypass and checks the exit code and, on standard error, a text.
func (c *computer) ends(code int, says string, argv ...string) result {
	c.t.Helper()
	return c.ended(code, says, c.run(append([]string{installed.daypass}, argv...)...))
}

func (c *computer) ended(code int, says string, r result) result {
	c.t.Helper()
	if r.code != code || !strings.Contains(r.stderr, says) || strings.Count(r.stderr, "\n") > 3 || code > 0 && strings.Contains(r.stdout, "SecretAccessKey") {
		c.t.Errorf("exit code %d, want %d, and %q:\n%s%s", r.code, code, says, r.stdout, r.stderr)
	}
	return r
}

// login has a person log in at the sandbox's provider.
func (c *computer) login(profile string) {
	c.t.Helper()
	c.aws.AutoApprove("taro")
	c.ends(0, "", "login", "--profile", profile)
	c.aws.AutoApprove("")
}

// say runs a daypass command whose standard output is for people.
func (c *computer) say(args ...string) result {
	c.t.Helper()
	r := c.run(append([]string{installed.daypass}, args...)...)
	c.show(r.stdout)
	return r
}

// inTerminal starts a command in a terminal of its own.
func (c *computer) inTerminal(argv ...string) *ptytest.Terminal {
	c.t.Helper()
	term := ptytest.Open(c.t, 100, 50)
	term.Start(c.command(argv...))
	c.t.Cleanup(func() { c.show(term.Screen()) })
	return term
}

func (c *computer) show(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = append(c.shown, text)
}

// openDesktop gives the person a browser in which whatever is opened gets an answer of
// provider/approve.mjs. tabs returns the links that were opened so far.
func (c *computer) openDesktop(answer string) (tabs func() []string) {
	c.t.Helper()
	return c.browser(fmt.Sprintf("exec %s %s \"$1\" %s > %s 2>&1\n",
		installed.node, installed.in("provider/approve.mjs"), answer, filepath.Join(c.folder, "browser.log")))
}

// startPerson gives the person a browser, and has the sandbox's provider approve every
// code.
func (c *computer) startPerson() (tabs func() []string) {
	c.t.Helper()
	c.aws.AutoApprove("taro")
	return c.browser("")
}

// browser gives the computer a browser, which notes each link and then does what a
// shell is told.
func (c *computer) browser(then string) (tabs func() []string) {
	c.t.Helper()
	list := filepath.Join(c.folder, "tabs")
	c.env["BROWSER"] = filepath.Join(c.folder, "browser")
	must(c.t, os.WriteFile(c.env["BROWSER"], []byte("#!/bin/sh\necho \"$1\" >> "+list+"\n"+then), 0o700))
	return func() []string { return strings.Fields(read(c.t, list)) }
}

// read returns what a file of the computer holds so far.
func (c *computer) read(name string) string {
	c.t.Helper()
	return read(c.t, filepath.Join(c.folder, name))
}

// approve has the person open a link in Chromium and approve, and returns the
// code that the provider's page showed.
func (c *computer) approve(link string) string {
	c.t.Helper()
	r := c.run(installed.node, installed.in("provider/approve.mjs"), link)
	if r.code != 0 {
		c.t.Fatalf("approve in Chromium: %s", r.stderr)
	}
	if r.stderr != "" {
		c.t.Log(r.stderr) // it was started again
	}
	return strings.TrimSpace(r.stdout)
}

// asked counts the requests that daypass has made so far, to the provider and to
// AWS. What the AWS clients ask with the credentials is not among them.
func (c *computer) asked() int {
	c.t.Helper()
	return len(c.provider.requests()) + c.aws.Count("sts")
}

// checkStrays fails the test if a process that a command started on the computer of
// that folder is left, and ends it.
func checkStrays(t *testing.T, folder string) {
	var left []string
	for range 100 { // Chromium's helpers end a moment after it
		if left = processes(marker + "=" + folder); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left running:\n%s", strings.Join(left, "\n"))
	for _, line := range left {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// processes returns the process ids and command lines of those that have an
// entry in their environment.
func processes(entry string) []string {
	var found []string
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // a malformed pattern
	}
	for _, folder := range folders {
		if !hasEnvironment(folder, entry) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err == nil && len(line) > 0 { // an empty one has ended and is not waited for
			found = append(found, filepath.Base(folder)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// hasEnvironment reports whether the process of a folder of /proc has an entry in
// its environment. One that has ended meanwhile, or is another user's, has not.
func hasEnvironment(folder, entry string) bool {
	env, err := os.ReadFile(filepath.Join(folder, "environ"))
	return err == nil && slices.Contains(strings.Split(string(env), "\x00"), entry)
}

// checkSecrets fails the test if a secret that the provider or AWS handed out
// was printed outside of a command's named product, or lies in a file in the
// clear.
func (c *computer) checkSecrets() {
	secrets := c.aws.Issued()
	if c.provider != nil {
		secrets = append(secrets, c.provider.issued()...)
	}
	find := func(where, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				c.t.Errorf("%s holds a secret", where)
				return
			}
		}
	}
	for _, text := range c.shown {
		find("an output", text)
	}
	err := filepath.WalkDir(c.folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && c.keepsFiles && path == filepath.Join(c.folder, "home/.local/state/daypass/items") {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		find(path, string(data))
		return err
	})
	if err != nil {
		c.t.Error(err)
	}
}
