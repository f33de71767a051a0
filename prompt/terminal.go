// Package prompt shows an open authorization to a person: on the terminal device,
// in a browser and as a QR code.
//
// Nothing here touches stdin, stdout or stderr. Those belong to the SDK that
// started daypass, which hides them, waits for their end or reads its
// credentials from them.
package prompt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

var (
	errNoTerminal = errors.New("there is no terminal to ask on")

	// The kernel stops a background job that writes (SIGTTOU, with stty tostop), or
	// lets it write into what the person does in the foreground.
	errBackground = errors.New("a background job cannot ask on its terminal")
)

// Terminal is the terminal device of the person. Its methods can be called by
// several goroutines at once, but only one may ask.
type Terminal struct {
	device io.ReadWriteCloser // fails to write with errBackground while we are a background job
	size   func() (width, height int)
	hide   func() (show func(), err error) // what is typed
	dumb   bool                            // can do no more than print line after line
	utf8   bool

	mu    sync.Mutex
	drawn bool // the last line is being rewritten
}

// Close restores and closes the terminal device.
func (t *Terminal) Close() error { return t.device.Close() }

// Show writes the [Text] of r and, if r asks for it and both fit on the screen with
// one line below them, the QR code of its address.
func (t *Terminal) Show(r Request, now time.Time) error {
	text, err := Text(r, now)
	if err != nil {
		return err
	}
	if width, height := t.size(); r.QR && t.utf8 && !t.dumb && width > 0 {
		text += drawQR(r.address(), width-1, height-rows(text, width)-1)
	}
	return t.write(t.newLine() + text)
}

// newLine begins a line, unless the cursor is at the beginning of one: behind the
// waiting line of another process these spaces wrap.
func (t *Terminal) newLine() string {
	width, _ := t.size()
	if width <= 0 || t.dumb {
		return ""
	}
	return strings.Repeat(" ", width-1) + "\r"
}

// Say writes text of one or more lines. Each line is cleaned.
func (t *Terminal) Say(text string) error {
	return t.write(t.newLine() + CleanLines(text))
}

// Countdown says for how long the code userCode can still be approved, in a line
// that is rewritten each second until ctx ends, and cleared then.
func (t *Terminal) Countdown(ctx context.Context, userCode string, expires time.Time, now func() time.Time, sleep func(context.Context, time.Duration) error) {
	t.rewrite(ctx, sleep, func() string {
		seconds := int(max(expires.Sub(now()), 0) / time.Second)
		left := fmt.Sprintf("%d:%02d left.", seconds/60, seconds%60)
		if userCode == "" {
			return "waiting for approval, " + left
		}
		return "waiting for approval of " + userCode + ", " + left + " Ctrl-C keeps the code."
	})
}

// Waiting says in such a line that another process holds the login. what is asked each
// second for what is waited for, and returns "" while that is not known. Then nothing
// is written in the first three seconds: a renewal that needs no person ends sooner.
func (t *Terminal) Waiting(ctx context.Context, what func() string, now func() time.Time, sleep func(context.Context, time.Duration) error) {
	start := now()
	t.rewrite(ctx, sleep, func() string {
		text, waited := what(), now().Sub(start)
		if text == "" && waited < 3*time.Second {
			return ""
		}
		return fmt.Sprintf("daypass: %s, %d s", cmp.Or(text, "waiting for another daypass to log in"), int(waited/time.Second))
	})
}

// rewrite draws what line returns, cleaned, or the words of it that fit, each second
// until ctx ends. An empty line is not drawn, and a terminal that cannot
// rewrite lines gets it once. The login does not depend on it: a failure is left alone.
func (t *Terminal) rewrite(ctx context.Context, sleep func(context.Context, time.Duration) error, line func() string) {
	defer func() { _ = t.write("") }()
	for ctx.Err() == nil {
		text := Clean(line())
		width, _ := t.size()
		switch {
		case text == "":
		case t.dumb || width <= 1:
			_ = t.write(text + "\n")
			<-ctx.Done()
		default:
			// After the last column, the cursor is on the next line of some terminals.
			words, _, _ := strings.Cut(Wrap("", text, "", width-1), "\n")
			_ = t.draw(words, true)
		}
		if sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// write writes text in the place of the line that is being rewritten, which is drawn
// again below.
func (t *Terminal) write(text string) error { return t.draw(text, false) }

// draw writes text, which may be a line to be rewritten in turn. It is one write, so
// that those of several processes do not mix.
func (t *Terminal) draw(text string, rewritten bool) error {
	if !t.utf8 {
		// An 8-bit terminal takes some bytes of UTF-8 for control characters.
		text = strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return '?'
			}
			return r
		}, text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drawn {
		text = "\r\x1b[K" + text // erases the line, and the ^C behind it
	}
	_, err := io.WriteString(t.device, text)
	if err == nil {
		t.drawn = rewritten
	}
	return err
}

// rows returns how many lines of the screen text takes up.
func rows(text string, width int) int {
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		n += max((utf8.RuneCountInString(line)+width-1)/width, 1)
	}
	return n
}
