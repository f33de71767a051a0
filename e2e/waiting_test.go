//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// sandboxLink matches the complete link of a prompt for the sandbox's provider,
// and the code in it.
const sandboxLink = `(http://127\.0\.0\.1:\d+/idp/device\?user_code=([A-Z]{4}-[A-Z]{4}))`

// Whoever waits for another process's login is told what for, within its own time.
func TestWaitersAreTold(t *testing.T) {
	t.Parallel()
	c := newSandboxComputer(t, sandbox.Options{})
	c.writeConfig(c.section("corp", "storage = keyring", "process_timeout = 15s") + c.profile("dev", "corp"))
	leader := c.inTerminal(installed.daypass, "login", "--profile", "dev")
	code := leader.waitFor(sandboxLink)[2]
	wait := func() *terminal {
		t.Helper()
		waiter := c.inTerminal(installed.daypass, "process", "--profile", "dev")
		waiter.waitFor("daypass: waiting for the login with code " + code + ", [0-9]+ s")
		return waiter
	}
	waiter := wait()
	if exit := waiter.wait(); exit != 3 || !strings.Contains(waiter.Screen(), "not approved within 15 s. Code "+code+" stays good until") {
		t.Errorf("out of time: exit code %d, want 3 and what to do\n%s", exit, waiter.Screen())
	}
	waiter = wait()
	for _, term := range []*terminal{wait(), leader} {
		term.press("\x03")
		if exit := term.wait(); exit != 130 {
			t.Errorf("%q: exit code %d after Ctrl-C, want 130\n%s", term.cmd.Args[1], exit, term.Screen())
		}
	}
	// The other waiter takes the code over, and shows it.
	if again := waiter.waitFor(sandboxLink)[2]; again != code {
		t.Errorf("code %s, want the same as before: %s", again, code)
	}
	if exit := waiter.wait(); exit != 3 || !strings.Contains(waiter.Screen(), "Code "+code+" stays good until") {
		t.Errorf("process: exit code %d, want 3 and what to do\n%s", exit, waiter.Screen())
	}
	if n := c.aws.Count("device"); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
}

// Of several that wait on one terminal, one tells.
func TestOneOfManyTells(t *testing.T) {
	t.Parallel()
	c := newSandboxComputer(t, sandbox.Options{})
	c.writeConfig(c.section("corp", "storage = keyring") + c.profile("dev", "corp"))
	leader := c.inTerminal(installed.daypass, "login", "--profile", "dev")
	code := leader.waitFor(sandboxLink)[2]
	others := c.inTerminal("sh", "-c", strings.Repeat(installed.daypass+" process --profile dev >/dev/null & ", 4)+"wait")
	others.waitFor("waiting for the login with code " + code + ", 3 s")
	must(t, c.aws.Approve(code, "taro"))
	leader.wait()
	others.wait()
	if n := strings.Count(others.Screen(), "waiting for the login"); n > 6 { // each second
		t.Errorf("told %d times:\n%q", n, others.Screen())
	}
}
