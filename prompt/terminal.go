// Package prompt shows an open device authorization to a person: on the
// terminal device, in a browser and as a QR code.
//
// Nothing here touches stdin, stdout or stderr. Those belong to the SDK that
// started daypass, which hides them, waits for their end or reads its
// credentials from them.
package prompt

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

var (
	errNoTerminal = errors.New("here is no terminal to ask on")

	// A background job that writes is stopped by the kernel (SIGTTOU, with stty
	// tostop), or writes into what the person does in the foreground.
	errBackground = errors.New("a background job cannot ask on its terminal")
)

// Terminal is the terminal device of the person, opened for writing. Its
// methods can be called by several goroutines at once.
type Terminal struct {
	device io.WriteCloser // fails with errBackground while we are a background job
	size   func() (width, height int)
	dumb   bool // can do no more than print line after line
	styled bool // knows colours (ECMA-48 SGR)
	utf8   bool

	mu    sync.Mutex
	drawn int // columns of the line that is being rewritten, 0 if there is none
}

// OpenTerminal opens /dev/tty, or CONOUT$ on Windows. It fails if the process
// has no terminal, or is a background job of the one it has. The error follows
// "profile dev needs a login, and ".
func OpenTerminal() (*Terminal, error) {
	return openTerminal(os.Getenv)
}

// Close restores and closes the terminal device.
func (t *Terminal) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.device.Close()
}

// Show writes the text of r and, where r asks for it and there is room, the QR
// code of its address. The text, the code and one line below them fit on the
// screen together. Times are shown in time.Local.
func (t *Terminal) Show(r Request) error {
	text, err := Text(r, time.Local)
	if err != nil {
		return err
	}
	text = t.encodable(text)
	if width, height := t.size(); r.QR && t.styled && width > 0 {
		room := height - rows(text, width) - 1
		text += drawQR(r.address(), width-1, room, t.utf8)
	}
	return t.print(text)
}

// Line writes one line of text, cleaned.
func (t *Terminal) Line(text string) error {
	return t.print(t.encodable(Clean(text)) + "\n")
}

// Countdown says for how long the code userCode can still be approved, in one
// line that it rewrites each second until ctx ends and clears then. What is
// written meanwhile by other methods goes above that line. A terminal that
// cannot rewrite lines gets the line once.
func (t *Terminal) Countdown(ctx context.Context, userCode string, expires time.Time, now func() time.Time, sleep func(context.Context, time.Duration) error) {
	t.rewrite(ctx, sleep, func(width int) (string, time.Duration) {
		left := expires.Sub(now())
		return countdownText(userCode, left, width), untilNextSecond(left)
	})
}

// Waiting says that another process holds the login, in one line that it
// rewrites each second until ctx ends and clears then, as Countdown does.
//
// code is asked each second for that process's user code, and returns "" while
// it is not known. Without a code nothing is written in the first three
// seconds: a renewal that needs no person ends sooner.
func (t *Terminal) Waiting(ctx context.Context, code func() string, now func() time.Time, sleep func(context.Context, time.Duration) error) {
	start := now()
	t.rewrite(ctx, sleep, func(width int) (string, time.Duration) {
		waited := now().Sub(start)
		userCode := code()
		if userCode == "" && waited < 3*time.Second {
			return "", time.Second
		}
		return waitingText(userCode, waited, width), time.Second
	})
}

// untilNextSecond returns how long left shows the same number of seconds.
func untilNextSecond(left time.Duration) time.Duration {
	if rest := left % time.Second; rest > 0 {
		return rest
	}
	return time.Second
}

// rewrite draws what frame returns for the width at hand, again and again after
// the time it names, until ctx ends. An empty frame is not drawn.
func (t *Terminal) rewrite(ctx context.Context, sleep func(context.Context, time.Duration) error, frame func(width int) (string, time.Duration)) {
	defer t.clear()
	for ctx.Err() == nil {
		// The last column stays free: there the cursor would already stand on
		// the next line on some terminals.
		width, _ := t.size()
		width--
		once := t.dumb || width <= 0
		if once {
			width = columns
		}
		text, pause := frame(width)
		switch {
		case text == "":
		case once:
			_ = t.Line(text)
			<-ctx.Done()
		default:
			t.draw(t.encodable(text), width)
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

// draw puts text in the place of the line drawn before. A failure is left
// alone: the next second comes, and the login does not depend on this line.
func (t *Terminal) draw(text string, width int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := utf8.RuneCountInString(text)
	rest := max(min(t.drawn, width)-n, 0)
	if _, err := io.WriteString(t.device, "\r"+text+strings.Repeat(" ", rest)); err == nil {
		t.drawn = n
	}
}

// clear removes the line that is being rewritten.
func (t *Terminal) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.device, t.blank())
	t.drawn = 0
}

// print writes lines, in one write so that those of several processes do not
// mix. A line that is being rewritten makes room and is drawn again below.
func (t *Terminal) print(lines string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := io.WriteString(t.device, t.blank()+lines)
	t.drawn = 0
	return err
}

// blank returns what removes the line that is being rewritten. These are
// spaces, which every terminal understands.
func (t *Terminal) blank() string {
	n := t.drawn
	if width, _ := t.size(); width > 0 {
		n = min(n, width-1)
	}
	if n <= 0 {
		return ""
	}
	return "\r" + strings.Repeat(" ", n) + "\r"
}

// encodable replaces what the terminal's character set may not have. An 8-bit
// terminal takes some bytes of UTF-8 for control characters.
func (t *Terminal) encodable(text string) string {
	if t.utf8 {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return '?'
		}
		return r
	}, text)
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

// speaksUTF8 reports whether the locale's character set is UTF-8, by the order
// of POSIX, "Environment Variables", section 8.2.
func speaksUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(strings.ReplaceAll(locale, "-", ""), "utf8")
		}
	}
	return false
}
