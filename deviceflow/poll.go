package deviceflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
)

// How waiting for a person ends, other than well.
var (
	// ErrOutOfTime says that the context's deadline has come. The code stays open. It
	// may come with why the last poll brought no answer.
	ErrOutOfTime = errors.New("no time is left to wait for the approval of the login")
	// ErrExpired says that the code ran out. It may come with why the last poll
	// brought no answer.
	ErrExpired = errors.New("the login code has expired")
)

// slowDown is what slow_down adds to the interval (RFC 8628 section 3.5).
const slowDown = 5 * time.Second

// Await polls until the person has answered, the code has expired or ctx ends. What
// the provider gave must be stored before anything else can happen. Tokens can come
// with an error: a refresh token without an ID token. changed, which may be nil, is
// called after a.Interval has changed, so that a successor does not poll faster.
//
// At ctx's deadline the error is [ErrOutOfTime]; a poll that is under way then is
// finished first.
func (f *Flow) Await(ctx context.Context, a *Authorization, changed func()) (idp.Tokens, error) {
	var trouble error // why the last poll brought no answer
	for {
		if err := f.waitForPoll(ctx, a); errors.Is(err, context.DeadlineExceeded) {
			return idp.Tokens{}, because(ErrOutOfTime, trouble)
		} else if err != nil {
			return idp.Tokens{}, err
		}
		interval := a.Interval
		tokens, pending, err := f.poll(ctx, a)
		if changed != nil && a.Interval != interval {
			changed()
		}
		if !pending {
			return tokens, err
		}
		trouble = err
		// The provider is the judge of its code, so it was asked once more at the end.
		if !f.Clock().Before(a.Expires) {
			return idp.Tokens{}, because(ErrExpired, trouble)
		}
	}
}

// because is one of the ends with its cause, if there is one.
func because(end, cause error) error {
	if cause == nil {
		return end
	}
	return fmt.Errorf("%w: %w", end, cause)
}

// waitForPoll sleeps until the next poll is due, or ctx's deadline has come.
func (f *Flow) waitForPoll(ctx context.Context, a *Authorization) error {
	// A clock that was set back must not make this wait for hours.
	wait := min(max(a.NextPoll.Sub(f.Clock()), 0), maxInterval)
	deadline, bounded := ctx.Deadline()
	if left := max(deadline.Sub(f.Clock()), 0); bounded && wait > left {
		return cmp.Or(f.Sleep(ctx, left), context.DeadlineExceeded)
	}
	if err := ctx.Err(); err != nil || wait == 0 {
		return err
	}
	return f.Sleep(ctx, wait)
}

// poll asks once whether the person has answered (RFC 8628 section 3.4). pending means
// to go on: a.Interval, a.Backoff and a.NextPoll say when, and the error why there was
// no answer. Else tokens can come with an error: a refresh token without an ID token.
func (f *Flow) poll(ctx context.Context, a *Authorization) (tokens idp.Tokens, pending bool, err error) {
	a.Interval = min(max(a.Interval, minInterval), maxInterval)
	form := url.Values{
		"grant_type":  {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {a.DeviceCode.Reveal()},
	}
	if !a.CodeVerifier.Empty() {
		form.Set("code_verifier", a.CodeVerifier.Reveal())
	}
	got, err := f.Exchange(ctx, idp.OpPoll, form)
	if err != nil {
		a.Unanswered = a.Unanswered || idp.IsLost(err)
		a.backOff(f.Clock(), 0)
		return idp.Tokens{}, true, failure.From(err)
	}
	return judge(got, a, f.Clock())
}

// judge decides by the OAuth error code, never by the status: Auth0 sends
// authorization_pending with 403 and slow_down with 429, Google 428, some 200.
func judge(got idp.Answer, a *Authorization, now time.Time) (tokens idp.Tokens, pending bool, err error) {
	switch got.Code {
	case "slow_down", "polling_too_frequently": // the latter: older Google
		a.Interval = min(a.Interval+slowDown, maxInterval)
		fallthrough
	case "authorization_pending":
		// The interval counts from the receipt of the last answer (Auth0 asks for that;
		// with slow answers it matters).
		a.Backoff, a.NextPoll, a.Unanswered = 0, now.Add(a.Interval), false
		return idp.Tokens{}, true, nil
	}
	tokens, err = got.Tokens()
	switch {
	case got.OK() && !idp.IsLost(err):
		return tokens, false, err // which is about a missing ID token
	case !got.Judged(), got.Status == http.StatusTooManyRequests: // Auth0 limits rates with access_denied
		a.Unanswered = a.Unanswered || idp.IsLost(err)
		a.backOff(now, got.RetryAfter)
		return idp.Tokens{}, true, err
	case got.Code == "expired_token", got.Code == "code_expired", // the latter: older Entra
		// Entra's numbers are for a code that nobody has entered in time; and an answer that
		// was lost may have used it up.
		got.Code == "invalid_grant" && (!now.Before(a.Expires) && !a.Unanswered || slices.Contains([]string{"AADSTS70019", "AADSTS70020"}, got.Event())):
		return idp.Tokens{}, false, ErrExpired
	}
	return idp.Tokens{}, false, because(idp.ErrDenied, err)
}

// backOff is after a poll without an answer: each time the wait doubles, up to a
// minute (RFC 8628 section 3.5). Yet the code gets a last poll before it expires,
// because the person may have approved it in between.
func (a *Authorization) backOff(now time.Time, retryAfter time.Duration) {
	wait := min(max(2*(a.Interval+a.Backoff), retryAfter), maxInterval)
	a.Backoff = max(wait-a.Interval, 0)
	a.NextPoll = now.Add(wait)
	if a.NextPoll.After(a.Expires) {
		a.NextPoll = now.Add(max(a.Interval, a.Expires.Sub(now)-a.Interval))
	}
}
