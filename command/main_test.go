package command

import (
	"context"
	"os"
	"os/signal"
	"testing"
)

// TestMain lets the test binary be daypass, for tests that start it as a program.
func TestMain(m *testing.M) {
	if os.Getenv("DAYPASS_TEST_IS_PROGRAM") != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := Run(ctx, OS())
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}
