//go:build !windows

package command

import "syscall"

// runChild replaces this process by the command: signals, exit status and process
// id are then the command's own.
func runChild(path string, args, environ []string) error {
	return cannotRun(args[0], syscall.Exec(path, args, environ))
}
