package deviceflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// slowDown is what slow_down adds to the interval (RFC 8628 section 3.5).
const slowDown = 5 * time.Second

// pollTime is what must be left before a deadline for a poll to start: the poll
// itself, and a moment to store what it brings.
const pollTime = requestTime + 2*time.Second

// Await polls until the person has answered, the code has expired or ctx ends.
// keep is called with the answer, on a context that is not cancelled and bounded
// by keep alone: what the provider gave must be stored before anything else can
// happen. changed, which may be nil, is called when a.Interval has changed, so
// that a successor does not poll faster.
//
// Where ctx leaves no time for another poll, the error is [ErrOutOfTime]. Where a
// refresh token came without an ID token, keep is called with it, and Await
// returns a *[TokenError] besides what keep returned.
func (f *Flow) Await(ctx context.Context, a *Authorization, changed func(Authorization), keep func(context.Context, Tokens) error) error {
	var trouble error // why the last poll brought no answer
	for {
		if err := f.waitForPoll(ctx, a, trouble); err != nil {
			return err
		}
		interval := a.Interval
		tokens, err := f.Poll(ctx, a)
		if changed != nil && a.Interval != interval {
			changed(*a)
		}
		var waiting *waitError
		switch {
		case err == nil:
			return keep(context.WithoutCancel(ctx), tokens)
		case !tokens.RefreshToken.Empty():
			if keepErr := keep(context.WithoutCancel(ctx), tokens); keepErr != nil {
				return fmt.Errorf("%w; %w", keepErr, err)
			}
			return err
		case !errors.Is(err, ErrPending):
			return err
		case errors.As(err, &waiting):
			trouble = waiting.cause
		default:
			trouble = nil
		}
		// The provider is the judge of its code, so it was asked once more at the end.
		if !f.now().Before(a.Expires) {
			return because(ErrExpired, trouble)
		}
	}
}

// waitForPoll sleeps until the next poll is due.
func (f *Flow) waitForPoll(ctx context.Context, a *Authorization, trouble error) error {
	// A clock that was set back must not make this wait for hours.
	wait := min(max(a.NextPoll.Sub(f.now()), 0), maxInterval)
	if deadline, ok := ctx.Deadline(); ok && f.now().Add(wait+pollTime).After(deadline) {
		return because(ErrOutOfTime, trouble)
	}
	err := ctx.Err()
	if err == nil && wait > 0 {
		err = f.sleep(ctx, wait)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return because(ErrOutOfTime, trouble)
	}
	return err
}

// Poll asks once whether the person has answered (RFC 8628 section 3.4), whether
// or not it is time to. [ErrPending] means to go on: a.Interval, a.Backoff and
// a.NextPoll say when. Tokens can come with an error: a refresh token without an
// ID token.
//
// Poll is not cancelled with ctx: it has 10 s of its own.
func (f *Flow) Poll(ctx context.Context, a *Authorization) (Tokens, error) {
	a.Interval = min(max(a.Interval, minInterval), maxInterval)
	if !f.now().Before(a.Expires.Add(a.Interval)) {
		return Tokens{}, ErrExpired
	}
	if err := checkURL(a.TokenEndpoint); err != nil {
		return Tokens{}, fmt.Errorf("token endpoint: %w", err)
	}
	ctx, cancel := exchangeContext(ctx)
	defer cancel()
	form := url.Values{
		"grant_type":  {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {a.DeviceCode.Reveal()},
	}
	if !a.CodeVerifier.Empty() {
		form.Set("code_verifier", a.CodeVerifier.Reveal())
	}
	got, err := f.post(ctx, opToken, a.TokenEndpoint, form)
	if err != nil {
		a.backOff(f.now(), 0)
		return Tokens{}, because(ErrPending, err)
	}
	if got.status == http.StatusNotFound && got.code == "" {
		if moved, err := f.rediscover(ctx); err == nil {
			a.TokenEndpoint = moved.TokenEndpoint
		}
	}
	return got.judgePoll(a, f.now())
}

// judgePoll decides by the OAuth error code, never by the status: Auth0 sends
// authorization_pending with 403 and slow_down with 429, Google 428, some 200.
func (got answer) judgePoll(a *Authorization, now time.Time) (Tokens, error) {
	switch {
	case got.hasTokens():
		tokens := got.tokens()
		if tokens.IDToken.Empty() {
			return tokens, &TokenError{Reason: "the provider sent none; is the scope openid allowed for this client? " +
				"A plain OAuth server, such as GitHub's, has none to send"}
		}
		return tokens, nil
	case got.code == "authorization_pending":
		a.next(now)
		return Tokens{}, ErrPending
	case got.code == "slow_down", got.code == "polling_too_frequently": // the latter: older Google
		a.Interval = min(a.Interval+slowDown, maxInterval)
		a.next(now)
		return Tokens{}, ErrPending
	case !got.judged(), got.status == http.StatusTooManyRequests:
		a.backOff(now, got.retryAfter)
		return Tokens{}, because(ErrPending, got.err())
	}
	return Tokens{}, got.err()
}

// next is after an answer as it should be. The interval counts from the receipt
// of the last answer (Auth0 asks for that; with slow answers it matters).
func (a *Authorization) next(now time.Time) {
	a.Backoff = 0
	a.NextPoll = now.Add(a.Interval)
}

// backOff is after a poll without an answer: each time the wait doubles, up to a
// minute (RFC 8628 section 3.5). Yet the code gets a last poll before it expires,
// for the person may have approved it in between.
func (a *Authorization) backOff(now time.Time, retryAfter time.Duration) {
	wait := min(max(2*(a.Interval+a.Backoff), retryAfter), maxInterval)
	a.Backoff = max(wait-a.Interval, 0)
	a.NextPoll = now.Add(wait)
	if a.NextPoll.After(a.Expires) {
		a.NextPoll = now.Add(max(a.Interval, a.Expires.Sub(now)-a.Interval))
	}
}

// waitError is a state of the wait with why the last poll brought no answer.
type waitError struct{ state, cause error }

func because(state, cause error) error {
	if cause == nil {
		return state
	}
	return &waitError{state, cause}
}

func (e *waitError) Error() string   { return e.state.Error() + ": " + plain(e.cause) }
func (e *waitError) Unwrap() []error { return []error{e.state, e.cause} }
