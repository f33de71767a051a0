//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/ptytest"
	"github.com/daypass/daypass/internal/sandbox"
)

// Whoever waits for another process's login is told what for, within its own time, and
// once however many wait on one terminal.
func TestWaitersAreTold(t *testing.T) {
	t.Parallel()
	c := newComputer(t, nil, sandbox.Options{})
	c.writeConfig(c.section("corp", "storage = keyring", "process_timeout = 15s"), c.profile("dev", "corp"))
	leader := c.inTerminal(installed.daypass, "login", "--profile", "dev")
	code := leader.Await(promptLink)[2]
	wait := func(beside int) *ptytest.Terminal {
		t.Helper()
		process := installed.daypass + " process --profile dev >/dev/null"
		waiter := c.inTerminal("sh", "-c", strings.Repeat(process+" & ", beside)+"exec "+process)
		waiter.Await("daypass: waiting for the login with code " + code + ", [0-9]+ s")
		return waiter
	}
	waiter := wait(3)
	exit, screen := waiter.End()
	if exit != 3 || !strings.Contains(screen, "not approved within 15 s. Code "+code+" stays good until") {
		t.Errorf("out of time: exit code %d, want 3 and what to do\n%s", exit, screen)
	}
	if n := strings.Count(screen, "waiting for the login"); n > 25 { // each second
		t.Errorf("told %d times:\n%q", n, screen)
	}
	waiter = wait(0)
	for _, term := range []*ptytest.Terminal{wait(0), leader} {
		term.Type("\x03")
		if exit, screen := term.End(); exit != 130 {
			t.Errorf("exit code %d after Ctrl-C, want 130\n%s", exit, screen)
		}
	}
	// The other waiter takes the code over, and shows it.
	if again := waiter.Await(promptLink)[2]; again != code {
		t.Errorf("code %s, want the same as before: %s", again, code)
	}
	if exit, screen := waiter.End(); exit != 3 || !strings.Contains(screen, "Code "+code+" stays good until") {
		t.Errorf("process: exit code %d, want 3 and what to do\n%s", exit, screen)
	}
	if n := c.aws.Count("device"); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
}
