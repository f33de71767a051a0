// Command daypass gives AWS credentials to everybody who can log in at the
// company's identity provider. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/daypass/daypass/command"
	"github.com/daypass/daypass/failure"
)

func main() { os.Exit(run()) }

// run runs the command line and returns its exit code. A signal ends the command
// by its context: an exchange with the provider that has begun is finished first,
// for its answer holds the only copy of the new refresh token. On Windows a
// closed console arrives as SIGTERM.
//
// Until a command asks for that, a signal ends the process at once: Go catches
// signals in a thread of its own, whose start takes longer than the reading of a
// cached answer.
func run() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	caught := make(chan syscall.Signal, 1)
	e := command.OS()
	e.CatchSignals = sync.OnceFunc(func() {
		signals := make(chan os.Signal, 1)
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
			if !signal.Ignored(s) { // by nohup, say: it stays so, for us and for exec's command
				signal.Notify(signals, s)
			}
		}
		go func() {
			s, _ := (<-signals).(syscall.Signal)
			caught <- s
			cancel()
		}()
	})
	code := command.Run(ctx, e)
	if code == failure.ExitInterrupt {
		select {
		case s := <-caught:
			return 128 + int(s) // 130 for Ctrl-C, as shells count
		default:
		}
	}
	return code
}
