package prompt

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// Request is an open authorization, and whom and what it is for.
type Request struct {
	UserCode string // "" in the browser flow: there is no code to compare or to enter
	// VerificationURI is the address to open. VerificationURIComplete is one that
	// holds the code as well, or "".
	VerificationURI, VerificationURIComplete string

	Expires time.Time // end of the authorization

	Profile, RoleName, AccountID string // what the login is for; each "" if it is not known

	TabOpened bool // [Browser.Open] took the address
	// Elsewhere says, in the browser flow, that the browser is on another machine, and the
	// address on which it ends up will be pasted.
	Elsewhere bool
	QR        bool // a QR code of the address is wanted below the text
}

// Text returns the lines that ask a person to approve r, with times in now's location.
// The addresses and the code may come from a stored record, so they are checked
// once more: for what is unfit to be shown there is an error, and no text.
func Text(r Request, now time.Time) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	where, last := r.address(), ""
	switch {
	case r.UserCode == "" && r.TabOpened:
		where = "in the browser tab that was opened"
	case r.UserCode == "" && r.Elsewhere:
		last = "Open it in any browser, then paste the address where it ends up. "
	case r.UserCode == "":
		last = "Open it in a browser on this machine. "
	case r.VerificationURIComplete != "":
		last = "Approve only if the page shows " + r.UserCode + ". "
	default:
		// The person types the code, and most pages do not show it again: then there
		// is nothing to compare.
		where += "  and enter  " + r.UserCode
	}
	if r.TabOpened && r.UserCode != "" {
		where += "   (tab opened)"
	}
	return Wrap("", r.heading(), "  ", 80) + "\n  " + where + "\n  " + last + "Good until " + failure.Clock(r.Expires, now) + ".\n", nil
}

// address returns what to open: the complete link if there is one.
func (r Request) address() string { return cmp.Or(r.VerificationURIComplete, r.VerificationURI) }

// check refuses a code or an address that must not reach a person.
func (r Request) check() error {
	if Clean(r.UserCode) != r.UserCode {
		return fmt.Errorf("the user code %q holds characters that cannot be shown", r.UserCode)
	}
	// Whether it may be on this machine was checked with the provider's answer.
	if err := address.Check(r.address(), true); err != nil {
		return fmt.Errorf("verification_uri: %w", err)
	}
	return nil
}

// heading says at which host to log in, and what for.
func (r Request) heading() string {
	u, _ := url.Parse(r.address()) // as check did
	text := "daypass: log in at " + u.Host
	if profile := Clean(r.Profile); profile != "" {
		text += " for profile " + profile
	}
	if role := strings.Trim(Clean(r.RoleName)+", "+Clean(r.AccountID), ", "); role != "" {
		text += " (" + role + ")"
	}
	return text
}

// Wrap breaks text at spaces into lines of at most so many columns. The first line
// begins with first, the others with indent. A longer word stays whole: it is an
// address or a name.
func Wrap(first, text, indent string, columns int) string {
	var whole strings.Builder
	line, begun := first, false
	for word := range strings.FieldsSeq(text) {
		if begun && utf8.RuneCountInString(line+" "+word) > columns {
			whole.WriteString(line + "\n")
			line, begun = indent, false
		}
		if begun {
			line += " "
		}
		line, begun = line+word, true
	}
	return whole.String() + line
}

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

// CleanLines is [Clean] for text of several lines. The last one ends too.
func CleanLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(Clean(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}
