package prompt

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// screen is a terminal's screen as far as these tests need it: it knows line
// feed, carriage return and the wrap at the last column.
type screen struct {
	width, height int

	mu     sync.Mutex
	lines  [][]rune
	column int
	raw    strings.Builder
	fail   error
}

func newScreen(width, height int) (*Terminal, *screen) {
	s := &screen{width: width, height: height, lines: [][]rune{nil}}
	return &Terminal{
		device: s,
		size:   func() (int, int) { return s.width, s.height },
		styled: true,
		utf8:   true,
	}, s
}

func (s *screen) Close() error { return nil }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	s.raw.Write(p)
	for _, r := range string(p) {
		last := len(s.lines) - 1
		switch r {
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

// text returns what stands on the screen, without spaces at the ends of lines.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return strings.Join(lines, "\n")
}

// clock is a fake one, that calls step instead of sleeping.
type clock struct {
	time time.Time
	step func(slept int)
	n    int
}

func (c *clock) now() time.Time { return c.time }

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.time = c.time.Add(d)
	c.n++
	c.step(c.n)
	return ctx.Err()
}

func TestCountdown(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		want  []string // the screen after each second
	}{
		{
			name:  "wide",
			width: 80,
			want: []string{
				"waiting for approval of LBJX-WZVT, 10:00 left. Ctrl-C keeps the code.",
				"waiting for approval of LBJX-WZVT, 10:00 left. Ctrl-C keeps the code.",
				"waiting for approval of LBJX-WZVT, 9:59 left. Ctrl-C keeps the code.",
			},
		},
		{
			name:  "narrower than the line",
			width: 40,
			want: []string{
				"waiting for approval of LBJX-WZVT, 10:0",
				"waiting for approval of LBJX-WZVT, 10:0",
				"waiting for approval of LBJX-WZVT, 9:59",
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			terminal, screen := newScreen(test.width, 24)
			ctx, cancel := context.WithCancel(t.Context())
			var got []string
			c := &clock{time: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
			expires := c.time.Add(10*time.Minute + 300*time.Millisecond)
			c.step = func(slept int) {
				got = append(got, screen.text())
				if slept == len(test.want) {
					cancel()
				}
			}
			terminal.Countdown(ctx, "LBJX-WZVT", expires, c.now, c.sleep)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if left := screen.text(); left != "" || screen.column != 0 {
				t.Errorf("%q is left at the end, the cursor in column %d", left, screen.column)
			}
			if passed := expires.Add(-9*time.Minute - 58*time.Second).Sub(c.time); passed != 0 {
				t.Errorf("the seconds are not hit, by %v", passed)
			}
		})
	}
}

func TestLineMakesRoomForItself(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	c := &clock{time: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	c.step = func(slept int) {
		switch slept {
		case 1:
			if err := terminal.Line("daypass: cannot renew\x1b[2J:\nno answer"); err != nil {
				t.Error(err)
			}
		case 2:
			want := "daypass: cannot renew: no answer\n" +
				"waiting for approval of LBJX-WZVT, 0:59 left. Ctrl-C keeps the code."
			if diff := cmp.Diff(want, screen.text()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			cancel()
		}
	}
	terminal.Countdown(ctx, "LBJX-WZVT", c.time.Add(time.Minute), c.now, c.sleep)
	if diff := cmp.Diff("daypass: cannot renew: no answer\n", screen.text()); diff != "" {
		t.Errorf("at the end (-want +got)\n%s", diff)
	}
}

func TestWaiting(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	ctx, cancel := context.WithCancel(t.Context())
	code := ""
	var got []string
	c := &clock{time: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	c.step = func(slept int) {
		got = append(got, screen.text())
		switch slept {
		case 4:
			code = "LBJX-WZVT"
		case 5:
			cancel()
		}
	}
	terminal.Waiting(ctx, func() string { return code }, c.now, c.sleep)
	want := []string{
		"", // another's silent renewal is not worth a word
		"",
		"",
		"daypass: waiting for another daypass to log in, 3 s",
		"daypass: waiting for the login with code LBJX-WZVT, 4 s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if left := screen.text(); left != "" {
		t.Errorf("%q is left at the end", left)
	}
}

func TestTerminalThatCannotRewrite(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		dumb  bool
	}{
		{"dumb", 80, true},
		{"width unknown", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			terminal, screen := newScreen(test.width, 24)
			terminal.dumb, terminal.styled = test.dumb, !test.dumb
			if err := terminal.Show(Request{Auth: openAuthorization(), QR: true}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				now := func() time.Time { return time.Date(2026, 11, 22, 8, 20, 0, 0, time.UTC) }
				sleep := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
				terminal.Countdown(ctx, "LBJX-WZVT", openAuthorization().Expires, now, sleep)
			}()
			for deadline := time.Now().Add(5 * time.Second); !strings.Contains(screen.text(), "Ctrl-C"); {
				if time.Now().After(deadline) {
					t.Fatal("the line is not written")
				}
				time.Sleep(time.Millisecond)
			}
			cancel()
			<-done
			raw := screen.raw.String()
			if strings.ContainsAny(raw, "\r\x1b\u2588") || strings.Count(raw, "waiting") != 1 {
				t.Errorf("it wrote %+q", raw)
			}
		})
	}
}

func TestCharactersThatTheTerminalLacks(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	terminal.utf8 = false
	if err := terminal.Show(Request{Auth: openAuthorization(), Profile: "b\u00fcro"}); err != nil {
		t.Fatal(err)
	}
	if err := terminal.Line("J\u00fcrgen"); err != nil {
		t.Fatal(err)
	}
	if got := screen.text(); !strings.Contains(got, "for profile b?ro") || !strings.HasSuffix(got, "J?rgen\n") {
		t.Errorf("it wrote %+q", got)
	}
}

func TestFailedWriteIsReported(t *testing.T) {
	terminal, screen := newScreen(80, 24)
	screen.fail = errBackground
	if err := terminal.Show(Request{Auth: openAuthorization()}); !errors.Is(err, errBackground) {
		t.Errorf("Show: %v", err)
	}
	if err := terminal.Line("text"); !errors.Is(err, errBackground) {
		t.Errorf("Line: %v", err)
	}
}

func TestSpeaksUTF8(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{"LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LANG": "C.utf8"}, true},
		{map[string]string{"LC_CTYPE": "UTF-8"}, true}, // what macOS sets
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_CTYPE": "de_DE.ISO-8859-1"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
		{map[string]string{"LANG": "ca_ES.UTF-8@valencia"}, true},
		{map[string]string{}, false},
	} {
		if got := speaksUTF8(environment(test.env)); got != test.want {
			t.Errorf("%v: %v, want %v", test.env, got, test.want)
		}
	}
}

func environment(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}
