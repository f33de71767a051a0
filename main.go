// Command daypass gives AWS credentials to everybody who can log in at the
// company's identity provider. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/daypass/daypass/command"
)

func main() { os.Exit(run()) }

// run runs the command line and returns its exit code. A signal ends the command
// by its context: an exchange with the provider that has begun is finished first,
// for its answer holds the only copy of the new refresh token. On Windows a
// closed console arrives as SIGTERM.
func run() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // by nohup, say: it stays so, for us and for exec's command
			signal.Notify(signals, s)
		}
	}
	caught := make(chan syscall.Signal, 1)
	go func() {
		s, _ := (<-signals).(syscall.Signal)
		caught <- s
		cancel()
	}()
	code := command.Run(ctx, command.OS())
	if code == command.ExitInterrupt {
		select {
		case s := <-caught:
			return 128 + int(s) // 130 for Ctrl-C, as shells count
		default:
		}
	}
	return code
}
