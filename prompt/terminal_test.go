package prompt

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// screen is a terminal's screen as far as these tests need it: it knows line
// feed, carriage return, the end of a line erased and the wrap at the last column.
type screen struct {
	width, height int
	keys          io.Reader // what is typed

	mu     sync.Mutex
	lines  [][]rune
	column int
	raw    strings.Builder
}

func newScreen(width, height int) (*Terminal, *screen) {
	s := &screen{width: width, height: height, lines: [][]rune{nil}}
	return &Terminal{
		device: s,
		size:   func() (int, int) { return s.width, s.height },
		hide:   func() (func(), error) { return func() {}, nil },
		utf8:   true,
	}, s
}

func (s *screen) Close() error { return nil }

func (s *screen) Read(p []byte) (int, error) { return s.keys.Read(p) }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	for _, r := range strings.ReplaceAll(string(p), "\x1b[K", "\v") {
		last := len(s.lines) - 1
		switch r {
		case '\v': // erase to the end of the line
			s.lines[last] = s.lines[last][:min(s.column, len(s.lines[last]))]
		case '\r':
			s.column = 0
		case '\n':
			s.lines, s.column = append(s.lines, nil), 0
		default:
			if s.width > 0 && s.column == s.width {
				s.lines, s.column = append(s.lines, nil), 0
				last++
			}
			for len(s.lines[last]) <= s.column {
				s.lines[last] = append(s.lines[last], ' ')
			}
			s.lines[last][s.column] = r
			s.column++
		}
	}
	return len(p), nil
}

// text returns what is on the screen, without spaces at the ends of lines.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.Join(lines, "\n")
}

// stepping is c's Sleep that calls step with how often it slept.
func stepping(c *sandbox.Clock, step func(slept int)) func(context.Context, time.Duration) error {
	n := 0
	return func(ctx context.Context, d time.Duration) error {
		if err := c.Sleep(ctx, d); err != nil {
			return err
		}
		n++
		step(n)
		return ctx.Err()
	}
}

func TestCountdown(t *testing.T) {
	for _, test := range []struct {
		code  string
		left  time.Duration
		width int
		say   string   // after the first second
		want  []string // the screen after each second
	}{
		{"LBJX-WZVT", 10*time.Minute + 300*time.Millisecond, 80, "", []string{
			"waiting for approval of LBJX-WZVT, 10:00 left. Ctrl-C keeps the code.",
			"waiting for approval of LBJX-WZVT, 9:59 left. Ctrl-C keeps the code.",
		}},
		{"LBJX-WZVT", 10 * time.Minute, 40, "", []string{
			"waiting for approval of LBJX-WZVT,", // no half of a time
			"waiting for approval of LBJX-WZVT, 9:59",
		}},
		{"", time.Second, 80, "", []string{"waiting for approval, 0:01 left.", "waiting for approval, 0:00 left.", "waiting for approval, 0:00 left."}},
		{"A\nB\x1b", time.Hour, 80, "", []string{"waiting for approval of A B, 60:00 left. Ctrl-C keeps the code."}},
		{"", time.Minute, 80, "daypass: cannot renew\x1b:\r\nno answer\n", []string{
			"waiting for approval, 1:00 left.",
			"daypass: cannot renew:\nno answer\nwaiting for approval, 0:59 left.",
		}},
	} {
		terminal, screen := newScreen(test.width, 24)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		c := sandbox.NewClock(morning)
		step := func(slept int) {
			got = append(got, screen.text())
			if slept == len(test.want) {
				cancel()
			} else if test.say != "" {
				must(t, terminal.Say(test.say))
			}
		}
		terminal.Countdown(ctx, test.code, c.Now().Add(test.left), c.Now, stepping(c, step))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if left := screen.text(); strings.Contains(left, "waiting") || screen.column != 0 {
			t.Errorf("%q is left at the end, the cursor in column %d", left, screen.column)
		}
	}
}

func TestWaiting(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	code, got := "", []string(nil)
	c := sandbox.NewClock(morning)
	step := func(slept int) {
		got = append(got, screen.text())
		switch slept {
		case 4:
			code = "waiting for the login with code LBJX-WZVT"
		case 5:
			cancel()
		}
	}
	terminal.Waiting(ctx, func() string { return code }, c.Now, stepping(c, step))
	want := []string{
		"", "", "", // another's silent renewal is not worth a word
		"daypass: waiting for another daypass to log in, 3 s",
		"daypass: waiting for the login with code LBJX-WZVT, 4 s",
	}
	if diff := cmp.Diff(want, got); diff != "" || screen.text() != "" {
		t.Errorf("%q is left at the end (-want +got)\n%s", screen.text(), diff)
	}
}

func TestTerminalThatCannotRewrite(t *testing.T) {
	for name, width := range map[string]int{"dumb": 80, "width unknown": 0} {
		terminal, screen := newScreen(width, 24)
		terminal.dumb = name == "dumb"
		must(t, terminal.Show(Request{VerificationURI: link, UserCode: "LBJX-WZVT", QR: true}, morning))
		ctx, cancel := context.WithCancel(t.Context())
		c := sandbox.NewClock(morning)
		now := func() time.Time {
			time.AfterFunc(50*time.Millisecond, cancel)
			return c.Now()
		}
		terminal.Countdown(ctx, "LBJX-WZVT", openRequest().Expires, now, c.Sleep)
		raw := screen.raw.String()
		if strings.ContainsAny(raw, "\r\x1b\u2588") || strings.Count(raw, "Ctrl-C keeps the code.\n") != 1 {
			t.Errorf("%s: it wrote %+q", name, raw)
		}
	}
}

// Several processes share a terminal: one says or shows something while the other waits.
// The terminal itself shows a Ctrl-C behind the line that is being rewritten.
func TestNobodyWritesBehindAnothersLine(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	other := &Terminal{device: screen, size: terminal.size}
	must(t, other.draw("daypass: waiting, 3 s", true))
	must(t, terminal.Say("daypass: logged in"))
	must(t, other.draw("daypass: waiting, 4 s", true))
	_, _ = screen.Write([]byte("^C"))
	must(t, other.Say("over"))
	must(t, other.draw("daypass: waiting, 5 s", true))
	must(t, terminal.Show(Request{VerificationURI: link}, morning))
	must(t, other.Show(Request{VerificationURI: link, Profile: "b\u00fcro"}, morning)) // not in UTF-8
	got := screen.text()
	if want := "daypass: waiting, 3 s\ndaypass: logged in\nover\ndaypass: waiting, 5 s\ndaypass: log in at "; !strings.HasPrefix(got, want) || !strings.Contains(got, "for profile b?ro") {
		t.Errorf("the screen shows %q", got)
	}
}

func environment(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}
