//go:build e2e && linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// secretTool runs the Secret Service's own client.
func (c *computer) secretTool(account string) string {
	c.t.Helper()
	r := c.run("secret-tool", "lookup", "service", "daypass", "username", account)
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.stdout
}

// loginID is the random id of the one login, which is part of its items' names.
func (c *computer) loginID() string {
	c.t.Helper()
	places, err := filepath.Glob(filepath.Join(c.folder, "home/.local/state/daypass/*/place.json"))
	if err != nil || len(places) != 1 {
		c.t.Fatalf("%d places (%v)", len(places), err)
	}
	_, rest, _ := strings.Cut(read(c.t, places[0]), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// A login on the desktop is out of reach over SSH, where there is no session bus:
// every command says so, and a logout there forgets nothing. The desktop's logout
// revokes and deletes it, once its keyring is unlocked.
func TestLogoutOverSSH(t *testing.T) {
	t.Parallel()
	c := newComputer(t, nil, sandbox.Options{Rotate: true})
	c.writeConfig(c.section("corp"), c.profile("dev", "corp"))
	c.login("dev")
	credentials(t, c.process("dev"))

	// The tokens are in the keyring, where its own tools find them.
	id := c.loginID()
	if record := c.secretTool("login-" + id); !strings.Contains(record, `"refresh_token":"rt-`) || !strings.Contains(record, `"id_token":"eyJ`) {
		t.Errorf("secret-tool finds no login record (%d bytes)", len(record))
	}
	if key := c.secretTool("key-" + id); len(key) < 32 {
		t.Errorf("secret-tool finds no key (%d bytes)", len(key))
	}

	// A bus that is not there is not started, though a program is there that would.
	launched := filepath.Join(c.folder, "launched")
	must(t, os.WriteFile(filepath.Join(c.folder, "dbus-launch"), []byte("#!/bin/sh\necho \"$@\" >> "+launched+"\n"), 0o700))
	c.env["PATH"] = c.folder + ":" + c.env["PATH"]
	bus := c.env["DBUS_SESSION_BUS_ADDRESS"]
	delete(c.env, "DBUS_SESSION_BUS_ADDRESS")
	const away = "the login of corp is in the Secret Service, which this session cannot reach (there is no D-Bus session bus in this session)."
	before := c.aws.Count("")
	for _, argv := range []string{"logout --profile dev", "logout --idp corp", "logout --all", "process --profile dev", "login --profile dev", "token --idp corp",
		"status --profile dev", "status", "exec --profile dev -- true", "console --profile dev --print"} {
		c.ends(7, away, strings.Fields(argv)...)
	}
	if n := c.aws.Count("") - before; n != 0 {
		t.Errorf("%d requests, want 0", n)
	}
	for _, argv := range []string{"doctor --profile dev", "trust-policy --profile dev", "configure --yes --dry-run --idp corp --role-arn " + c.aws.RoleARN + " --profile new",
		"completion bash", "version", "help"} {
		if r := c.say(strings.Fields(argv)...); r.code == 1 || strings.Contains(r.stderr, "dbus-launch") {
			t.Errorf("daypass %s: %+v", argv, r)
		}
	}
	if _, err := os.Stat(launched); err == nil {
		t.Error("dbus-launch was called")
	}

	c.env["DBUS_SESSION_BUS_ADDRESS"] = bus
	credentials(t, c.process("dev")) // nothing is forgotten
	c.ends(0, "", "status", "--profile", "dev")

	// A locked keyring is as out of reach for a logout as one without a bus.
	c.keyring.stop()
	c.keyring = startKeyring(t, c.environ(), c.bus, "")
	for _, argv := range []string{"logout --profile dev", "logout --all", "status", "process --profile dev"} {
		c.ends(7, "the keyring that holds the login of corp is locked", strings.Fields(argv)...)
	}
	must(t, unlockKeyring(t, c.bus, keyringPassword))
	c.ends(0, "", "logout", "--profile", "dev")
	if n := c.aws.Count("revoke"); n != 1 {
		t.Errorf("%d revocations, want 1", n)
	}
	if record := c.secretTool("login-" + id); record != "" {
		t.Error("the keyring still has the login")
	}
	c.ends(3, "profile dev needs a login", "process", "--profile", "dev")
	c.ends(3, "profile dev needs a login", "status")
}
