package deviceflow

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/secret"
)

// clean makes one line of at most max bytes of a text of outside origin. Control
// characters, line breaks included, become spaces, and what does not print, such
// as a change of writing direction, goes.
func clean(text string, max int) string {
	return bound(printable(text), max)
}

// cleanWithout is clean for a text that may repeat secrets which its writer was
// sent.
func cleanWithout(secrets []string, text string, max int) string {
	// After the cleaning too: it could put a secret together.
	return bound(redact(printable(redact(text, secrets)), secrets), max)
}

func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

func bound(text string, max int) string {
	if len(text) <= max {
		return text
	}
	text = text[:max]
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1] // half a character
	}
	return text
}

// plain is the text of an error without the URL that net/http puts around it,
// whose query may hold a secret.
func plain(err error) string {
	if err == nil {
		return ""
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return clean(err.Error(), 300)
}

func redact(text string, secrets []string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, secret.Redacted)
		text = strings.ReplaceAll(text, url.QueryEscape(s), secret.Redacted)
	}
	return text
}
