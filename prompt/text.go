package prompt

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass/daypass/deviceflow"
)

// columns is the width that texts keep to, addresses excepted.
const columns = 80

// Request is an open authorization, and whom and what it is for.
type Request struct {
	Auth deviceflow.Authorization

	// Profile, RoleName and AccountID say what the login is for. Each is ""
	// where it is not known.
	Profile, RoleName, AccountID string

	// TabOpened says that OpenBrowser took the address.
	TabOpened bool

	// QR asks for a QR code of the address below the text, on a terminal that
	// has room for it.
	QR bool
}

// Text returns the lines that ask a person to approve r, each ended by a
// newline, with the code's end as wall-clock time in loc.
//
// The addresses and the code are checked once more, for they may come from a
// stored record: what is unfit to be shown is an error, and nothing is shown.
func Text(r Request, loc *time.Location) (string, error) {
	if err := checkRequest(r); err != nil {
		return "", err
	}
	code := r.Auth.UserCode

	// Without a complete link the person types the code himself, and most
	// pages do not show it again: then there is nothing to compare.
	where, last := r.address(), fmt.Sprintf("  Approve only if the page shows %s.", code)
	if r.Auth.VerificationURIComplete == "" {
		where, last = where+"  and enter  "+code, " "
	}
	if r.TabOpened {
		where += "   (tab opened)"
	}
	if !r.Auth.Expires.IsZero() {
		last += " Good until " + r.Auth.Expires.In(loc).Format("15:04") + "."
	}
	text := wrap(r.heading()) + "\n  " + where + "\n"
	if last = strings.TrimRight(last, " "); last != "" {
		text += last + "\n"
	}
	return text, nil
}

// address returns what to open: the complete link where there is one.
func (r Request) address() string {
	if r.Auth.VerificationURIComplete != "" {
		return r.Auth.VerificationURIComplete
	}
	return r.Auth.VerificationURI
}

// heading says at which host to log in, and what for.
func (r Request) heading() string {
	text := "daypass: log in"
	if u, err := url.Parse(r.address()); err == nil {
		text += " at " + u.Host
	}
	if profile := Clean(r.Profile); profile != "" {
		text += " for profile " + profile
	}
	var role []string
	for _, value := range []string{r.RoleName, r.AccountID} {
		if value = Clean(value); value != "" {
			role = append(role, value)
		}
	}
	if len(role) > 0 {
		text += " (" + strings.Join(role, ", ") + ")"
	}
	return text
}

// checkRequest returns an error if r holds a code or an address that must not
// reach a person.
func checkRequest(r Request) error {
	if r.Auth.UserCode == "" {
		return errors.New("the user code is empty")
	}
	if Clean(r.Auth.UserCode) != r.Auth.UserCode {
		return fmt.Errorf("the user code %q holds characters that cannot be shown", r.Auth.UserCode)
	}
	if err := CheckURL(r.Auth.VerificationURI); err != nil {
		return fmt.Errorf("verification_uri: %w", err)
	}
	if r.Auth.VerificationURIComplete == "" {
		return nil
	}
	if err := CheckURL(r.Auth.VerificationURIComplete); err != nil {
		return fmt.Errorf("verification_uri_complete: %w", err)
	}
	return nil
}

// wrap breaks text at spaces into lines of at most 80 columns, the second and
// later ones indented. A longer word stays whole: it is an address or a name.
func wrap(text string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+n <= columns:
			b.WriteByte(' ')
			width++
		default:
			b.WriteString("\n  ")
			width = 2
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}

// countdownText returns the line that is rewritten while a login waits for its
// approval, cut to what fits in width columns.
func countdownText(userCode string, left time.Duration, width int) string {
	seconds := int(max(left, 0) / time.Second)
	text := fmt.Sprintf("waiting for approval of %s, %d:%02d left.", Clean(userCode), seconds/60, seconds%60)
	if whole := text + " Ctrl-C keeps the code."; utf8.RuneCountInString(whole) <= width {
		return whole
	}
	return cut(text, width)
}

// waitingText returns the line that is rewritten while another process holds
// the login, cut to what fits in width columns. userCode is "" if not known.
func waitingText(userCode string, waited time.Duration, width int) string {
	whom := "another daypass to log in"
	if code := Clean(userCode); code != "" {
		whom = "the login with code " + code
	}
	return cut(fmt.Sprintf("daypass: waiting for %s, %d s", whom, int(waited/time.Second)), width)
}

// cut returns the first width characters of text.
func cut(text string, width int) string {
	for i := range text {
		if width == 0 {
			return text[:i]
		}
		width--
	}
	return text
}
