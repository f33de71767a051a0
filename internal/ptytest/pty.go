//go:build linux

// Package ptytest gives tests a terminal to run a program on.
package ptytest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal, see pty(7). What a person types is written to
// Master.
type Terminal struct {
	Master *os.File
	Slave  *os.File      // until Start
	Left   chan struct{} // closed once nobody has the terminal open

	t     testing.TB
	cmd   *exec.Cmd
	found int // of the screen, by Await

	mu   sync.Mutex
	seen bytes.Buffer
}

// Open opens a terminal of that size until the test ends.
func Open(t testing.TB, columns, rows uint16) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() }) // hangs up on what is still there
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	var slave *os.File
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{Master: master, Slave: slave, Left: make(chan struct{}), t: t}
	go term.read()
	return term
}

// Start starts cmd in the foreground of the terminal, as the leader of a session.
// Descriptors that cmd leaves nil are the terminal. When the test ends, so does cmd.
func (term *Terminal) Start(cmd *exec.Cmd) {
	term.t.Helper()
	defer term.Slave.Close()
	term.cmd = cmd
	if cmd.Stdin == nil {
		cmd.Stdin = term.Slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = term.Slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = term.Slave
	}
	cmd.ExtraFiles = []*os.File{term.Slave} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		term.t.Fatal(err)
	}
	term.t.Cleanup(func() { _ = cmd.Process.Kill() })
}

// Await waits until the terminal shows what an expression matches, after what the last
// call found, and returns the match and its groups.
func (term *Terminal) Await(expression string) []string {
	term.t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text := term.Screen()[term.found:]
		if match := re.FindStringSubmatch(text); match != nil {
			term.found += re.FindStringIndex(text)[1]
			return match
		}
		if time.Now().After(end) {
			term.t.Fatalf("the terminal did not show %q within 30 s, but:\n%s", expression, term.Screen())
		}
	}
}

// Type types keys.
func (term *Terminal) Type(keys string) {
	term.t.Helper()
	if _, err := term.Master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// End waits until the command has ended and nobody has the terminal open, and returns
// the exit code and the screen.
func (term *Terminal) End() (code int, screen string) {
	term.t.Helper()
	gone := time.AfterFunc(90*time.Second, func() { _ = term.cmd.Process.Kill() })
	_ = term.cmd.Wait() // the code says it
	select {
	case <-term.Left:
	case <-time.After(30 * time.Second):
		term.t.Fatalf("%q did not leave the terminal:\n%s", term.cmd.Args, term.Screen())
	}
	if !gone.Stop() {
		term.t.Fatalf("%q did not end within 90 s:\n%s", term.cmd.Args, term.Screen())
	}
	return term.cmd.ProcessState.ExitCode(), term.Screen()
}

// read keeps what is written to the terminal, until its last user closes it.
func (term *Terminal) read() {
	defer close(term.Left)
	buffer := make([]byte, 4096)
	for {
		n, err := term.Master.Read(buffer)
		term.mu.Lock()
		term.seen.Write(buffer[:n])
		term.mu.Unlock()
		if err != nil {
			return // EIO: no process has the terminal open
		}
	}
}

// Screen is everything that was written to the terminal so far.
func (term *Terminal) Screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.ReplaceAll(term.seen.String(), "\r\n", "\n")
}
