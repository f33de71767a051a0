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
	ctx, cancel := context.WithCancelCause(context.Background())
	e := command.OS()
	e.CatchSignals = sync.OnceFunc(func() {
		signals := make(chan os.Signal, 1)
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP} {
			if !signal.Ignored(s) { // by nohup, say: it stays so, for us and for exec's command
				signal.Notify(signals, s)
			}
		}
		go func() {
			s, _ := (<-signals).(syscall.Signal)
			cancel(command.Signal{Signal: s})
		}()
	})
	return command.Run(ctx, e)
}
