//go:build !windows

package command

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/prompt"
)

// runChild runs the command. If this process need not stay, the command takes its
// place: signals, exit status and process id are then the command's own. Else signals
// are passed on to it, and its end is waited for.
func runChild(ctx context.Context, stay bool, path string, args, environ []string) error {
	signals := make(chan os.Signal, 8)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		if !signal.Ignored(s) { // the command inherits that
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	if err := ctx.Err(); err != nil { // one that came before
		return failure.Interrupted(err)
	}
	if !stay {
		return cannotRun(args[0], syscall.Exec(path, args, environ))
	}
	child := &exec.Cmd{Path: path, Args: args, Env: environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if err := child.Start(); err != nil {
		return cannotRun(args[0], err)
	}
	go func() {
		for s := range signals {
			// A key of the terminal reaches the command as well. Twice is not once:
			// Terraform, for one, takes a second Ctrl-C for "give up everything".
			if (s == os.Interrupt || s == syscall.SIGQUIT) && inForeground() {
				continue
			}
			_ = child.Process.Signal(s)
		}
	}()
	return endOf(args[0], child.Wait())
}

// inForeground reports whether the keys of a terminal are this process's.
func inForeground() bool {
	t, err := prompt.OpenTerminal()
	if err == nil {
		_ = t.Close()
	}
	return err == nil
}
