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
	header := doc.GenManHeader{Title: "DAYPASS", Section: "1", Source: "daypass", Manual: "daypass"}
	time.Local = time.UTC // the same SOURCE_DATE_EPOCH makes the same pages everywhere
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
