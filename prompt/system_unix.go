//go:build unix

package prompt

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// OpenTerminal opens the terminal device. It fails if the process has none, or is a
// background job of the one it has. The error completes "profile dev needs a login,
// but ".
func OpenTerminal() (*Terminal, error) {
	// O_NOCTTY: a session leader without a terminal must not acquire one.
	file, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	d := device{file: file, patience: 2 * time.Second}
	if err := d.checkForeground(); err != nil {
		_ = file.Close()
		return nil, err
	}
	kind := os.Getenv("TERM")
	return &Terminal{device: d, size: d.size, hide: d.hide, dumb: kind == "" || kind == "dumb", utf8: speaksUTF8(os.Getenv)}, nil
}

// Session is the id of the process's session, which has one terminal.
func Session() int {
	id, _ := unix.Getsid(0)
	return id
}

// device is /dev/tty.
type device struct {
	file     *os.File
	patience time.Duration // how long a write may take
}

func (d device) Close() error { return d.file.Close() }

func (d device) Read(p []byte) (int, error) { return d.file.Read(p) }

// Write fails if we are a background job by now, and if the terminal takes nothing
// for too long: Ctrl-S must not halt a login that was approved.
func (d device) Write(p []byte) (int, error) {
	if err := d.checkForeground(); err != nil {
		return 0, err
	}
	// Not every system can wait for a terminal with a deadline; then there is none.
	_ = d.file.SetWriteDeadline(time.Now().Add(d.patience))
	return d.file.Write(p)
}

func (d device) checkForeground() (err error) {
	foreground := 0
	d.control(func(fd int) { foreground, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	switch {
	case err != nil:
		return fmt.Errorf("its terminal does not answer: %w", err)
	case foreground != syscall.Getpgrp():
		return errBackground
	}
	return nil
}

func (d device) size() (width, height int) {
	d.control(func(fd int) { width, height, _ = term.GetSize(fd) })
	return width, height
}

// hide turns the echo off, and with it the editing of lines, which bounds them: at 1024
// bytes on macOS, at 4096 on Linux. The address that a browser ends up on can be longer.
func (d device) hide() (show func(), err error) {
	var before *unix.Termios
	set := func(mode *unix.Termios) {
		if err = d.checkForeground(); err == nil { // or the kernel would stop us (SIGTTOU)
			d.control(func(fd int) { err = unix.IoctlSetTermios(fd, setTermios, mode) })
		}
	}
	d.control(func(fd int) { before, err = unix.IoctlGetTermios(fd, getTermios) })
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag = hidden.Lflag&^(unix.ECHO|unix.ICANON) | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	hidden.Cc[unix.VMIN], hidden.Cc[unix.VTIME] = 1, 0
	set(&hidden)
	return func() { set(before) }, err
}

// control calls f with the descriptor, unless it is closed. os.File.Fd would make
// it blocking, and undo the deadline of Write.
func (d device) control(f func(fd int)) {
	if conn, err := d.file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// speaksUTF8 reports whether the locale's character set is UTF-8, by the order
// of POSIX, "Environment Variables", section 8.2.
func speaksUTF8(getenv func(string) string) bool {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(strings.ReplaceAll(locale, "-", ""), "utf8")
}

// detach gives cmd its own session, and keeps from it the descriptors that our
// caller left open in us: the caller may wait for their end. undo has to be
// called when cmd has started.
func detach(cmd *exec.Cmd) (undo func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	// What package os opens is closed in children anyway. The rest is marked for
	// this one child alone, for "daypass exec" hands it on to its command. Systems
	// that do not list descriptors have none marked.
	var marked []uintptr
	entries, _ := os.ReadDir("/dev/fd")
	for _, entry := range entries {
		fd, err := strconv.ParseUint(entry.Name(), 10, 31)
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(int(fd))
			marked = append(marked, uintptr(fd))
		}
	}
	return func() {
		for _, fd := range marked {
			_, _ = unix.FcntlInt(fd, unix.F_SETFD, 0)
		}
	}
}
