package prompt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// keyboard is a device: what is typed ahead, and what was written.
type keyboard struct {
	keys   *strings.Reader
	screen strings.Builder
}

func (k *keyboard) Read(p []byte) (int, error)  { return k.keys.Read(p) }
func (k *keyboard) Write(p []byte) (int, error) { return k.screen.Write(p) }

func TestConversation(t *testing.T) {
	k := &keyboard{keys: strings.NewReader("\r\n  dev \nhunter2\r\nnot now\nY\n\n\nlast")}
	c := NewConversation(k)
	for _, test := range []struct{ byDefault, want string }{{"default", "default"}, {"", "dev"}} {
		if got, err := c.Ask(t.Context(), "Name\x1b[2J", test.byDefault); got != test.want || err != nil {
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
	want := "Name [default]: Name: Secret (not shown): \nSure? [y/N]:   y or n, please.\nSure? [y/N]: Sure? [Y/n]: Sure? [y/N]: More: More [x]: two\nlines\n"
	if got := k.screen.String(); got != want {
		t.Errorf("screen:\n%q, want\n%q", got, want)
	}
}

func TestConversationEndsWithItsContext(t *testing.T) {
	silent, _ := io.Pipe() // nobody ever types
	c := NewConversation(struct {
		io.Reader
		io.Writer
	}{silent, io.Discard})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Ask(ctx, "Name", "default"); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v", err)
	}
	if _, err := c.Confirm(ctx, "Sure?", true); !errors.Is(err, context.Canceled) {
		t.Errorf("Confirm: %v", err)
	}
	if err := silent.Close(); err != nil { // ends the read that went on
		t.Error(err)
	}
}

func TestAnswerIsBounded(t *testing.T) {
	c := NewConversation(&keyboard{keys: strings.NewReader(strings.Repeat("x", 5000) + "\n")})
	if _, err := c.Ask(t.Context(), "Name", ""); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an answer of 5000 bytes: %v", err)
	}
}
