package deviceflow

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// How waiting for a person ends, other than well.
var (
	// ErrPending says that the person has not answered yet. It may wrap why the last
	// poll brought no answer.
	ErrPending = errors.New("the login is not approved yet")
	// ErrOutOfTime says that the context leaves no time for another poll. The code
	// stays open. It may wrap why the last poll brought no answer.
	ErrOutOfTime = errors.New("no time is left to wait for the approval of the login")
	// ErrExpired says that the code is of no more use: it ran out, or was used.
	ErrExpired = errors.New("the login code has expired")
	// ErrDenied says that the person or the provider's policy refused.
	ErrDenied = errors.New("the login was refused")
)

// ProviderError is what a provider answered instead of what it was asked for: an
// OAuth error object (RFC 6749 section 5.2), or an HTTP status without one. It
// matches [ErrDenied] and [ErrExpired] where the provider said so.
type ProviderError struct {
	// Op is "device authorization", "token" (a poll), "refresh", "discovery", "keys"
	// or "revocation".
	Op string
	// Host is the provider's host, with the port where it has one.
	Host string
	// Status is the HTTP status. It says little: providers send errors with any.
	Status int
	// Code is the OAuth error code, "" if there was none.
	Code string
	// Description is the provider's text, or what is wrong with an answer without
	// one: one line without control characters, at most 300 bytes.
	Description string
	// Unreadable says that the answer was no JSON object, and so perhaps not the
	// provider's: a proxy or a sign-in page may stand in between.
	Unreadable bool
	// CorrelationID finds the event in Entra's sign-in log, "" elsewhere.
	CorrelationID string
	// RetryAfter is how long the provider asks to be left alone, 0 if it did not say.
	RetryAfter time.Duration
}

// Error says who answered what to which request.
func (e *ProviderError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s answered the %s request with ", e.Host, e.Op)
	if e.Code != "" {
		b.WriteString(e.Code)
	} else {
		fmt.Fprintf(&b, "HTTP status %d", e.Status)
	}
	if e.Description != "" {
		b.WriteString(": " + e.Description)
	}
	if e.CorrelationID != "" {
		b.WriteString(" (correlation id " + e.CorrelationID + ")")
	}
	switch {
	case e.RetryAfter > 0:
		fmt.Fprintf(&b, "; try again in %s", e.RetryAfter)
	case e.rateLimited():
		b.WriteString("; wait a few minutes, then try again")
	case e.Code == "invalid_client" || e.Code == "unauthorized_client":
		b.WriteString("; is the client id right, is it a public (native) client, and is the device grant switched on for it?")
	}
	return b.String()
}

// Is matches the sentinel errors that the answer amounts to.
func (e *ProviderError) Is(target error) bool {
	if e.Status == 429 {
		return false // Auth0 limits rates with access_denied, among other codes
	}
	switch target {
	case ErrDenied:
		return e.denied()
	case ErrExpired:
		return e.Op == opToken && !e.denied() && e.codeSpent()
	}
	return false
}

func (e *ProviderError) denied() bool {
	switch e.Code {
	case "access_denied", "authorization_declined": // RFC 8628; Entra
		return true
	case "invalid_grant", "interaction_required":
		// Entra has no code of its own for a sign-in that policy blocks (AADSTS53000
		// to 53011, Conditional Access) or for a user who is not assigned to the
		// application (AADSTS50105).
		return strings.HasPrefix(e.Description, "AADSTS530") || strings.HasPrefix(e.Description, "AADSTS50105")
	}
	return false
}

// codeSpent reports whether the answer to a poll says that the device code is of
// no more use.
func (e *ProviderError) codeSpent() bool {
	switch e.Code {
	case "expired_token", // RFC 8628
		"code_expired",          // older Entra
		"bad_verification_code", // Entra: it does not know the code
		// Auth0 says expired_token or access_denied once and then invalid_grant; so
		// does oidc-provider.
		"invalid_grant":
		return true
	}
	return false
}

func (e *ProviderError) rateLimited() bool {
	// Authentik limits device authorizations to 20 an hour and answers slow_down
	// before there is any code to poll.
	return e.Status == 429 || e.Code == "slow_down" && e.Op == opDevice
}

// LostError says that a request may have reached the provider, and that its
// answer is not known: it broke off, was a server error, or could not be read.
type LostError struct {
	Op   string // as in ProviderError
	Host string
	Err  error // a *ProviderError if there was an answer of sorts
}

// Error says what was lost and how.
func (e *LostError) Error() string {
	return fmt.Sprintf("the answer of %s to the %s request was lost: %s", e.Host, e.Op, plain(e.Err))
}

// Unwrap returns how the answer was lost.
func (e *LostError) Unwrap() error { return e.Err }

// UnreachableError says that the provider could not be asked: no token and no
// code was sent.
type UnreachableError struct {
	Op   string // as in ProviderError
	Host string
	Err  error
}

// Error says who cannot be reached and why.
func (e *UnreachableError) Error() string {
	text := fmt.Sprintf("cannot reach %s: %s", e.Host, plain(e.Err))
	var unknown x509.UnknownAuthorityError
	if errors.As(e.Err, &unknown) {
		text += "; if a company proxy or CA signs for it, set ca_bundle"
	}
	return text
}

// Unwrap returns why the provider cannot be reached.
func (e *UnreachableError) Unwrap() error { return e.Err }

// DiscoveryError says that the provider's discovery document (OpenID Connect
// Discovery 1.0 section 3) is missing or of no use.
type DiscoveryError struct {
	Issuer     string // as configured
	Discovered string // what the provider calls itself, if that is another name; not trusted
	Reason     string // what is wrong, and what to do
	Err        error  // the cause, or nil
}

// Error says what is wrong with which issuer.
func (e *DiscoveryError) Error() string {
	text := fmt.Sprintf("issuer %q: %s", withoutQuery(e.Issuer), e.Reason)
	if e.Err != nil {
		text += ": " + plain(e.Err)
	}
	return text
}

// Unwrap returns the cause.
func (e *DiscoveryError) Unwrap() error { return e.Err }

// TokenError says why an ID token is of no use. It never holds the token.
type TokenError struct {
	Claim  string // the claim at fault, "" if it is not one
	Want   string
	Got    string
	Reason string // instead of Want and Got where these do not say it
	// Skew is how far our clock is behind the provider's (negative: ahead), where
	// that is the likely cause; else 0.
	Skew time.Duration
	Host string // whose clock Skew was measured against
}

// Error says what is wrong with the token, and names a wrong clock.
func (e *TokenError) Error() string {
	text := "bad ID token: "
	switch {
	case e.Reason != "":
		text += e.Reason
	case e.Got == "":
		text += fmt.Sprintf("claim %s is missing, want %q", e.Claim, e.Want)
	default:
		text += fmt.Sprintf("claim %s is %q, want %q", e.Claim, e.Got, e.Want)
	}
	switch {
	case e.Skew > 0:
		text += fmt.Sprintf(": your clock is %s behind %s", e.Skew, e.Host)
	case e.Skew < 0:
		text += fmt.Sprintf(": your clock is %s ahead of %s", -e.Skew, e.Host)
	}
	return text
}
