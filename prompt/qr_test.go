package prompt

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"rsc.io/qr"
)

const link = "https://corp.eu.auth0.com/activate?user_code=LBJX-WZVT"

func TestDrawQR(t *testing.T) {
	for _, test := range []struct {
		name          string
		text          string
		width, height int
		utf8          bool
		level         qr.Level
		margin        int // 0: no room
	}{
		{"half blocks, plenty of room", link, 120, 60, true, qr.M, 4},
		{"half blocks, exactly enough", link, 41, 21, true, qr.M, 4},
		{"half blocks, enough with less correction", link + "&client_id=J1oXg0", 41, 21, true, qr.L, 4},
		{"half blocks below the text on 80 by 24", link, 79, 20, true, qr.L, 2},
		{"half blocks, exactly enough with a narrow margin", link, 37, 19, true, qr.L, 2},
		{"half blocks, too narrow", link, 36, 60, true, 0, 0},
		{"half blocks, too low", link, 120, 18, true, 0, 0},
		{"cells, plenty of room", link, 120, 60, false, qr.M, 4},
		{"cells, exactly enough", link, 74, 37, false, qr.L, 2},
		{"cells, too narrow", link, 73, 60, false, 0, 0},
		{"cells, too low", link, 120, 36, false, 0, 0},
		{"no room at all", link, 0, 0, true, 0, 0},
		{"less than none", link, -1, -5, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			drawing := drawQR(test.text, test.width, test.height, test.utf8)
			if test.margin == 0 {
				if drawing != "" {
					t.Fatalf("drawn without room:\n%s", drawing)
				}
				return
			}
			modules := readDrawing(t, drawing, test.utf8)
			code, err := qr.Encode(test.text, test.level)
			if err != nil {
				t.Fatal(err)
			}
			side := code.Size + 2*test.margin
			if rows := strings.Count(drawing, "\n"); rows > test.height || len(modules) < side {
				t.Fatalf("%d lines with %d rows of modules, want %d rows in %d lines", rows, len(modules), side, test.height)
			}
			for y, row := range modules {
				if len(row) != side {
					t.Fatalf("row %d has %d modules, want %d", y, len(row), side)
				}
				for x, black := range row {
					if want := code.Black(x-test.margin, y-test.margin); black != want {
						t.Fatalf("module %d,%d is black: %v, want %v", x, y, black, want)
					}
				}
			}
		})
	}
}

func TestAddressTooLongForQR(t *testing.T) {
	if got := drawQR("https://idp.example/"+strings.Repeat("a", 3000), 1000, 1000, true); got != "" {
		t.Errorf("drawn: %d bytes", len(got))
	}
}

func TestShowDrawsQR(t *testing.T) {
	r := Request{Auth: openAuthorization(), Profile: "dev", RoleName: "Developer", AccountID: "111122223333", QR: true}
	const firstRow = "\x1b[0;30;47m   "
	for _, test := range []struct {
		name          string
		width, height int
		change        func(*Terminal, *Request)
		want          bool
	}{
		{"usual terminal", 80, 24, func(*Terminal, *Request) {}, true},
		{"exactly high enough", 80, 23, func(*Terminal, *Request) {}, true},
		{"one line too low", 80, 22, func(*Terminal, *Request) {}, false},
		{"text wraps", 40, 25, func(*Terminal, *Request) {}, false},
		{"text wraps, with room", 40, 26, func(*Terminal, *Request) {}, true},
		{"not asked for", 80, 24, func(_ *Terminal, r *Request) { r.QR = false }, false},
		{"no colours", 80, 24, func(t *Terminal, _ *Request) { t.styled = false }, false},
		{"size unknown", 0, 0, func(*Terminal, *Request) {}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			terminal, screen := newScreen(test.width, test.height)
			r := r
			test.change(terminal, &r)
			if err := terminal.Show(r); err != nil {
				t.Fatal(err)
			}
			raw := screen.raw.String()
			if got := strings.Contains(raw, firstRow); got != test.want {
				t.Errorf("drawn: %v, want %v\n%s", got, test.want, raw)
			}
			if lines := strings.Count(raw, "\n"); test.want && lines+1 > test.height {
				t.Errorf("%d lines and the countdown on a screen of %d", lines, test.height)
			}
		})
	}
}

// readDrawing reads a drawing back into modules: true is black. It knows the
// colours and characters of a terminal, and no QR code.
func readDrawing(t *testing.T, drawing string, halfBlocks bool) [][]bool {
	t.Helper()
	style := regexp.MustCompile(`^\x1b\[([0-9;]*)m`)
	var modules [][]bool
	for line := range strings.Lines(drawing) {
		var above, below []bool
		foreground, background := "", ""
		line = strings.TrimSuffix(line, "\n")
		for line != "" {
			if found := style.FindStringSubmatch(line); found != nil {
				for _, parameter := range strings.Split(found[1], ";") {
					switch parameter {
					case "", "0":
						foreground, background = "", ""
					case "30", "37":
						foreground = parameter
					case "40", "47":
						background = parameter
					default:
						t.Fatalf("unknown colour %q", parameter)
					}
				}
				line = line[len(found[0]):]
				continue
			}
			r, size := utf8.DecodeRuneInString(line)
			line = line[size:]
			if background == "" || r != ' ' && foreground == "" {
				t.Fatalf("%q is drawn in the terminal's own colours", r)
			}
			ink, paper := foreground == "30", background == "40"
			switch r {
			case ' ':
				above, below = append(above, paper), append(below, paper)
			case '\u2588':
				above, below = append(above, ink), append(below, ink)
			case '\u2580':
				above, below = append(above, ink), append(below, paper)
			case '\u2584':
				above, below = append(above, paper), append(below, ink)
			default:
				t.Fatalf("unknown character %q", r)
			}
		}
		if foreground != "" || background != "" {
			t.Fatal("colours go on after the end of a line")
		}
		if halfBlocks {
			modules = append(modules, above, below)
			continue
		}
		var row []bool
		for i := 0; i+1 < len(above); i += 2 {
			if above[i] != above[i+1] {
				t.Fatalf("column %d: half a module", i)
			}
			row = append(row, above[i])
		}
		modules = append(modules, row)
	}
	return modules
}
