package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/daypass/daypass/secret"
)

// maxAnswer bounds one line of an answer in bytes. A terminal gives at most 4096
// at once.
const maxAnswer = 4096

// Conversation asks a person questions, a line each. It is for commands that a
// person typed; nothing that an SDK starts reads a terminal.
type Conversation struct {
	device     io.ReadWriter
	readHidden func(ctx context.Context) (string, error)
	close      func() error
}

// NewConversation returns a conversation over any device. A secret that is typed
// there is seen, unless the device itself hides it.
func NewConversation(device io.ReadWriter) *Conversation {
	c := &Conversation{device: device, close: func() error { return nil }}
	c.readHidden = func(ctx context.Context) (string, error) { return c.read(ctx, c.readLine) }
	return c
}

// OpenConversation opens the terminal device: /dev/tty, or CONIN$ and CONOUT$ on
// Windows. The error says that there is none.
func OpenConversation() (*Conversation, error) { return openConversation() }

// Close closes the device.
func (c *Conversation) Close() error { return c.close() }

// Say writes text of one or more lines. Each line is cleaned.
func (c *Conversation) Say(text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(Clean(strings.TrimRight(line, "\r\n")) + "\n")
	}
	_, err := io.WriteString(c.device, b.String())
	return err
}

// Ask asks one question and returns the answer without white space around it, or
// byDefault for an empty one. The error is io.EOF where the person ended the
// input, and ctx's where that ended first.
func (c *Conversation) Ask(ctx context.Context, question, byDefault string) (string, error) {
	if byDefault != "" {
		question += " [" + byDefault + "]"
	}
	if _, err := io.WriteString(c.device, Clean(question)+": "); err != nil {
		return "", err
	}
	answer, err := c.read(ctx, c.readLine)
	if answer = strings.TrimSpace(answer); answer == "" {
		answer = byDefault
	}
	return answer, err
}

// AskSecret asks for a secret, which is not shown while it is typed.
func (c *Conversation) AskSecret(ctx context.Context, question string) (secret.String, error) {
	if _, err := io.WriteString(c.device, Clean(question)+" (not shown): "); err != nil {
		return secret.String{}, err
	}
	answer, err := c.readHidden(ctx)
	_, _ = io.WriteString(c.device, "\n") // in the place of the one that was typed
	return secret.New(strings.TrimSpace(answer)), err
}

// Confirm asks a question of yes or no. An answer that is neither is asked again.
func (c *Conversation) Confirm(ctx context.Context, question string, byDefault bool) (bool, error) {
	choice := " [y/N]"
	if byDefault {
		choice = " [Y/n]"
	}
	for {
		answer, err := c.Ask(ctx, question+choice, "")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(answer) {
		case "":
			return byDefault, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		if err := c.Say("  y or n, please."); err != nil {
			return false, err
		}
	}
}

// read runs a read that ctx can leave: not every system can interrupt one from a
// terminal. The read then goes on, and takes the next line with it.
func (c *Conversation) read(ctx context.Context, line func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := line()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLine reads up to the end of a line and not a byte further: what was typed
// ahead belongs to the next question.
func (c *Conversation) readLine() (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := c.device.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return string(line), nil
			}
			if line = append(line, one[0]); len(line) > maxAnswer {
				return "", fmt.Errorf("the answer has more than %d bytes", maxAnswer)
			}
		}
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", err
		}
	}
}
