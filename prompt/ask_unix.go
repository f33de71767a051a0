//go:build unix

package prompt

import (
	"os"

	"golang.org/x/sys/unix"
)

func openConversation() (*Conversation, error) {
	// O_NOCTTY: a session leader without a terminal must not acquire one.
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	return overTerminal(tty, tty, tty.Close), nil
}
