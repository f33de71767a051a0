package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
)

// runChild runs the command and waits for it. Ctrl-C and Ctrl-Break reach every
// process of the console, so the command has them already: they are only kept
// from ending this process first.
func runChild(path string, args, environ []string) error {
	signal.Ignore(os.Interrupt)
	child := exec.Command(path, args[1:]...)
	child.Env = environ
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &childExit{exit.ExitCode()}
	}
	if err != nil {
		return cannotRun(args[0], err)
	}
	return nil
}

func superviseChild(_ context.Context, path string, args, environ []string) error {
	return runChild(path, args, environ)
}
