package prompt

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"printable ASCII", "LBJX-WZVT ~!{}\\", "LBJX-WZVT ~!{}\\"},
		{"other scripts", "J\u00fcrgen \u5c71\u7530 \u0645\u0631\u062d\u0628\u0627", "J\u00fcrgen \u5c71\u7530 \u0645\u0631\u062d\u0628\u0627"},
		{"line breaks and tabs", "a\nb\r\nc\td\u2028e\u0085f\vg", "a b  c d e f g"},
		{"other spaces", "a\u00a0b\u3000c", "a b c"},
		{"C0 and DEL", "a\x00b\x07c\x08d\x7fe", "abcde"},
		{"C1", "a\u0080b\u008dc", "abc"},
		{"bare byte of C1", "a\x9b31mb", "a\ufffd31mb"},
		{"not UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"surrogate half", "a\xed\xa0\x80b", "a\ufffd\ufffd\ufffdb"},
		{"colour", "\x1b[31mred\x1b[0m", "red"},
		{"colour, 8-bit form", "\u009b31mred\u009b0m", "red"},
		{"clear screen", "a\x1b[2J\x1b[;Hb", "ab"},
		{"intermediate bytes", "a\x1b[0 qb", "ab"},
		{"cut control sequence", "a\x1b[31", "a"},
		{"window title", "a\x1b]0;you are root\ab", "ab"},
		{"window title, long end", "a\x1b]0;title\x1b\\b\x1b\\c", "abc"},
		{"window title, 8-bit form", "a\u009d0;title\u009cb", "ab"},
		{"hyperlink", "\x1b]8;;https://evil.example\x1b\\safe\x1b]8;;\x1b\\", "safe"},
		{"string without an end stays readable", "a\x1b]0;rest", "a0;rest"},
		{"device control string", "a\x1bP+q\x1b\\b", "ab"},
		{"character set", "a\x1b(0b", "ab"},
		{"terminal reset", "a\x1bcb", "ab"},
		{"lone ESC", "a\x1b", "a"},
		{"ESC before another", "a\x1b\x1b[31mb", "ab"},
		{"ESC before a letter of another script", "a\x1b\u00fc", "a\u00fc"},
		{"bidi overrides", "a\u202eb\u202cc\u2066d\u2069e\u200ff", "abcdef"},
		{"zero width", "a\u200bb\u200dc\ufeffd\u2060e\u00adf", "abcdef"},
		{"invisible letters and marks", "a\u3164b\u115fc\u034fd\ufe0fe\U000e0041f", "abcdef"},
		{"private use", "a\ue000b", "ab"},
		{"empty", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Clean(test.in); got != test.want {
				t.Errorf("Clean(%+q) = %+q, want %+q", test.in, got, test.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{
		"LBJX-WZVT", "a\x1b[31mb", "\x1b]0;x\a", "\u009b1m", "\x1b]\x1b]\a", "\xc2", "\xc2\x9b", "a\u202eb",
		"\x1b\x1b[[31m", "\x1b(\x1b(", "\u0090\u009c", "\r\n\t", "\x1b", "\x1bP", "e\u0301\ufe0f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("Clean(%+q) = %+q is not UTF-8", s, got)
		}
		for _, r := range got {
			if r != ' ' && !unicode.IsGraphic(r) || unicode.In(r, unicode.C, unicode.Z) && r != ' ' {
				t.Errorf("Clean(%+q) = %+q still holds %U", s, got, r)
			}
		}
		if again := Clean(got); again != got {
			t.Errorf("Clean(%+q) = %+q, and cleaned again %+q", s, got, again)
		}
		if printableASCII(s) && got != s {
			t.Errorf("Clean(%q) = %q changed printable ASCII", s, got)
		}
	})
}

func printableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
