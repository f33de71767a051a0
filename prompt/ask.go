package prompt

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

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
	if err := t.write(Clean(question)+": ", 0); err != nil {
		return "", err
	}
	answer, err := untilDone(ctx, t.readLine)
	if err != nil {
		_ = t.write("\n", 0) // what follows does not belong behind the question and its ^C
	}
	if answer = strings.TrimSpace(answer); answer == "" {
		answer = byDefault
	}
	return answer, err
}

// AskSecret asks for a secret, which is not shown while it is typed.
func (t *Terminal) AskSecret(ctx context.Context, question string) (secret.String, error) {
	question = Clean(question) + " (not shown): "
	read, hidden := t.readLine, func() bool { return true }
	if t.keys != nil {
		fd := int(t.keys.Fd()) // makes the descriptor blocking, which ReadPassword needs
		before, err := term.GetState(fd)
		if err != nil {
			return secret.String{}, err
		}
		// ReadPassword restores the terminal itself, unless Ctrl-C ends ctx first.
		defer func() { _ = term.Restore(fd, before) }()
		read = func() (string, error) {
			line, err := term.ReadPassword(fd)
			return string(line), err
		}
		hidden = func() bool {
			now, err := term.GetState(fd)
			return err != nil || *now != *before
		}
	}
	asked := make(chan error, 1)
	go func() {
		// Who answers at once must find the terminal's echo off. A terminal without
		// echo does not change.
		for patience := 1000; patience > 0 && !hidden(); patience-- {
			time.Sleep(time.Millisecond)
		}
		asked <- t.write(question, 0)
	}()
	answer, err := untilDone(ctx, read)
	err = errors.Join(err, <-asked)
	_ = t.write("\n", 0) // in the place of the one that was typed
	return secret.New(strings.TrimSpace(answer)), err
}

// untilDone runs a read that ctx can leave: not every system can interrupt one
// from a terminal. The read then goes on, and takes the next line with it.
func untilDone(ctx context.Context, read func() (string, error)) (string, error) {
	var text string
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		text, err = read()
	}()
	select {
	case <-done:
		return text, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLine reads a line of at most 4096 bytes, and not a byte further: what was
// typed ahead belongs to the next question.
func (t *Terminal) readLine() (string, error) {
	line := make([]byte, 0, 4096)
	for len(line) < cap(line) {
		n, err := t.device.Read(line[len(line) : len(line)+1])
		if line = line[:len(line)+n]; n == 1 && line[len(line)-1] == '\n' || errors.Is(err, io.EOF) && len(line) > 0 {
			return string(line), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("the answer is too long")
}
