package command

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"testing"

	"github.com/daypass/daypass/cache"
)

// TestMain lets the test binary be daypass, for tests that start it as a program.
func TestMain(m *testing.M) {
	if os.Getenv("DAYPASS_TEST_IS_PROGRAM") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		e := OS()
		e.Keyrings = noKeyring()
		code := Run(ctx, e)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// noKeyring is in place of this system's keyrings: logout --all must not reach what
// whoever runs the tests keeps there.
func noKeyring() []cache.Keyring { return []cache.Keyring{absent{}} }

// absent is a keyring that nothing can be stored in.
type absent struct{}

func (a absent) err() error {
	return &cache.UnreachableError{Where: a.Name(), Err: errors.New("there is none in this test")}
}

func (absent) Kind() string                                        { return "absent" }
func (absent) Name() string                                        { return "absent keyring" }
func (a absent) Ready(context.Context) error                       { return a.err() }
func (a absent) Get(context.Context, string) ([]byte, error)       { return nil, a.err() }
func (a absent) Set(context.Context, string, string, []byte) error { return a.err() }
func (a absent) Remove(context.Context, string) error              { return a.err() }
func (a absent) List(context.Context) ([]string, error)            { return nil, a.err() }
func (a absent) CanAsk() bool                                      { return false }
func (a absent) Unlock(context.Context, ...string) error           { return a.err() }
