//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// checkedLink is one link of the chain as doctor --json tells it.
type checkedLink struct {
	Link, State, Detail, Advice string
}

func (c *computer) doctor(profile string) (int, map[string]checkedLink) {
	c.t.Helper()
	r := c.say("doctor", "--profile", profile, "--json")
	var list []checkedLink
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		c.t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	links := map[string]checkedLink{}
	for _, l := range list {
		links[l.Link] = l
	}
	return r.code, links
}

// With a login at a real provider, in a real keyring, every link holds.
func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	c := newComputer(t, options{provider: providerOptions{Slash: true}})
	c.configure("dev")
	c.openDesktop("approve")
	credentials(t, c.process("dev"))
	items := c.items()

	code, links := c.doctor("dev")
	if code != 0 || len(links) < 15 {
		t.Errorf("exit code %d, %d links", code, len(links))
	}
	for _, l := range links {
		if l.State != "ok" {
			t.Errorf("%+v", l)
		}
	}
	if detail := links["keyring"].Detail; !strings.Contains(detail, "Secret Service") {
		t.Errorf("keyring: %q", detail)
	}
	if n := c.items(); n != items {
		t.Errorf("the keyring holds %d items, before the check %d", n, items)
	}
	if n := c.provider.count("/device/auth", ""); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
}
