//go:build linux

// Command launch starts commands again and again and tells what each took:
//
//	launch ROUNDS ATONCE -- [NAME=VALUE]... COMMAND [ARGUMENT]... [-- ...]...
//
// NAME=VALUE is for the environment of that command.
//
// A round starts every command once, ATONCE processes of it at the same time, so
// that whatever else the machine does hits all commands alike. For each command
// it prints one line: its place, the nanoseconds until the last process had ended,
// the nanoseconds of CPU that they used, the largest resident set of a process in
// KiB, and how many failed.
//
// It is a program of its own because the kernel counts the memory of whoever
// starts a process into that process's peak (exec keeps the mark of the memory
// that it replaces): so it must be smaller than what it measures.
package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = os.Stderr.WriteString("launch: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(args []string) error {
	var numbers [2]int
	for i := range numbers {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close() // and not earlier, when it is collected as garbage
	attributes := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}}
	for range numbers[0] {
		for i, command := range commands(args[2:]) {
			own := *attributes
			for strings.Contains(command[0], "=") {
				own.Env = slices.Insert(slices.Clone(own.Env), 0, command[0]) // the first of a name counts
				command = command[1:]
			}
			line, err := sample(command, numbers[1], &own)
			if err != nil {
				return err
			}
			if _, err := os.Stdout.WriteString(strconv.Itoa(i) + line + "\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

// commands splits arguments at each "--".
func commands(args []string) [][]string {
	var all [][]string
	for _, arg := range args {
		if arg == "--" {
			all = append(all, nil)
			continue
		}
		all[len(all)-1] = append(all[len(all)-1], arg)
	}
	return all
}

// sample starts a command so many times at once, without a shell, and waits.
func sample(command []string, atOnce int, attributes *syscall.ProcAttr) (string, error) {
	var cpu, memory int64
	failed := 0
	begin := time.Now()
	for range atOnce {
		if _, err := syscall.ForkExec(command[0], command, attributes); err != nil {
			return "", err
		}
	}
	for range atOnce {
		var status syscall.WaitStatus
		var used syscall.Rusage
		if _, err := syscall.Wait4(-1, &status, 0, &used); err != nil {
			return "", err
		}
		if !status.Exited() || status.ExitStatus() != 0 {
			failed++
		}
		cpu += used.Utime.Nano() + used.Stime.Nano()
		memory = max(memory, used.Maxrss)
	}
	line := ""
	for _, n := range []int64{time.Since(begin).Nanoseconds(), cpu, memory, int64(failed)} {
		line += " " + strconv.FormatInt(n, 10)
	}
	return line, nil
}
