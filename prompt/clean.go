package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text of outside origin fit for one line on a terminal: a user
// code, an account name, a provider's error text.
//
// Escape sequences (ECMA-48, in their 7-bit and 8-bit forms), control
// characters and characters that draw nothing (bidirectional overrides,
// zero-width characters, variation selectors) are removed: they could move the
// cursor, retitle the window or reorder what the person reads. Line breaks,
// tabs and other spaces become a plain space, and what is not UTF-8 becomes
// U+FFFD. Printable ASCII comes back unchanged.
func Clean(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if n := escapeLen(s); n > 0 {
			s = s[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsPrint(r) && !drawsNothing(r):
			b.WriteRune(r) // also U+FFFD, as which a wrong byte is decoded
		}
	}
	return b.String()
}

// drawsNothing reports whether r is one of the invisible characters that
// unicode.IsPrint counts as letters or marks, such as the Hangul fillers.
func drawsNothing(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escapeLen returns the length in bytes of the escape sequence that s begins
// with, 0 if it begins with none. The forms are those of ECMA-48, section 5.
func escapeLen(s string) int {
	kind, n := introducer(s)
	if n == 0 {
		return 0
	}
	switch {
	case kind == '[': // control sequence: parameters, intermediates, one final byte
		n += countIn(s[n:], 0x20, 0x3f)
		if n < len(s) && 0x40 <= s[n] && s[n] <= 0x7e {
			n++
		}
	case kind != 0 && strings.IndexByte("]PX^_", kind) >= 0: // control string
		return n + controlStringLen(s[n:])
	case 0x20 <= kind && kind <= 0x2f: // "ESC ( B": intermediates, one final byte
		n += countIn(s[n:], 0x20, 0x2f)
		if n < len(s) && 0x30 <= s[n] && s[n] <= 0x7e {
			n++
		}
	}
	return n
}

// introducer returns the byte that says which kind of escape sequence s begins
// with, and the length of the introduction: ESC and that byte, or the one C1
// character that stands for both. A lone ESC has the kind 0.
func introducer(s string) (kind byte, n int) {
	if s[0] == 0x1b {
		if len(s) > 1 && 0x20 <= s[1] && s[1] <= 0x7e {
			return s[1], 2
		}
		return 0, 1
	}
	if r, size := utf8.DecodeRuneInString(s); 0x80 <= r && r <= 0x9f && r != 0x85 { // U+0085 is a line break
		return byte(r - 0x40), size
	}
	return 0, 0
}

// controlStringLen returns the length of a control string's text with its
// terminator. One without a terminator has length 0: its text stays readable
// instead of taking all that follows away.
func controlStringLen(s string) int {
	length := 0
	for _, end := range []string{"\a", "\x1b\\", "\u009c"} {
		if i := strings.Index(s, end); i >= 0 && (length == 0 || i+len(end) < length) {
			length = i + len(end)
		}
	}
	return length
}

// countIn returns how many bytes at the start of s lie between first and last.
func countIn(s string, first, last byte) int {
	n := 0
	for n < len(s) && first <= s[n] && s[n] <= last {
		n++
	}
	return n
}
