package prompt

import (
	"errors"
	"os"
)

func openConversation() (*Conversation, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		_ = in.Close()
		return nil, errNoTerminal
	}
	return overTerminal(in, out, func() error { return errors.Join(in.Close(), out.Close()) }), nil
}
