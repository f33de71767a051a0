package prompt

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"
)

// overTerminal returns a conversation that reads from one end of a terminal and
// writes to the other.
func overTerminal(in, out *os.File, closeBoth func() error) *Conversation {
	c := NewConversation(struct {
		io.Reader
		io.Writer
	}{in, out})
	c.close = closeBoth
	c.readHidden = func(ctx context.Context) (string, error) {
		fd := int(in.Fd())
		before, err := term.GetState(fd)
		if err != nil {
			return "", err
		}
		// ReadPassword restores the terminal itself, unless Ctrl-C ends ctx first.
		defer func() { _ = term.Restore(fd, before) }()
		return c.read(ctx, func() (string, error) {
			line, err := term.ReadPassword(fd)
			return string(line), err
		})
	}
	return c
}
