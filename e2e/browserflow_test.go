//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// The main job, with both flows and two certified providers: a person types an aws
// command on a new computer, approves in the browser, and has the identity; from then on
// nobody and nothing is asked, until the logout. The CLI hides the helper's standard
// error: the prompt must be on the terminal itself, wherever the CLI's own output goes.
// Programs that do not know credential_process get the credentials from exec. The browser
// gets the console by an address that is good once, and no secret in one.
func TestBothFlows(t *testing.T) {
	oidcProvider := func(o providerOptions) func(*testing.T) *provider {
		return func(t *testing.T) *provider { return startProvider(t, o) }
	}
	for _, test := range []struct {
		name, setting string
		start         func(*testing.T) *provider
		answer        string
		forgets       bool // whose refresh token it gave out for a device code
	}{
		{"oidc-provider/device", "flow = device", oidcProvider(providerOptions{}), "approve", false},
		{"oidc-provider/browser", "", oidcProvider(providerOptions{NoDeviceCodes: true}), "login", false},
		{"zitadel/device", "flow = device", startZitadel, "approve", true},
		{"zitadel/browser", "flow = browser", startZitadel, "login", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newComputer(t, test.start(t), sandbox.Options{})
			c.writeConfig(c.section("corp", "storage = keyring", test.setting), c.profile("dev", "corp"), c.profile("staging", "corp"))
			tabs := c.openDesktop(test.answer)
			term := c.inTerminal(append([]string{"sh", "-c", `exec "$@" > stdout 2> stderr`, "sh"}, c.cli("dev")...)...)
			code, screen := term.End()
			if out, errs := c.read("home/stdout"), c.read("home/stderr"); code != 0 || !strings.Contains(out, `"Arn": "`+arn("dev")+`"`) || strings.Contains(out, "device") || errs != "" {
				t.Fatalf("exit code %d:\n%s\n%s%s\n%s", code, screen, out, errs, c.read("browser.log"))
			}
			if opened := tabs(); len(opened) != 1 || test.answer == "approve" && !strings.Contains(screen, opened[0]) {
				t.Errorf("opened %q, the terminal shows:\n%s", opened, screen)
			}
			if test.answer == "login" {
				await(t, "the last page", func() bool { return strings.HasSuffix(c.read("browser.log"), "\n") }) // daypass does not
				if page := c.read("browser.log"); !strings.HasPrefix(page, "taro@example.com is logged in to 127.0.0.1:") || strings.ContainsAny(page, "?=") {
					t.Errorf("the last page: %s", page)
				}
			}
			for profile, asks := range map[string]int{"dev": 0, "staging": 1} { // STS
				before := c.asked()
				if r := c.run(c.cli(profile)...); r.code != 0 || !strings.Contains(r.stdout, arn(profile)) || c.asked()-before != asks {
					t.Errorf("a later call for %s: %d requests, want %d: %+v", profile, c.asked()-before, asks, r)
				}
			}
			if r := c.say("console", "s3", "--profile", "dev"); r.code != 0 || r.stdout+r.stderr != "" {
				t.Errorf("console: %+v", r)
			}
			await(t, "the console", func() bool {
				page := c.read("browser.log")
				return strings.Contains(page, arn("dev")) && strings.Contains(page, "https://eu-west-1.console.aws.amazon.com/s3/home?")
			})
			if opened := tabs(); len(opened) != 2 || !strings.HasPrefix(opened[1], "http://127.0.0.1:") || strings.Contains(opened[1], "?") || len(c.aws.SecretsInURLs()) > 0 {
				t.Errorf("opened %q; requests with a secret in the URL: %d", opened, len(c.aws.SecretsInURLs()))
			}
			c.env["AWS_PROFILE"] = "of something else"
			r := c.say("exec", "--profile", "dev", "--", installed.aws, "sts", "get-caller-identity", "--endpoint-url", c.aws.STSEndpoint)
			if r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
				t.Errorf("exec: %+v", r)
			}
			if test.forgets {
				return
			}
			if r := c.say("login", "--profile", "dev"); r.code != 0 || r.stdout != "daypass: still logged in to corp as taro@example.com; renews by itself.\n" {
				t.Errorf("login again: %+v", r)
			}
			if c.items() == 0 {
				t.Error("the Secret Service holds nothing after a login")
			}
			if r := c.say("logout", "--profile", "dev"); r.code != 0 || !strings.Contains(r.stdout, "Logged out of corp") {
				t.Errorf("logout: %+v", r)
			}
			if n := c.items(); n != 0 {
				t.Errorf("the Secret Service holds %d items after the logout", n)
			}
			if n := c.provider.count("/token/revocation"); n != 1 && c.provider.log != "" {
				t.Errorf("%d revocations, want 1", n)
			}
			delete(c.env, "BROWSER")
			c.ends(3, "profile dev needs a login", "process", "--profile", "dev")
		})
	}
}

// Over SSH the address goes to a browser elsewhere, and what that ends on is pasted,
// which nobody sees.
func TestPastedAddress(t *testing.T) {
	t.Parallel()
	c := newComputer(t, startProvider(t, providerOptions{NoDeviceCodes: true}), sandbox.Options{})
	c.writeConfig(c.section("corp", "redirect_uri = http://localhost/callback"), c.profile("dev", "corp"))
	c.ends(3, "there is no terminal to ask on", "process", "--profile", "dev")
	term := c.inTerminal(installed.daypass, "login", "--no-browser", "--profile", "dev")
	address := term.Await(`(http://127\.0\.0\.1:\d+/auth\?\S+)`)[1]
	r := c.run(installed.node, installed.in("provider/approve.mjs"), address, "paste")
	pasted := strings.TrimSpace(r.stdout)
	if r.code != 0 || !strings.Contains(pasted, "code=") {
		t.Fatalf("the browser elsewhere: %+v", r)
	}
	term.Await(`\(not shown\): `)
	term.Type(pasted + "\r")
	if code, screen := term.End(); code != 0 || !strings.Contains(screen, "logged in to corp as taro@example.com") || strings.Contains(screen, "code=") {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
}
