//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// binaries are the paths of what is measured.
type binaries struct {
	daypass                 string // as it is released
	pie                     string // the same as a position-independent executable
	launch                  string
	constant, file, keyring string // the yardsticks
}

// build builds daypass by the Makefile's own rule, and the yardsticks with the
// same flags. What is measured are copies, as an installation makes them: the linker
// writes into a mapping, which leaves a file in the page cache in single pages, and a
// start of daypass takes 8 % more CPU to map those than the large ones of a copy.
func build(folder string) (binaries, error) {
	in := func(name string) string { return filepath.Join(folder, name) }
	b := binaries{
		daypass: in("daypass"), pie: in("daypass-pie"), launch: in("launch"),
		constant: in("print"), file: in("file"), keyring: in("keyring"),
	}
	linked := in("linked")
	root, err := projectRoot()
	if err == nil {
		err = release(root, filepath.Join(linked, "daypass"))
	}
	if err == nil {
		err = release(root, filepath.Join(linked, "daypass-pie"), "GOFLAGS=-buildmode=pie")
	}
	if err == nil {
		err = call(root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", linked+"/",
			"./bench/launch", "./bench/yardstick/print", "./bench/yardstick/file", "./bench/yardstick/keyring")
	}
	if err == nil {
		err = os.CopyFS(folder, os.DirFS(linked))
	}
	return b, err
}

// release builds daypass as it is released.
func release(root, path string, env ...string) error {
	return call(root, append(env, "MAKEFLAGS="), "make", "build", "BINARY="+path)
}

// projectRoot is the folder of go.mod.
func projectRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return string(out[:len(out)-1]), nil
}

func call(folder string, env []string, argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w\n%s", argv, err, out)
	}
	return nil
}
