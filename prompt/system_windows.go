package prompt

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// OpenTerminal opens the console. The error completes "profile dev needs a login, but ".
func OpenTerminal() (*Terminal, error) {
	// Reading is part of the mode because the size is read through the handle.
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	c := console{File: out, in: in}
	if err == nil {
		err = windows.GetConsoleMode(windows.Handle(out.Fd()), &c.mode)
	}
	if err != nil {
		_ = errors.Join(in.Close(), out.Close()) // Close of a nil file is an error
		return nil, errNoTerminal
	}
	// Consoles know colours since Windows 10, and have to be asked for them.
	err = windows.SetConsoleMode(windows.Handle(out.Fd()), c.mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	// utf8: package os writes UTF-16 to a console.
	return &Terminal{device: c, size: c.size, hide: c.hide, dumb: err != nil, utf8: true}, nil
}

// Session is 0: a console has no number.
func Session() int { return 0 }

// console is CONOUT$, CONIN$ and the mode that the caller's program had set.
type console struct {
	*os.File
	in   *os.File
	mode uint32
}

func (c console) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c console) Close() error {
	_ = windows.SetConsoleMode(windows.Handle(c.Fd()), c.mode)
	return errors.Join(c.in.Close(), c.File.Close())
}

func (c console) size() (width, height int) {
	width, height, _ = term.GetSize(int(c.Fd())) // 0 by 0 if it fails
	return width, height
}

// hide turns the echo off.
func (c console) hide() (show func(), err error) {
	keys, before := windows.Handle(c.in.Fd()), uint32(0)
	if err = windows.GetConsoleMode(keys, &before); err == nil {
		err = windows.SetConsoleMode(keys, before&^windows.ENABLE_ECHO_INPUT|windows.ENABLE_LINE_INPUT|windows.ENABLE_PROCESSED_INPUT)
	}
	return func() { _ = windows.SetConsoleMode(keys, before) }, err
}

// detach separates cmd from our console and its Ctrl-C. Handles need no care:
// package syscall passes on no other than the three of cmd.
func detach(cmd *exec.Cmd) (undo func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
	return func() {}
}
