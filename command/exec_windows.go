package command

import (
	"context"
	"os"
	"os/exec"
	"os/signal"

	"github.com/daypass/daypass/failure"
)

// runChild runs the command and waits for it: no process can take another's place.
// Ctrl-C and Ctrl-Break reach every process of the console, so the command has them
// already: they are only kept from ending this process first.
func runChild(ctx context.Context, _ bool, path string, args, environ []string) error {
	if err := ctx.Err(); err != nil {
		return failure.Interrupted(err)
	}
	signal.Ignore(os.Interrupt)
	child := exec.Command(path, args[1:]...) // for a batch file, cmd.exe looks the first argument up again
	child.Env = environ
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	return endOf(args[0], child.Run())
}
