package prompt

import (
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/daypass/daypass/secret"
)

// Confirm asks a question of yes or no. An answer that is neither is asked again.
func (t *Terminal) Confirm(ctx context.Context, question string, byDefault bool) (bool, error) {
	choice := " [y/N]"
	if byDefault {
		choice = " [Y/n]"
	}
	for {
		answer, err := t.Ask(ctx, question+choice, "")
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
		_ = t.Say("  y or n, please.") // if it fails, so does the question
	}
}

// Ask asks one question and returns the answer without white space around it, or
// byDefault for an empty one. The error is io.EOF if the person ended the input,
// and ctx's if that ended first.
func (t *Terminal) Ask(ctx context.Context, question, byDefault string) (string, error) {
	if byDefault != "" {
		question += " [" + byDefault + "]"
	}
	if err := t.write(Clean(question) + ": "); err != nil {
		return "", err
	}
	answer, err := UntilDone(ctx, t.readLine)
	if err != nil {
		_ = t.write("\n") // what follows does not belong behind the question and its ^C
	}
	if answer = strings.TrimSpace(answer); answer == "" {
		answer = byDefault
	}
	return answer, err
}

// AskSecret asks for a secret, which is not shown while it is typed.
func (t *Terminal) AskSecret(ctx context.Context, question string) (secret.String, error) {
	show, err := t.hide() // first, for whoever answers at once
	if err != nil {
		return secret.String{}, err
	}
	defer show()
	if err := t.write(Clean(question) + " (not shown): "); err != nil {
		return secret.String{}, err
	}
	answer, err := UntilDone(ctx, t.readLine)
	_ = t.write("\n") // in the place of the one that was typed
	return secret.New(strings.TrimSpace(answer)), err
}

// UntilDone runs a read that ctx can leave: not every system can interrupt one
// from a terminal. The read then goes on, and takes the next line with it.
func UntilDone[T any](ctx context.Context, read func() (T, error)) (T, error) {
	var got, nothing T
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = read()
	}()
	select {
	case <-done:
		return got, err
	case <-ctx.Done():
		return nothing, ctx.Err()
	}
}

// maxAnswer bounds an answer, in bytes: an address with the code of a login in it is
// the longest.
const maxAnswer = 32 << 10

// readLine reads a line, and not a byte further: what was typed ahead belongs to the
// next question. It edits what a terminal that hides a line does not.
func (t *Terminal) readLine() (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < maxAnswer; {
		n, err := t.device.Read(one)
		switch {
		case n == 0 && len(line) > 0 && errors.Is(err, io.EOF), n == 1 && one[0] == '\n':
			return string(line), nil
		case n == 0 && err != nil:
			return "", err
		case n == 0:
		case one[0] == '\b', one[0] == 0x7f: // Backspace
			_, last := utf8.DecodeLastRune(line)
			line = line[:len(line)-last]
		case one[0] == 'U'-'@', one[0] == 'W'-'@': // Ctrl-U, Ctrl-W: what is hidden is one word
			line = nil
		case one[0] == 'D'-'@': // Ctrl-D
			if len(line) == 0 {
				return "", io.EOF
			}
		default:
			line = append(line, one[0])
		}
	}
	return "", errors.New("the answer is too long")
}
