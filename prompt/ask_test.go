package prompt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// newKeyboard is newScreen with what is typed there.
func newKeyboard(typed string) (*Terminal, *screen) {
	terminal, screen := newScreen(80, 24)
	screen.keys = strings.NewReader(typed)
	return terminal, screen
}

func TestConversation(t *testing.T) {
	c, screen := newKeyboard("\r\n  dev \nhunter2\r\nnot now\nY\n\n\nlast")
	for _, test := range []struct{ byDefault, want string }{{"default", "default"}, {"", "dev"}} {
		if got, err := c.Ask(t.Context(), "Name\x1b", test.byDefault); got != test.want || err != nil {
			t.Errorf("Ask = %q, %v, want %q", got, err, test.want)
		}
	}
	if got, err := c.AskSecret(t.Context(), "Secret"); got.Reveal() != "hunter2" || err != nil {
		t.Errorf("AskSecret = %q, %v", got.Reveal(), err)
	}
	for _, test := range []struct{ byDefault, want bool }{{false, true}, {true, true}, {false, false}} {
		if got, err := c.Confirm(t.Context(), "Sure?", test.byDefault); got != test.want || err != nil {
			t.Errorf("Confirm = %v, %v, want %v", got, err, test.want)
		}
	}
	if got, err := c.Ask(t.Context(), "More", ""); got != "last" || err != nil {
		t.Errorf("a line without an end: %q, %v", got, err)
	}
	if _, err := c.Ask(t.Context(), "More", "x"); !errors.Is(err, io.EOF) {
		t.Errorf("at the end of the input: %v", err)
	}
	if err := c.Say("two\x07\nlines"); err != nil {
		t.Error(err)
	}
	want := "Name [default]: Name: Secret (not shown): \nSure? [y/N]:   y or n, please.\nSure? [y/N]: Sure? [Y/n]: Sure? [y/N]: More: More [x]: \ntwo\nlines\n"
	if got := strings.ReplaceAll(screen.raw.String(), strings.Repeat(" ", 79)+"\r", ""); got != want {
		t.Errorf("screen:\n%q, want\n%q", got, want)
	}
}

func TestConversationEndsWithItsContext(t *testing.T) {
	silent, _ := io.Pipe() // nobody ever types
	c, screen := newScreen(80, 24)
	screen.keys = silent
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(ctx, "Name", "default"); !errors.Is(err, context.Canceled) || !strings.HasSuffix(screen.raw.String(), ": \n") {
		t.Errorf("Ask: %v, and it wrote %q", err, screen.raw.String())
	}
	if err := silent.Close(); err != nil { // ends the read that went on
		t.Error(err)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	c, _ := newKeyboard(strings.Repeat("x", maxAnswer) + "\n")
	if _, err := c.Ask(t.Context(), "Name", ""); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an endless answer: %v", err)
	}
}
