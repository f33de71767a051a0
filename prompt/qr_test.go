package prompt

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

const link = "https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT"

func TestDrawQR(t *testing.T) {
	code, err := qr.Encode(link, qr.L)
	must(t, err)
	const margin = 2
	modules := readDrawing(t, drawQR(link, 37, 19)) // exactly enough
	if len(modules) != 38*37 || code.Size+2*margin != 37 {
		t.Fatalf("%d modules", len(modules))
	}
	for i, black := range modules {
		if x, y := i%37, i/37; black != code.Black(x-margin, y-margin) {
			t.Fatalf("module %d,%d is black: %v", x, y, black)
		}
	}
	for _, room := range [][2]int{{36, 60}, {120, 18}, {0, 0}, {-1, -5}} {
		if got := drawQR(link, room[0], room[1]); got != "" {
			t.Errorf("drawn in %v", room)
		}
	}
	if got := drawQR("https://idp.example/"+strings.Repeat("a", 3000), 1000, 1000); got != "" {
		t.Errorf("an address that is too long is drawn: %d bytes", len(got))
	}
}

func TestShowDrawsQR(t *testing.T) {
	for _, test := range []struct {
		name          string
		width, height int
		change        func(*Terminal, *Request)
		want          bool
	}{
		{"exactly high enough", 80, 23, func(*Terminal, *Request) {}, true},
		{"one line too low", 80, 22, func(*Terminal, *Request) {}, false},
		{"text wraps", 40, 25, func(*Terminal, *Request) {}, false},
		{"text wraps, with room", 40, 26, func(*Terminal, *Request) {}, true},
		{"not asked for", 80, 24, func(_ *Terminal, r *Request) { r.QR = false }, false},
		{"dumb terminal", 80, 24, func(t *Terminal, _ *Request) { t.dumb = true }, false},
		{"not UTF-8", 80, 24, func(t *Terminal, _ *Request) { t.utf8 = false }, false},
		{"size unknown", 0, 0, func(*Terminal, *Request) {}, false},
	} {
		terminal, screen := newScreen(test.width, test.height)
		r := openRequest()
		r.QR = true
		test.change(terminal, &r)
		must(t, terminal.Show(r, morning))
		raw := screen.raw.String()
		if got := strings.Contains(raw, "\x1b[0;30;47m   "); got != test.want || got && strings.Count(raw, "\n")+1 > test.height {
			t.Errorf("%s: drawn: %v, want %v\n%s", test.name, got, test.want, raw)
		}
	}
}

// readDrawing reads a drawing back into modules, row by row: true is black. It knows
// the characters of a terminal, and no QR code.
func readDrawing(t *testing.T, drawing string) (modules []bool) {
	t.Helper()
	for line := range strings.Lines(drawing) {
		blocks, black := strings.CutPrefix(line, "\x1b[0;30;47m") // on white
		blocks, reset := strings.CutSuffix(blocks, "\x1b[0m\n")
		if !black || !reset || strings.Trim(blocks, " \u2580\u2584\u2588") != "" {
			t.Fatalf("a line is not drawn in blocks and colours of its own: %q", line)
		}
		for _, half := range []string{"\u2580\u2588", "\u2584\u2588"} { // above, below
			for _, block := range blocks {
				modules = append(modules, strings.ContainsRune(half, block))
			}
		}
	}
	return modules
}
