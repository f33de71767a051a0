package failure

import (
	"unicode"
	"unicode/utf8"
)

// Unseen tells the characters that do not show as themselves in a line: controls, line
// and paragraph separators, spaces but for the usual one, bidirectional and zero-width
// ones, and those that unicode.IsPrint counts as letters, marks or symbols all the same,
// such as the Hangul fillers.
func Unseen(r rune) bool {
	const brailleBlank = 0x2800
	return !unicode.IsPrint(r) || r == brailleBlank || r == utf8.RuneError ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
