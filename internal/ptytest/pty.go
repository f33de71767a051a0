//go:build linux

// Package ptytest gives tests a terminal to run a program on.
package ptytest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal, see pty(7). What a person types is written to
// Master.
type Terminal struct {
	Master *os.File
	Slave  *os.File      // until Start
	Left   chan struct{} // closed when nobody has the terminal open any more

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
	term := &Terminal{Master: master, Slave: slave, Left: make(chan struct{})}
	go term.read()
	return term
}

// Start starts cmd in the foreground of the terminal, as the leader of a session.
// Descriptors that cmd leaves nil are the terminal.
func (term *Terminal) Start(cmd *exec.Cmd) error {
	defer term.Slave.Close()
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
	return cmd.Start()
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
