// Command manpages writes daypass's manual pages from the texts of its commands:
//
//	go run ./internal/manpages DIR
//
// They get the date of SOURCE_DATE_EPOCH where that is set, so that a package can
// be built twice alike, else today's. This is a program of its own because daypass
// itself has no use for it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/daypass/daypass/command"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manpages DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Getenv("SOURCE_DATE_EPOCH"), time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "manpages:", err)
		os.Exit(1)
	}
}

// write writes a page for each command into folder.
func write(folder, epoch string, now time.Time) error {
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", epoch)
		}
		now = time.Unix(seconds, 0)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, page := range pages(command.Tree(), now.UTC().Format(time.DateOnly)) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(page), 0o644); err != nil {
			return err
		}
	}
	return nil
}
