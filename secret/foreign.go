package secret

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Foreign is a text of outside origin on one line of bounded length. One that
// repeats a secret that its writer was sent, perhaps broken into words, is dropped,
// and so is any long run of characters that tokens are made of.
func Foreign(text string, sent ...String) string {
	for _, s := range sent {
		if Repeats(text, s.Reveal()) {
			return "..."
		}
	}
	// First, for what is left out later would join what was around it.
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	// 80 characters of a JWT (RFC 7519) or of base64: names of roles and requests are
	// shorter.
	text = regexp.MustCompile(`[\w.=+-]{81,}`).ReplaceAllString(strings.Join(strings.Fields(text), " "), "...")
	text = strings.TrimRight(text, ".")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}
