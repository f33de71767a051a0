// Command man writes the man pages of daypass into a folder: what --help says, in
// the form of man. The release runs it; the program itself links none of it.
//
//	go run ./docs/man DIR
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra/doc"

	"github.com/daypass/daypass/command"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./docs/man DIR")
		os.Exit(2)
	}
	header := doc.GenManHeader{Title: "DAYPASS", Section: "1", Source: "daypass", Manual: "daypass", Date: date()}
	tree := command.Tree()
	tree.DisableAutoGenTag = true // it names cobra
	err := os.MkdirAll(os.Args[1], 0o755)
	if err == nil {
		err = doc.GenManTree(tree, &header, os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// date is that of the release, so that the same source makes the same pages.
//
// https://reproducible-builds.org/specs/source-date-epoch/
func date() *time.Time {
	var seconds int64
	_, _ = fmt.Sscan(os.Getenv("SOURCE_DATE_EPOCH"), &seconds)
	date := time.Unix(seconds, 0).UTC()
	return &date
}
