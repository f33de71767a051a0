//go:build e2e && linux

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/daypass/daypass/internal/sandbox"
)

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
// login whose used refresh token comes again. The issuer is as Auth0 writes it, the ID
// token is one with many groups, and the session token the largest that AWS gives out:
// all of it must fit through the keyring.
func TestExpiredIDTokenIsRenewedAgainAndAgain(t *testing.T) {
	t.Parallel()
	const life = 8 * time.Second // on a busy machine, the token must still be good at AWS
	c := newComputer(t, startProvider(t, providerOptions{IDTokenLife: int(life / time.Second), Slash: true, Padding: 9000}), sandbox.Options{SessionTokenSize: 4096})
	roles := []string{"one", "two", "three"}
	c.configure(roles...)
	c.openDesktop("approve")
	if n := len(credentials(t, c.process(roles[0])).SessionToken); n != 4096 {
		t.Errorf("session token of %d bytes, want 4096", n)
	}
	isLong := func(secret string) bool { return len(secret) >= 12_000 }
	if !slices.ContainsFunc(c.provider.issued(), isLong) || !strings.HasSuffix(c.issuer, "/") {
		t.Errorf("the ID token of %s is short", c.issuer)
	}

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
	if n := c.provider.count("/device/auth"); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}

	c.provider.stop()
	c.aws.Close()
	if r := c.process(roles[2]); r.code != 0 {
		t.Errorf("with no network a cached answer ends with %d: %s", r.code, r.stderr)
	}
}
