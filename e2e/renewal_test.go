//go:build e2e && linux

package e2e

import (
	"testing"
	"time"
)

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
