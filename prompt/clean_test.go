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
		{"escape sequences", "\x1b[31mred\x1b[0m \x1b]0;title\ab \x1bPx\x1b\\", "[31mred[0m ]0;titleb Px\\"},
		{"escape sequences, 8-bit form", "\u009b31mred\u009d0;title\u009c", "31mred0;title"},
		{"bidi overrides", "a\u202eb\u202cc\u2066d\u2069e\u200ff", "abcdef"},
		{"zero width", "a\u200bb\u200dc\ufeffd\u2060e\u00adf", "abcdef"},
		{"invisible letters and marks", "a\u3164b\u115fc\u034fd\ufe0fe\U000e0041f\u2800", "abcdef"},
		{"private use", "a\ue000b", "ab"},
		{"empty", "", ""},
	} {
		if got := Clean(test.in); got != test.want {
			t.Errorf("%s: Clean(%+q) = %+q, want %+q", test.name, test.in, got, test.want)
		}
	}
	var all strings.Builder
	for r := range rune(unicode.MaxRune + 1) {
		all.WriteRune(r)
		all.WriteByte(byte(r)) // not UTF-8 from 0x80 on
	}
	cleaned := Clean(all.String())
	if !utf8.ValidString(cleaned) || Clean(cleaned) != cleaned {
		t.Error("Clean leaves what is not UTF-8, or not clean")
	}
	for _, r := range cleaned {
		if r != ' ' && (!unicode.IsGraphic(r) || unicode.In(r, unicode.C, unicode.Z)) {
			t.Errorf("Clean leaves %U", r)
		}
	}
}
