package prompt

import (
	"strings"
	"unicode"
)

// Clean makes text of outside origin fit for one line on a terminal. Controls and
// characters that draw nothing (bidirectional overrides, zero-width ones, variation
// selectors) are removed: they could move the cursor, retitle the window or reorder
// what the person reads. Any white space becomes a plain space, and what is not UTF-8
// becomes U+FFFD.
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
