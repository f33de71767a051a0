package process

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A day at work: 500 aws commands in eight hours, at random moments and with one
// of five roles at random. What the login itself asks is not counted.
func TestADayOfCommandsCostsFewRequests(t *testing.T) {
	const commands, roles, hours = 500, 5, 8
	for _, test := range []struct {
		idTokenLife time.Duration
		most        int // requests to the provider and to STS together
	}{
		{10 * time.Hour, 60},
		{time.Hour, 60 + hours + 1}, // the provider once an hour besides
		{5 * time.Minute, 60 + 60},  // once for each time that STS is asked, at most
	} {
		t.Run(test.idTokenLife.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Options{IDTokenLife: test.idTokenLife, Rotate: true})
			if _, err := w.pipeline().Login(w.ctx(), false); err != nil {
				t.Fatal(err)
			}
			login := w.box.Count("")
			for i := range roles {
				must(t, w.box.Trust(roleOfTheDay(i), ""))
			}
			chance := rand.New(rand.NewPCG(1, 2)) // the same day each time
			moments := make([]time.Duration, commands)
			for i := range moments {
				moments[i] = time.Duration(chance.Int64N(int64(hours * time.Hour)))
			}
			slices.Sort(moments)
			start := w.clock.Now()
			for _, moment := range moments {
				w.clock.Advance(start.Add(moment).Sub(w.clock.Now()))
				arn := roleOfTheDay(chance.IntN(roles))
				w.mustRun(func(p *Pipeline) { p.Profile.RoleARN = arn })
			}
			asked, sts := w.box.Count("")-login, w.box.Count("sts")
			t.Logf("ID tokens of %v: %d requests to the provider and %d to STS for %d commands", test.idTokenLife, asked-sts, sts, commands)
			if asked > test.most {
				t.Errorf("%d requests, want at most %d", asked, test.most)
			}
			if tabs := w.tabs(); tabs != 1 {
				t.Errorf("the person was asked %d times", tabs)
			}
		})
	}
}

func roleOfTheDay(i int) string { return fmt.Sprintf("arn:aws:iam::111122223333:role/day%d", i) }
