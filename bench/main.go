//go:build linux

// Command bench measures what daypass costs whom it serves, beside yardsticks: a
// Go program that prints a constant, one that prints a file, one that calls
// go-keyring's Get once, and the AWS CLI.
//
//	make bench
//
// prints the tables of docs/performance.md. It has a home folder, a session bus
// and a GNOME Keyring of its own; only the keys of its kernel keyring rows are the
// user's, and it removes them. Programs that it needs: e2e/install.sh. Times
// differ from machine to machine and from run to run, so everything in one table
// is measured in turns, and what counts is the ratio.
//
// What must not grow is checked by limits_test.go, by figures that repeat.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	folder, err := os.MkdirTemp("", "daypass-bench-") // short: a socket's path has 107 bytes at most
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	built, err := build(folder)
	if err != nil {
		return err
	}
	bus, err := startKeyring(folder)
	if err != nil {
		return err
	}
	defer bus.stop()
	h, err := newHome(filepath.Join(folder, "home"), built.daypass, bus.address, "file", "keyring", "kernel", "auto")
	if err != nil {
		return err
	}
	defer h.close()
	item, err := h.yardsticks(bus.address)
	if err != nil {
		return err
	}

	process := func(program, storage, yardstick, name string) row {
		return row{name: name, command: []string{program, "process", "--profile", storage}, yardstick: yardstick}
	}
	var (
		constant = row{name: "Go program that prints a constant", command: []string{built.constant}}
		file     = row{name: "Go program that prints a file of 2 kB", command: []string{built.file, item.file}, short: "that file"}
		keyring  = row{name: "Go program that calls go-keyring's Get once", command: []string{built.keyring, item.service, item.user}, short: "go-keyring"}

		inFile    = process(built.daypass, "file", file.short, "daypass process, file")
		inKernel  = process(built.daypass, "kernel", file.short, "daypass process, kernel keyring")
		inService = process(built.daypass, "keyring", keyring.short, "daypass process, Secret Service")
		inEither  = process(built.daypass, "auto", keyring.short, "daypass process, auto: in the Secret Service")
		inPIE     = process(built.pie, "file", file.short, "the same built as PIE, file")
		version   = row{name: "daypass version: start-up alone", command: []string{built.daypass, "version"}, yardstick: file.short}
	)
	m := launcher{program: built.launch, env: h.env}

	fmt.Printf("%s\n\n", machine())
	alone, err := m.measure(200, 1, constant, file, version, inFile, inKernel, keyring, inService, inEither, inPIE)
	if err != nil {
		return err
	}
	printTimes("One process at a time", alone)
	herd, err := m.measure(20, 50, constant, file, inFile, inKernel, keyring, inService, inEither)
	if err != nil {
		return err
	}
	printTimes("Fifty processes at once, until the last has ended", herd)
	if err := measureConfig(m, folder, built); err != nil {
		return err
	}
	// As in e2e/parts_test.go: PATH may begin with version 1, from pip.
	cli, err := m.measure(10, 1, row{name: "aws --version", command: []string{"/usr/bin/aws", "--version"}}, inService)
	if err != nil {
		return err
	}
	printTimes("For scale: who starts daypass", cli)

	small, err := newHome(filepath.Join(folder, "small"), built.daypass, "", "file")
	if err != nil {
		return err
	}
	defer small.close()
	counts, err := instructions(small.env, inFile.command, 7)
	if err != nil {
		return err
	}
	packages, err := initialisation(small.env, inFile.command, 20)
	if err != nil {
		return err
	}
	return printFigures(built, counts, packages)
}

// measureConfig measures what the length of the config file costs.
func measureConfig(m launcher, folder string, built binaries) error {
	var rows []row
	for _, c := range []struct {
		name            string
		profiles, bytes int
	}{{"one profile", 0, 0}, {"100 profiles", 99, 0}, {"500 profiles", 499, 0}, {"16 MB", 0, 16 << 20}} {
		h, err := newHome(filepath.Join(folder, c.name), built.daypass, "", "file")
		if err != nil {
			return err
		}
		defer h.close()
		if err := h.lengthen("file", c.profiles, c.bytes); err != nil {
			return err
		}
		own := func(args ...string) []string { return append([]string{"HOME=" + h.folder, built.daypass}, args...) }
		for _, command := range []string{"process", "status"} {
			r := row{name: "daypass " + command + ", " + c.name, command: own(command, "--profile", "file")}
			if command == "status" {
				r.command = own(command)
			}
			if len(rows) < 2 {
				r.short = command + " of one"
			} else {
				r.yardstick = command + " of one"
			}
			rows = append(rows, r)
		}
	}
	results, err := m.measure(50, 1, rows...)
	if err == nil {
		printTimes("The length of the config file", results)
	}
	return err
}
