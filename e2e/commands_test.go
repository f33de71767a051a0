//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

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
