//go:build unix

package prompt

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func openTerminal(getenv func(string) string) (*Terminal, error) {
	// O_NOCTTY: a session leader without a terminal must not acquire one.
	file, err := os.OpenFile("/dev/tty", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	d := device{file: file, patience: 2 * time.Second}
	if err := d.checkForeground(); err != nil {
		_ = file.Close()
		return nil, err
	}
	kind := getenv("TERM")
	dumb := kind == "" || kind == "dumb"
	return &Terminal{
		device: d,
		size:   d.size,
		dumb:   dumb,
		styled: !dumb,
		utf8:   speaksUTF8(getenv),
	}, nil
}

// device is /dev/tty.
type device struct {
	file     *os.File
	patience time.Duration // how long a write may take
}

func (d device) Close() error { return d.file.Close() }

// Write fails if we are a background job by now, and if the terminal takes
// nothing for too long: one that is halted with Ctrl-S must not halt a login
// that was approved.
func (d device) Write(p []byte) (int, error) {
	if err := d.checkForeground(); err != nil {
		return 0, err
	}
	// Not every system can wait for a terminal with a deadline; then there is none.
	_ = d.file.SetWriteDeadline(time.Now().Add(d.patience))
	return d.file.Write(p)
}

func (d device) checkForeground() error {
	foreground := 0
	err := d.control(func(fd int) (err error) {
		foreground, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("its terminal does not answer: %w", err)
	case foreground != syscall.Getpgrp():
		return errBackground
	}
	return nil
}

func (d device) size() (width, height int) {
	_ = d.control(func(fd int) (err error) {
		width, height, err = term.GetSize(fd)
		return err
	})
	return width, height
}

// control calls f with the descriptor. os.File.Fd would make it blocking, and
// undo the deadline of Write.
func (d device) control(f func(fd int) error) error {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}
