package command

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/daypass/daypass/failure"
)

// debugLog opens the file that DAYPASS_DEBUG names, for what an SDK hides and
// status cannot say. It is appended to, and only its owner may read it.
func (e *Environment) debugLog() (*slog.Logger, error) {
	path := e.Getenv("DAYPASS_DEBUG")
	if path == "" {
		return nil, nil
	}
	usage := func(what string) error {
		return &failure.Error{Exit: failure.ExitUsage, Lines: []string{fmt.Sprintf("DAYPASS_DEBUG %q: %s.", path, what), "Set it to the absolute path of a file of yours, or unset it."}}
	}
	if !filepath.IsAbs(path) {
		return nil, usage("is not an absolute path")
	}
	// Before it is opened: a pipe would wait for its other end.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, usage("is not a regular file")
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usage(err.Error())
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 && f.Chmod(0o600) != nil {
		return nil, usage("others can read it")
	}
	// Closed by the end of the process: each line is written at once.
	return slog.New(slog.NewTextHandler(f, nil)).With("pid", os.Getpid()), nil
}
