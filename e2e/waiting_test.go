//go:build e2e && linux

package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// sandboxLink matches the complete link of a prompt for the sandbox's provider,
// and the code in it.
const sandboxLink = `(http://127\.0\.0\.1:\d+/idp/device\?user_code=([A-Z]{4}-[A-Z]{4}))`

// Whoever waits for another process's login is told what for, within its own time.
func TestWaitersAreTold(t *testing.T) {
	newPair := func(t *testing.T) (c *computer, leader, waiter *terminal, code string) {
		t.Parallel()
		c = newSandboxComputer(t, sandbox.Options{})
		c.writeConfig(c.section("corp", "storage = keyring", "process_timeout = 15s") + c.profile("dev", "corp"))
		leader = c.inTerminal(installed.daypass, "login", "--profile", "dev")
		code = leader.waitFor(sandboxLink)[2]
		cmd := c.command(installed.daypass, "process", "--profile", "dev")
		cmd.Stdout = &bytes.Buffer{} // the credentials
		waiter = startInTerminal(t, cmd)
		t.Cleanup(func() { c.show(waiter.Screen()) })
		waiter.waitFor("daypass: waiting for the login with code " + code + ", [0-9]+ s")
		return c, leader, waiter, code
	}
	// One login only, whatever becomes of it.
	check := func(c *computer) {
		c.t.Helper()
		if n := c.aws.Count("device"); n != 1 {
			c.t.Errorf("%d device authorizations, want 1", n)
		}
	}

	t.Run("Ctrl-C", func(t *testing.T) {
		c, leader, waiter, code := newPair(t)
		second := c.inTerminal(installed.daypass, "process", "--profile", "dev")
		second.waitFor("waiting for the login with code " + code)
		second.press("\x03")
		if exit := second.wait(); exit != 130 {
			t.Errorf("a waiter: exit code %d after Ctrl-C, want 130\n%s", exit, second.Screen())
		}
		leader.press("\x03")
		if exit := leader.wait(); exit != 130 {
			t.Errorf("login: exit code %d after Ctrl-C, want 130\n%s", exit, leader.Screen())
		}
		// The other waiter takes the code over, and shows it.
		if again := waiter.waitFor(sandboxLink)[2]; again != code {
			t.Errorf("code %s, want the same as before: %s", again, code)
		}
		if exit := waiter.wait(); exit != 3 || !strings.Contains(waiter.Screen(), "Code "+code+" stays good until") {
			t.Errorf("process: exit code %d, want 3 and what to do\n%s", exit, waiter.Screen())
		}
		check(c)
	})

	t.Run("out of time", func(t *testing.T) {
		c, leader, waiter, code := newPair(t)
		if exit := waiter.wait(); exit != 3 || !strings.Contains(waiter.Screen(), "not approved within 15 s. Code "+code+" stays good until") {
			t.Errorf("process: exit code %d, want 3 and what to do\n%s", exit, waiter.Screen())
		}
		must(t, c.aws.Approve(code, "taro"))
		if exit := leader.wait(); exit != 0 {
			t.Errorf("login: exit code %d\n%s", exit, leader.Screen())
		}
		check(c)
	})
}
