package prompt

import (
	"strings"
	"unicode"
)

// Clean makes text of outside origin fit for one line on a terminal.
//
// Control characters (C0, C1) and characters that draw nothing (bidirectional
// overrides, zero-width characters, variation selectors) are removed: they could
// move the cursor, retitle the window or reorder what the person reads. The rest of
// an escape sequence is harmless. Line breaks, tabs and other spaces become a plain
// space, and what is not UTF-8 becomes U+FFFD. Printable ASCII stays as it is.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		// unicode.IsPrint counts some that draw nothing as letters or marks, such as
		// the Hangul fillers.
		case !unicode.IsPrint(r), unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
			return -1
		}
		return r
	}, text)
}
