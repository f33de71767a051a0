package idp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/daypass/daypass/failure"
)

// ProviderError is what came of a request instead of what it asked for: an OAuth
// error object (RFC 6749 section 5.2), an HTTP status without one, or no answer.
type ProviderError struct {
	Op     string // one of the constants such as OpRefresh
	Host   string // that was asked, with the port if it has one
	Status int    // of HTTP, 0 without an answer; it says little: providers send errors with any
	Code   string // of OAuth, "" if there was none
	// Description is the provider's text, or what is wrong with an answer without
	// one: one line without control characters, at most 300 bytes.
	Description string
	// Unreadable says that the answer was not a JSON object, and so perhaps not the
	// provider's: there may be a proxy or a sign-in page in between.
	Unreadable    bool
	CorrelationID string        // finds the event in Entra's sign-in log, "" elsewhere
	RetryAfter    time.Duration // for which the provider asks to be left alone, 0 if it did not say
	// Lost says that the request may have reached the provider, and that its answer
	// is not known: it broke off, was a server error, or could not be read.
	Lost  bool
	Cause error // why there was no answer, nil if there was one
}

func (e *ProviderError) Error() string {
	return fmt.Sprintf("%s request to %s: status %d: %s", e.Op, e.Host, e.Status, e.said())
}

func (e *ProviderError) Unwrap() error { return e.Cause }

// ErrDenied comes with why the person or the provider refused a login.
var ErrDenied = errors.New("the login was refused")

// IsLost reports whether the answer to an exchange is not known.
func IsLost(err error) bool {
	e, ok := errors.AsType[*ProviderError](err)
	return ok && e.Lost
}

// IsUnreachable reports whether there was no answer, and no secret can have arrived.
func IsUnreachable(err error) bool {
	e, ok := errors.AsType[*ProviderError](err)
	return ok && e.Cause != nil && !e.Lost
}

// IsInvalidGrant reports the one answer that ends a refresh token (RFC 6749 section
// 5.2): not a lost one, nor status 429, which limits rates whatever its code is.
func IsInvalidGrant(err error) bool { return refusedWith(err, "invalid_grant") }

// WantsPerson reports whether the provider keeps the login but wants to see the
// person again (OpenID Connect Core section 3.1.2.6; Entra sends these on renewal).
func WantsPerson(err error) bool {
	return refusedWith(err, "interaction_required", "login_required", "consent_required")
}

// RefusesDeviceCodes reports whether the provider knows the client, and does not give
// it device codes. Entra says unauthorized_client of a client that it does not know.
func RefusesDeviceCodes(err error) bool {
	e, ok := errors.AsType[*ProviderError](err)
	return ok && refusedWith(err, "unauthorized_client", "unsupported_grant_type") && e.Op == OpDevice && e.Event() != unknownToEntra
}

func refusedWith(err error, codes ...string) bool {
	e, ok := errors.AsType[*ProviderError](err)
	return ok && !e.Lost && e.Status != http.StatusTooManyRequests && slices.Contains(codes, e.Code)
}

// loginKept reassures users who were already logged in.
const loginKept = "An existing login is kept. Try again later."

// LoginEnded returns the words for a login that the provider renews only after it
// has seen the person. It is for one of which that is known without asking.
func LoginEnded() *failure.Error {
	return new(Client).explain(&ProviderError{Op: OpRefresh, Code: "interaction_required"})
}

// explain returns e with its exit code and its words. What a provider refuses in so
// many words is in providers.go.
func (c *Client) explain(e *ProviderError) *failure.Error {
	lines := func(lines ...string) *failure.Error { return failure.New(failure.ExitNetwork, e, lines...) }
	pause := "a few minutes"
	if e.RetryAfter > 0 {
		pause = fmt.Sprintf("%.0f s", e.RetryAfter.Seconds())
	}
	switch {
	case e.Cause != nil && !e.Lost:
		return lines(unreachable(e)...)
	case e.Status == http.StatusTooManyRequests: // whatever the code: Auth0's can be access_denied
		return lines("{host} asks to wait "+pause+": too many logins.", loginKept)
	case e.Lost, e.Unreadable, e.Code == "" && e.Status >= 500:
		advice := ""
		if e.Unreadable && e.Status < 500 { // perhaps not the provider's words at all
			advice = "Is there a proxy or a sign-in page in between? If not, check issuer in {section}."
		}
		return lines(cannot(e.Op)+": {host} does not answer as it should ("+e.said()+").", advice, loginKept)
	}
	event := e.Event()
	codes := []string{e.Code, event, e.Op + ":" + e.Code, e.Op + ":" + event, e.Op + ":"}
	if e.CorrelationID != "" {
		event += ", id " + e.CorrelationID
	}
	f := failure.Refused(e, refusals(), codes, e.Description,
		"{client}", c.ClientID, "{audience}", c.Audience, "{enable}", ProviderOf(c.Issuer).SwitchOn, "{code}", e.Code,
		"{said}", e.said(), "{words}", e.joined("%[2]s (%[1]s)"), "{event}", event, "{wait}", pause, "{op}", e.Op)
	switch {
	case e.Op == OpRefresh && (IsInvalidGrant(e) || WantsPerson(e)):
		f.Exit = failure.ExitLogin // the provider wants to see the person, whatever the reason
	case f.Exit == failure.ExitAWS: // the row names none
		f.Exit = failure.ExitRefused
	}
	return f
}

// Event is Entra's number for what it says, such as AADSTS53003; "" if there is none.
func (e *ProviderError) Event() string {
	if number, _, _ := strings.Cut(e.Description, ":"); strings.HasPrefix(number, "AADSTS") {
		return number
	}
	return ""
}

// cannot says what does not work without the answer.
func cannot(op string) string {
	switch op {
	case OpRefresh:
		return "cannot renew"
	case OpRevocation:
		return "cannot revoke"
	case OpDiscovery, OpKeys:
		return "cannot log in or renew"
	}
	return "cannot log in"
}

// unreachable says why nothing was sent, and what to do about it.
func unreachable(e *ProviderError) []string {
	var (
		certificate *tls.CertificateVerificationError
		proxy       *failure.Error // of the transport
		connect     *net.OpError
		why         = plain(e.Cause)
	)
	switch {
	case errors.As(e.Cause, &certificate):
		return []string{"the certificate of " + e.Host + " is not trusted here (" + why + ").",
			"If a company proxy or CA signed it, set ca_bundle in {section}.",
			"If not, is there a sign-in page in between? Is this machine's clock right?"}
	case errors.As(e.Cause, &proxy):
		return proxy.Lines
	case errors.As(e.Cause, &connect) && connect.Op == "proxyconnect":
		return []string{"cannot reach the proxy for " + e.Host + ": " + why + ".", "Check HTTPS_PROXY."}
	}
	return []string{"cannot reach " + e.Host + ": " + why + ".", "Check the network. Behind a proxy, set HTTPS_PROXY.", loginKept}
}

// said is what the provider said, for brackets: its code and its words, or else
// the status, or why it said nothing.
func (e *ProviderError) said() string { return e.joined("%[1]s: %[2]s") }

func (e *ProviderError) joined(form string) string {
	words := strings.TrimRight(e.Description, ". ")
	switch {
	case e.Cause != nil:
		return plain(e.Cause)
	case e.Code == "" && (words == "" || e.Status >= 500):
		return fmt.Sprintf("status %d", e.Status)
	case words == "":
		return e.Code
	case e.Code == "" || strings.Contains(words, e.Code):
		return words
	}
	return fmt.Sprintf(form, e.Code, words)
}

// DiscoveryError is the cause if the provider's discovery document (OpenID Connect
// Discovery 1.0 section 3) is missing or of no use. Discovered is what the provider
// calls itself, if that is another name; it is not to be trusted.
type DiscoveryError struct{ Reason, Discovered string }

func (e *DiscoveryError) Error() string { return e.Reason }

// TokenError is the cause if an ID token is of no use. It never holds the token.
type TokenError struct{ Reason string }

func (e *TokenError) Error() string { return "bad ID token: " + e.Reason }

func badToken(advice, format string, values ...any) error {
	reason := fmt.Sprintf(format, values...)
	return failure.New(failure.ExitRefused, &TokenError{reason}, "the ID token from {host} cannot be used: "+reason+".", advice)
}

// AnotherPerson is the error for an ID token whose subject should be another.
func AnotherPerson(got, want string) error {
	return wrongClaim("sub", got, want, "Run: daypass login{flag}")
}

func wrongClaim(name, got, want, advice string) error {
	return badToken(advice, "claim %s is %q, want %q", name, clean(got, 200), want)
}

// noIDToken is the error for a token answer without the token that AWS takes.
func noIDToken(op string) error {
	cause := &TokenError{"the provider sent none"}
	if op == OpRefresh {
		return failure.New(failure.ExitLogin, cause,
			"{host} renews a login without a new ID token, which AWS needs.",
			"At this provider a login ends with its ID token. Run: daypass login{flag}")
	}
	// A plain OAuth server, such as GitHub's, has none to send.
	return failure.New(failure.ExitLogin, cause,
		"{host} sent no ID token, which AWS needs.",
		"The scopes of {section} must hold openid, and the client must be an OpenID Connect one.",
		"Then run: daypass login{flag}")
}

// clean makes one line of at most max bytes of a text of outside origin. Controls,
// line breaks included, become spaces, and what else is unseen goes.
func clean(text string, max int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case failure.Unseen(r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), max)], "")
}

// plain is the text of an error on one line.
func plain(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return clean(err.Error(), 300)
}
