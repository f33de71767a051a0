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
			if devices, sts, renewals := c.aws.Count("device"), c.aws.Count("sts"), c.aws.Count("token:refresh"); devices != 1 || len(tabs()) != 1 || sts != len(roles) || renewals != 0 {
				t.Errorf("%d callers on nothing: %d device authorizations, tabs %q, %d requests to STS, %d renewals; want 1, 1, %d, 0", callers, devices, tabs(), sts, renewals, len(roles))
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
			if n, m := c.aws.Count("token:refresh")-refreshes, c.aws.Count("sts")-asked; n != 1 || m != len(roles) {
				t.Errorf("%d callers on an expired ID token: %d renewals, %d requests to STS; want 1, %d", callers, n, m, len(roles))
			}
			if reused, devices := c.aws.Reused(), c.aws.Count("device"); reused != 0 || devices != 1 {
				t.Errorf("%d refresh tokens were sent twice, %d device authorizations; want 0, 1", reused, devices)
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
