//go:build e2e && linux

package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A hundred callers at once: first on nothing, then on an ID token that has
// expired, whose refresh token can be used once.
func TestHundredCallers(t *testing.T) {
	const callers = 100
	roles := []string{"one", "two", "three", "four"}
	for _, storage := range []string{"keyring", "file"} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			c := newComputer(t, nil, sandbox.Options{Rotate: true})
			tabs := c.startPerson()
			config := c.section("corp", "storage = "+storage)
			for _, role := range roles {
				config += c.profile(role, "corp")
			}
			c.writeConfig(config)

			c.crowd(callers, roles)
			for _, count := range []struct {
				what    string
				n, want int
			}{
				{"device authorizations", c.aws.Count("device"), 1},
				{"tabs", len(tabs()), 1},
				{"requests to STS", c.aws.Count("sts"), len(roles)},
				{"renewals", c.aws.Count("token:refresh"), 0},
			} {
				if count.n != count.want {
					t.Errorf("%d callers on nothing: %d %s, want %d", callers, count.n, count.what, count.want)
				}
			}

			// A renewal leaves an ID token that ends at once.
			c.aws.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Second })
			if r := c.say("login", "--profile", roles[0]); r.code != 0 {
				t.Fatalf("login: %+v", r)
			}
			time.Sleep(time.Second)
			c.aws.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Hour })
			refreshes, asked := c.aws.Count("token:refresh"), c.aws.Count("sts")
			c.crowd(callers, roles, "--duration", "50m") // records that are not there yet
			if n := c.aws.Count("token:refresh") - refreshes; n != 1 {
				t.Errorf("%d callers on an expired ID token: %d renewals, want 1", callers, n)
			}
			if n := c.aws.Count("sts") - asked; n != len(roles) {
				t.Errorf("%d callers on an expired ID token: %d requests to STS, want %d", callers, n, len(roles))
			}
			if n := c.aws.Reused(); n != 0 {
				t.Errorf("%d refresh tokens were sent twice", n)
			}
			if n := c.aws.Count("device"); n != 1 {
				t.Errorf("%d device authorizations in the end, want 1", n)
			}
		})
	}
}

// crowd starts that many processes at once, spread over the profiles. Those of
// one profile must get the same credentials.
func (c *computer) crowd(size int, profiles []string, flags ...string) {
	c.t.Helper()
	results := make([]result, size)
	var crowd sync.WaitGroup
	for i := range results {
		argv := []string{installed.daypass, "process", "--profile", profiles[i%len(profiles)]}
		crowd.Go(func() { results[i] = c.run(append(argv, flags...)...) })
	}
	crowd.Wait()
	for i, r := range results {
		if credentials(c.t, r) != credentials(c.t, results[i%len(profiles)]) {
			c.t.Errorf("profile %s: not the same credentials for all", profiles[i%len(profiles)])
		}
	}
}
