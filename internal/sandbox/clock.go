package sandbox

import (
	"context"
	"sync"
	"time"
)

// Clock is a clock for tests: it moves only when it is told to, or when somebody
// sleeps by it. All methods can be called by several goroutines.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns what the clock shows, for [Options] and wherever else a clock is a
// parameter.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance sets the clock forward by d, or back if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sleep returns at once and sets the clock forward by d. If ctx has ended, it
// returns ctx's error instead and leaves the clock alone.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Advance(d)
	return nil
}

// Deadline returns a context that says its deadline is at, a time of a [Clock].
// It does not end by itself: it ends only when ctx does.
func Deadline(ctx context.Context, at time.Time) context.Context {
	return deadline{ctx, at}
}

type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }
