//go:build !windows

package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/prompt"
)

// runChild replaces this process by the command: signals, exit status and process
// id are then the command's own.
func runChild(path string, args, environ []string) error {
	return cannotRun(args[0], syscall.Exec(path, args, environ))
}

// superviseChild runs the command, passes signals on to it, and waits for its end.
func superviseChild(ctx context.Context, path string, args, environ []string) error {
	child := &exec.Cmd{Path: path, Args: args, Env: environ, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
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
	err := child.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return &childExit{128 + int(status.Signal())} // as shells count
		}
		return &childExit{exit.ExitCode()}
	}
	if err != nil {
		return cannotRun(args[0], err)
	}
	return nil
}

// inForeground reports whether the keys of a terminal are this process's.
func inForeground() bool {
	t, err := prompt.OpenTerminal()
	if err == nil {
		_ = t.Close()
	}
	return err == nil
}
