//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/daypass/daypass/internal/sandbox"
)

// promptLink matches the complete link of a prompt, and the code in it.
const promptLink = `(http://127\.0\.0\.1:\d+/device\?user_code=([A-Z]{4}-[A-Z]{4}))`

// The main job: a person types an aws command on a new computer, approves in the
// browser, and has the identity; from then on nobody and nothing is asked. The CLI
// hides the helper's standard error: the prompt must be on the terminal itself,
// wherever the CLI's own output goes.
func TestFirstCommandAsksOnceThenNeverAgain(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{})
	c.configure("dev", "staging")

	cmd := c.command(c.cli("dev")...)
	stdout := create(t, filepath.Join(c.folder, "stdout"))
	stderr := create(t, filepath.Join(c.folder, "stderr"))
	cmd.Stdout, cmd.Stderr = stdout, stderr
	term := startInTerminal(t, cmd)
	t.Cleanup(func() { c.show(term.Screen()) })
	prompt := term.waitFor(promptLink)
	if page := c.approve(prompt[1]); page != prompt[2] {
		t.Errorf("the page shows code %q, the terminal %q", page, prompt[2])
	}
	code := term.wait()
	if out := contents(t, stdout); code != 0 || !strings.Contains(out, `"Arn": "`+arn("dev")+`"`) || strings.Contains(out, "device") {
		t.Fatalf("exit code %d, no identity in:\n%s", code, out)
	}
	if text := contents(t, stderr); text != "" {
		t.Errorf("standard error:\n%s", text)
	}

	before := c.asked()
	for range 3 {
		if r := c.run(c.cli("dev")...); r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
			t.Fatalf("a later call: %+v", r)
		}
	}
	if n := c.asked() - before; n != 0 {
		t.Errorf("daypass made %d requests in later calls, want 0", n)
	}

	if r := c.run(c.cli("staging")...); r.code != 0 || !strings.Contains(r.stdout, arn("staging")) {
		t.Fatalf("a second profile of the same provider: %+v", r)
	}
	if n := c.provider.count("/device/auth", ""); n != 1 {
		t.Errorf("%d device authorizations for two profiles, want 1", n)
	}
	if n := c.asked() - before; n != 1 {
		t.Errorf("the second profile cost %d requests, want 1, to STS", n)
	}

	c.provider.stop()
	c.aws.Close()
	if r := c.process("dev"); r.code != 0 {
		t.Errorf("with no network a cached answer ends with %d: %s", r.code, r.stderr)
	}
}

// On a desktop the tab opens by itself, and the terminal shows what to compare.
func TestTabAndTerminalShowTheSameLink(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{})
	c.configure("dev")
	tabs := c.openDesktop("approve")

	term := c.inTerminal(c.cli("dev")...)
	if code := term.wait(); code != 0 || !strings.Contains(term.Screen(), arn("dev")) {
		t.Fatalf("exit code %d:\n%s", code, term.Screen())
	}
	if opened, prompt := tabs(), term.waitFor(promptLink); len(opened) != 1 || opened[0] != prompt[1] {
		t.Errorf("opened %q, the terminal shows %q", opened, prompt[1])
	}
}

// Whoever refuses is not asked again by the next process.
func TestRefusalIsRemembered(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{})
	c.configure("dev")
	tabs := c.openDesktop("refuse")

	if r := c.process("dev"); r.code != 4 || r.stdout != "" {
		t.Errorf("after a refusal: exit code %d, want 4: %s", r.code, r.stderr)
	}
	before := c.asked()
	if r := c.process("dev"); r.code != 3 || r.stdout != "" {
		t.Errorf("the next process: exit code %d, want 3: %s", r.code, r.stderr)
	}
	if n := c.asked() - before; n != 0 {
		t.Errorf("the next process made %d requests, want 0", n)
	}
	if opened := tabs(); len(opened) != 1 {
		t.Errorf("%d tabs, want 1: %q", len(opened), opened)
	}
}

// Ctrl-C ends the wait, not the authorization: the next command takes it up.
func TestInterruptedLoginIsTakenUp(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{})
	c.configure("dev")

	first := c.inTerminal(installed.daypass, "login", "--profile", "dev")
	prompt := first.waitFor(promptLink)
	first.press("\x03")
	if code := first.wait(); code != 130 {
		t.Errorf("exit code %d after Ctrl-C, want 130:\n%s", code, first.Screen())
	}

	second := c.inTerminal(c.cli("dev")...)
	if again := second.waitFor(promptLink); again[2] != prompt[2] {
		t.Errorf("the second prompt has code %s, the first %s", again[2], prompt[2])
	}
	c.approve(prompt[1])
	if code := second.wait(); code != 0 || !strings.Contains(second.Screen(), arn("dev")) {
		t.Errorf("exit code %d:\n%s", code, second.Screen())
	}
	if n := c.provider.count("/device/auth", ""); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
}

// An issuer as Auth0 writes it, a token with many groups, and the largest session
// token that AWS gives out: all of it must fit through the keyring.
func TestLargeTokensAndTrailingSlash(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{
		provider: providerOptions{Slash: true, Padding: 9000},
		aws:      sandbox.Options{SessionTokenSize: 4096},
	})
	c.configure("dev")
	c.openDesktop("approve")

	first := c.process("dev")
	document := credentials(t, first)
	if n := len(document.SessionToken); n != 4096 {
		t.Errorf("session token of %d bytes, want 4096", n)
	}
	longest := 0
	for _, secret := range c.provider.issued() {
		longest = max(longest, len(secret))
	}
	if longest < 12_000 {
		t.Errorf("the ID token has %d bytes only", longest)
	}
	if !strings.HasSuffix(c.provider.issuer, "/") {
		t.Errorf("issuer %q", c.provider.issuer)
	}
	before := c.asked()
	if second := c.process("dev"); second.stdout != first.stdout || c.asked() != before {
		t.Errorf("the second call was not answered from the keyring: exit code %d, %s", second.code, second.stderr)
	}
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func contents(t *testing.T, file *os.File) string {
	t.Helper()
	data, err := os.ReadFile(file.Name())
	must(t, err)
	return string(data)
}

// A login and its end: programs that do not know credential_process get the
// credentials from exec; after a logout the keyring holds nothing of daypass's, and
// the provider does not take the refresh token any more.
func TestExecStatusLogout(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{})
	c.configure("dev")
	c.openDesktop("approve")
	credentials(t, c.process("dev"))

	c.env["AWS_PROFILE"] = "of something else"
	r := c.say("exec", "--profile", "dev", "--", installed.aws, "sts", "get-caller-identity", "--endpoint-url", c.aws.STSEndpoint)
	if r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
		t.Errorf("%+v", r)
	}
	if c.items() == 0 {
		t.Fatal("the Secret Service holds nothing after a login")
	}
	if r := c.say("status", "--profile", "dev"); r.code != 0 || !strings.Contains(r.stdout, "taro@example.com") {
		t.Errorf("status: %+v", r)
	}

	if r := c.say("logout", "--profile", "dev"); r.code != 0 || !strings.Contains(r.stdout, "dev") {
		t.Errorf("logout: %+v", r)
	}
	if n := c.items(); n != 0 {
		t.Errorf("the Secret Service holds %d items after the logout", n)
	}
	if n := c.provider.count("/token/revocation", ""); n != 1 {
		t.Errorf("%d revocations, want 1", n)
	}
	c.closeDesktop()
	if r := c.process("dev"); r.code != 3 {
		t.Errorf("after the logout process ends with %d: %s", r.code, r.stderr)
	}
}

// items counts what the Secret Service keeps for daypass.
func (c *computer) items() int {
	c.t.Helper()
	conn := connectBus(c.t, c.bus)
	defer conn.Close()
	var unlocked, locked []dbus.ObjectPath
	err := conn.Object(secrets, secretsPath).
		Call("org.freedesktop.Secret.Service.SearchItems", 0, map[string]string{"service": "daypass"}).
		Store(&unlocked, &locked)
	must(c.t, err)
	return len(unlocked) + len(locked)
}

// An ID token that has ended is renewed without a person, and the refresh token
// that comes with the new one is the one that is sent next: this provider ends a
// login whose used refresh token comes again.
func TestExpiredIDTokenIsRenewedAgainAndAgain(t *testing.T) {
	t.Parallel()
	const life = 4 * time.Second
	c := newComputer(t, options{provider: providerOptions{IDTokenLife: int(life / time.Second)}})
	roles := []string{"one", "two", "three", "four", "five"}
	c.configure(roles...)
	c.openDesktop("approve")
	credentials(t, c.process(roles[0]))

	c.env["DAYPASS_PROMPT"] = "never"
	for _, role := range roles[1:] { // a role that is new needs an ID token
		time.Sleep(life + time.Second)
		before := c.asked()
		credentials(t, c.process(role))
		if n := c.asked() - before; n != 2 {
			t.Errorf("renewal for role %s took %d requests, want 1 to the provider and 1 to STS", role, n)
		}
	}

	held, refreshes := "", 0
	for _, r := range c.provider.requests() {
		if r.SentRefreshToken != "" {
			refreshes++
			if r.SentRefreshToken != held {
				t.Errorf("refresh %d sent another token than the last one handed out", refreshes)
			}
			if r.Status != 200 {
				t.Errorf("refresh %d ended with %d %s", refreshes, r.Status, r.Error)
			}
		}
		if r.GotRefreshToken != "" {
			held = r.GotRefreshToken
		}
	}
	if refreshes != len(roles)-1 {
		t.Errorf("%d refreshes, want %d", refreshes, len(roles)-1)
	}
	if n := c.provider.count("/device/auth", ""); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
}

// The SDKs start daypass in their own ways: with another standard input, with a
// time limit, with standard error passed on or swallowed.
func TestSDKs(t *testing.T) {
	t.Parallel()
	clients := map[string][]string{
		"go":         {installed.goSDK},
		"javascript": {installed.node, filepath.Join(installed.folder, "jssdk/identity.mjs")},
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			c := newComputer(t, options{})
			c.configure("dev", "staging")
			tabs := c.openDesktop("approve")
			for _, profile := range []string{"dev", "dev", "staging"} {
				r := c.run(append(client, profile)...)
				if r.code != 0 || strings.TrimSpace(r.stdout) != arn(profile) || r.stderr != "" {
					t.Fatalf("profile %s: %+v", profile, r)
				}
			}
			if opened := tabs(); len(opened) != 1 {
				t.Errorf("%d tabs, want 1: %q", len(opened), opened)
			}
			if n := c.aws.Count("sts"); n != 2 {
				t.Errorf("%d requests of daypass's to STS for two profiles, want 2", n)
			}
		})
	}
}
