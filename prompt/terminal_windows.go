package prompt

import (
	"os"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

func openTerminal(func(string) string) (*Terminal, error) {
	// Reading is part of the mode because the size is read through the handle.
	file, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	c := console{file: file}
	if err := windows.GetConsoleMode(c.handle(), &c.mode); err != nil {
		_ = file.Close()
		return nil, errNoTerminal
	}
	// Consoles know colours since Windows 10, and have to be asked for them.
	styled := windows.SetConsoleMode(c.handle(), c.mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
	return &Terminal{
		device: c,
		size:   c.size,
		styled: styled,
		utf8:   true, // package os writes UTF-16 to a console
	}, nil
}

// console is CONOUT$ and the mode that the caller's program had set.
type console struct {
	file *os.File
	mode uint32
}

func (c console) handle() windows.Handle { return windows.Handle(c.file.Fd()) }

func (c console) Write(p []byte) (int, error) { return c.file.Write(p) }

func (c console) Close() error {
	_ = windows.SetConsoleMode(c.handle(), c.mode)
	return c.file.Close()
}

func (c console) size() (width, height int) {
	width, height, err := term.GetSize(int(c.file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}
