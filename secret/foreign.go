package secret

import (
	"net/url"
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

// Repeats reports whether a text of outside origin repeats one of the secrets that
// its writer was sent, or 20 characters of it in a row: as it is or encoded for a
// URL, and also if white space or anything else breaks it up. Such a text is not to
// be shown. Only letters and digits of ASCII are compared.
func Repeats(text string, sent ...string) bool {
	const most = 20
	bare := func(s string) string {
		return strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
				return r
			}
			return -1
		}, s)
	}
	said := bare(text)
	for _, s := range sent {
		for _, form := range []string{bare(s), bare(url.QueryEscape(s)), bare(url.PathEscape(s))} {
			pieces, size := map[string]bool{}, max(1, min(len(form), most))
			for i := range len(form) - size + 1 {
				pieces[form[i:i+size]] = true
			}
			for i := range len(said) - size + 1 {
				if pieces[said[i:i+size]] {
					return true
				}
			}
		}
	}
	return false
}
