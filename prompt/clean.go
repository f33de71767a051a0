package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
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
		case r != utf8.RuneError && failure.Unseen(r):
			return -1
		}
		return r
	}, text)
}
