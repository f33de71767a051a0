//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// set puts a line into the section of the login.
func (c *computer) set(line string) {
	c.t.Helper()
	path := filepath.Join(c.folder, "home/.aws/config")
	config, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, path, strings.Replace(string(config), "client_id", line+"\nclient_id", 1))
}

// Both flows work with two certified providers, from a cold aws command to a renewal.
func TestBothFlows(t *testing.T) {
	for _, test := range []struct{ provider, flow, answer string }{
		{"oidc-provider", "device", "approve"},
		{"oidc-provider", "browser", "login"},
		{"zitadel", "device", "approve"},
		{"zitadel", "browser", "login"},
	} {
		t.Run(test.provider+"/"+test.flow, func(t *testing.T) {
			t.Parallel()
			start := startZitadel
			if test.provider == "oidc-provider" {
				start = func(t *testing.T) *provider { return startProvider(t, providerOptions{}) }
			}
			c := startComputer(t, start(t), sandbox.Options{})
			c.configure("dev")
			c.set("flow = " + test.flow)
			tabs := c.openDesktop(test.answer)
			if r := c.run(c.cli("dev")...); r.code != 0 || !strings.Contains(r.stdout, arn("dev")) {
				log, _ := os.ReadFile(filepath.Join(c.folder, "browser.log"))
				t.Fatalf("%+v\n%s", r, log)
			}
			if len(tabs()) != 1 {
				t.Errorf("tabs %q", tabs())
			}
			if r := c.run(installed.daypass, "console", "--print", "--profile", "dev"); r.code != 0 || !strings.Contains(r.stdout, "SigninToken=") {
				t.Errorf("console: exit code %d\n%s", r.code, r.stderr)
			}
			if test.provider+test.flow == "zitadeldevice" {
				return // its example forgets whose refresh token it gave out for a device code
			}
			if r := c.say("login", "--profile", "dev"); r.code != 0 || r.stdout != "daypass: still logged in to corp as taro@example.com; renews by itself.\n" {
				t.Errorf("login again: %+v", r)
			}
			if r := c.say("logout", "--profile", "dev"); r.code != 0 || !strings.Contains(r.stdout, "Logged out of corp") {
				t.Errorf("logout: %+v", r)
			}
		})
	}
}

// However many callers start on nothing, there is one authorization and one tab, and a
// provider without device codes needs nothing but issuer and client id.
func TestCrowdWithOneBrowserTab(t *testing.T) {
	t.Parallel()
	const callers = 25
	c := newComputer(t, options{provider: providerOptions{NoDeviceCodes: true}})
	c.configure("dev", "staging")
	tabs := c.openDesktop("login")
	results := make([]result, callers)
	var crowd sync.WaitGroup
	for i := range results {
		crowd.Go(func() { results[i] = c.process([]string{"dev", "staging"}[i%2]) })
	}
	crowd.Wait()
	for _, r := range results {
		credentials(t, r)
	}
	if n := c.provider.count("/token", "authorization_code"); n != 1 || len(tabs()) != 1 {
		t.Errorf("%d codes redeemed, tabs %q", n, tabs())
	}
	var page string
	await(t, "the last page", func() bool { // the callers do not wait for it
		data, err := os.ReadFile(filepath.Join(c.folder, "browser.log"))
		must(t, err)
		page = string(data)
		return strings.HasSuffix(page, "\n")
	})
	if !strings.HasPrefix(page, "taro@example.com is logged in to 127.0.0.1:") || strings.ContainsAny(page, "?=") {
		t.Errorf("the last page: %s", page)
	}
}

// Over SSH the address goes to a browser elsewhere, and what that ends on is pasted,
// which nobody sees.
func TestPastedAddress(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{provider: providerOptions{NoDeviceCodes: true}})
	c.configure("dev")
	c.set("redirect_uri = http://localhost/callback")
	if r := c.process("dev"); r.code != 3 || !strings.Contains(r.stderr, "there is no terminal to ask on") {
		t.Errorf("nobody there: %+v", r)
	}
	term := c.inTerminal(installed.daypass, "login", "--no-browser", "--profile", "dev")
	address := term.waitFor(`(http://127\.0\.0\.1:\d+/auth\?\S+)`)[1]
	r := c.run(installed.node, installed.approve(), address, "paste")
	pasted := strings.TrimSpace(r.stdout)
	if r.code != 0 || !strings.Contains(pasted, "code=") {
		t.Fatalf("the browser elsewhere: %+v", r)
	}
	term.waitFor(`\(not shown\): `)
	term.press(pasted + "\r")
	if code := term.wait(); code != 0 || !strings.Contains(term.Screen(), "logged in to corp as taro@example.com") || strings.Contains(term.Screen(), "code=") {
		t.Errorf("exit code %d:\n%s", code, term.Screen())
	}
}
