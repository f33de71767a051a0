package deviceflow

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/secret"
)

func TestPoll(t *testing.T) {
	const s = time.Second
	oauth := func(code string) string { return `{"error":"` + code + `"}` }
	entra := func(code, description string) string {
		return `{"error":"` + code + `","error_description":"` + description + `\r\nTrace ID: 1","error_codes":[1],"correlation_id":"3f2c"}`
	}
	tests := []struct {
		name     string
		got      reply
		want     error         // nil: tokens
		interval time.Duration // afterwards; 0: 5 s, not changed
		wait     time.Duration // until the next poll, where want is ErrPending
	}{
		{"tokens", ok(`{"access_token":"a","token_type":"Bearer","id_token":"i.d.t","refresh_token":"r3fresh"}`), nil, 0, 0},
		{"tokens with status 201", status(201, `{"id_token":"i.d.t","refresh_token":"r3fresh"}`), nil, 0, 0},
		{"tokens without an access token", ok(`{"id_token":"i.d.t","refresh_token":"r3fresh"}`), nil, 0, 0},
		{"tokens with an odd expires_in", ok(`{"access_token":"a","id_token":"i.d.t","refresh_token":"r3fresh","expires_in":["x"]}`), nil, 0, 0},
		{"tokens with an odd scope", ok(`{"access_token":7,"id_token":"i.d.t","refresh_token":"r3fresh","scope":null}`), nil, 0, 0},

		{"pending", status(400, oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"Auth0: pending with 403", status(403, oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"Google: pending with 428", status(428, oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"pending with 401", status(401, oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"pending with 200", ok(oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"pending with 500", status(500, oauth("authorization_pending")), ErrPending, 0, 5 * s},
		{"Entra: pending", status(400, entra("authorization_pending", "AADSTS70016: pending")), ErrPending, 0, 5 * s},
		{"slow_down", status(400, oauth("slow_down")), ErrPending, 10 * s, 10 * s},
		{"Auth0: slow_down with 429", status(429, oauth("slow_down")), ErrPending, 10 * s, 10 * s},
		{"Google: slow_down with 403", status(403, oauth("slow_down")), ErrPending, 10 * s, 10 * s},
		{"older Google: polling_too_frequently", status(403, oauth("polling_too_frequently")), ErrPending, 10 * s, 10 * s},

		{"expired", status(400, oauth("expired_token")), ErrExpired, 0, 0},
		{"Auth0: expired with 403", status(403, oauth("expired_token")), ErrExpired, 0, 0},
		{"Auth0: expired, asked again", status(403, oauth("invalid_grant")), ErrExpired, 0, 0},
		{"expired with 200", ok(oauth("expired_token")), ErrExpired, 0, 0},
		{"older Entra: code_expired", status(400, oauth("code_expired")), ErrExpired, 0, 0},
		{"Entra: bad_verification_code", status(400, oauth("bad_verification_code")), ErrExpired, 0, 0},
		{"Entra: AADSTS70020", status(400, entra("invalid_grant", "AADSTS70020: The code is expired.")), ErrExpired, 0, 0},
		{"denied", status(400, oauth("access_denied")), ErrDenied, 0, 0},
		{"denied with 403", status(403, oauth("access_denied")), ErrDenied, 0, 0},
		{"denied with 500", status(500, oauth("access_denied")), ErrDenied, 0, 0},
		{"Entra: authorization_declined", status(400, oauth("authorization_declined")), ErrDenied, 0, 0},
		{"Entra: blocked by Conditional Access", status(400, entra("invalid_grant", "AADSTS53003: Access has been blocked.")), ErrDenied, 0, 0},
		{"Entra: not assigned", status(400, entra("invalid_grant", "AADSTS50105: The user is not assigned.")), ErrDenied, 0, 0},
		{"invalid_client", status(401, oauth("invalid_client")), &ProviderError{}, 0, 0},
		{"Dex: code unknown", status(400, oauth("invalid_request")), &ProviderError{}, 0, 0},
		{"a code of its own", status(400, oauth("mfa_required")), &ProviderError{}, 0, 0},

		{"503", status(503, "down"), ErrPending, 0, 10 * s},
		{"502 from a gateway", page(502), ErrPending, 0, 10 * s},
		{"500 with server_error", status(500, oauth("server_error")), ErrPending, 0, 10 * s},
		{"400 with temporarily_unavailable", status(400, oauth("temporarily_unavailable")), ErrPending, 0, 10 * s},
		{"Keycloak: 500 with unknown_error", status(500, oauth("unknown_error")), ErrPending, 0, 10 * s},
		{"429 without a code", status(429, ""), ErrPending, 0, 10 * s},
		{"429 with Retry-After", withHeader(status(429, ""), "Retry-After", "30"), ErrPending, 0, 30 * s},
		{"429 with Retry-After without end", withHeader(status(429, ""), "Retry-After", "99999999999"), ErrPending, 0, 60 * s},
		{"429 with a Retry-After of no use", withHeader(status(429, ""), "Retry-After", "-1"), ErrPending, 0, 10 * s},
		{"Auth0: 429 with access_denied", status(429, oauth("access_denied")), ErrPending, 0, 10 * s},
		{"429 with a code of its own", status(429, oauth("too_many_requests")), ErrPending, 0, 10 * s},
		{"a web page with 200", page(200), ErrPending, 0, 10 * s},
		{"a web page with 403", page(403), ErrPending, 0, 10 * s},
		{"a redirect", withHeader(status(302, ""), "Location", "https://evil.example/"), ErrPending, 0, 10 * s},
		{"an empty answer", ok(""), ErrPending, 0, 10 * s},
		{"an empty object", ok("{}"), ErrPending, 0, 10 * s},
		{"null", ok("null"), ErrPending, 0, 10 * s},
		{"half an answer", ok(`{"id_token":"i.d`), ErrPending, 0, 10 * s},
		{"an answer of 2 MiB", ok(`{"id_token":"` + strings.Repeat("x", 2<<20) + `"}`), ErrPending, 0, 10 * s},
		{"the connection breaks", reply{err: errors.New("EOF")}, ErrPending, 0, 10 * s},
		{"no connection", reply{err: errors.New("refused"), unsent: true}, ErrPending, 0, 10 * s},
		{"an error that is a number", status(400, `{"error":7}`), ErrPending, 0, 10 * s},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/token", test.got)
			a := p.open()
			p.clock.advance(5 * s)
			tokens, err := p.flow().Poll(t.Context(), a)
			if test.interval == 0 {
				test.interval = 5 * s
			}
			if a.Interval != test.interval {
				t.Errorf("interval %v, want %v", a.Interval, test.interval)
			}
			if test.want == nil {
				if err != nil || tokens.IDToken.Reveal() != "i.d.t" || tokens.RefreshToken.Reveal() != "r3fresh" {
					t.Errorf("tokens %q %q, error %v", tokens.IDToken.Reveal(), tokens.RefreshToken.Reveal(), err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			checkErrorText(t, err)
			var refused *ProviderError
			if _, plain := test.want.(*ProviderError); plain {
				if !errors.As(err, &refused) || refused.Op != "token" {
					t.Errorf("error %v", err)
				}
				test.want = nil
			}
			for _, state := range []error{ErrPending, ErrExpired, ErrDenied, ErrOutOfTime} {
				if errors.Is(err, state) != (state == test.want) {
					t.Errorf("error %v: Is(%v) = %t", err, state, errors.Is(err, state))
				}
			}
			if wait := a.NextPoll.Sub(p.clock.Now()); test.want == ErrPending && wait != test.wait {
				t.Errorf("next poll in %v, want %v", wait, test.wait)
			}
		})
	}
}

func TestPollSends(t *testing.T) {
	p := newIDP(t)
	p.will("/token", status(400, `{"error":"authorization_pending"}`))
	f := p.flow()
	f.ClientSecret, f.ExtraParams, f.Audience = secret.New("s3cret"), "prompt=login", "x"
	if _, err := f.Poll(t.Context(), p.open()); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	want := "client_id=J1oXg0&client_secret=s3cret&device_code=dev1ce-c0de&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
	if got := p.last("/token").Encode(); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if p.paths() != "token" {
		t.Errorf("requests %q: a poll needs no discovery", p.paths())
	}
}

func TestPollWithoutIDTokenKeepsTheRefreshToken(t *testing.T) {
	for name, body := range map[string]string{
		"none":         `{"access_token":"a","refresh_token":"r3fresh"}`,
		"null":         `{"access_token":"a","refresh_token":"r3fresh","id_token":null}`,
		"not a string": `{"access_token":"a","refresh_token":"r3fresh","id_token":{"x":1}}`,
	} {
		p := newIDP(t)
		p.will("/token", ok(body))
		tokens, err := p.flow().Poll(t.Context(), p.open())
		var bad *TokenError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), "openid") || tokens.RefreshToken.Reveal() != "r3fresh" {
			t.Errorf("%s: error %v", name, err)
		}

		var kept Tokens
		p.will("/token", ok(body))
		err = p.flow().Await(t.Context(), p.open(), nil, func(_ context.Context, tokens Tokens) error { kept = tokens; return nil })
		if !errors.As(err, &bad) || kept.RefreshToken.Reveal() != "r3fresh" {
			t.Errorf("%s: Await kept %v, error %v", name, !kept.RefreshToken.Empty(), err)
		}
	}
}

func TestPollRefusesABadRecord(t *testing.T) {
	p := newIDP(t)
	a := p.open()
	a.TokenEndpoint = "http://corp.example/token"
	if _, err := p.flow().Poll(t.Context(), a); err == nil || errors.Is(err, ErrPending) || p.paths() != "" {
		t.Errorf("error %v, requests %q", err, p.paths())
	}
	for _, interval := range []time.Duration{-time.Hour, 0, 1 << 62} {
		a = p.open()
		a.Interval = interval
		p.will("/token", status(400, `{"error":"slow_down"}`))
		_, _ = p.flow().Poll(t.Context(), a)
		if a.Interval < minInterval+slowDown || a.Interval > maxInterval {
			t.Errorf("interval %v became %v", interval, a.Interval)
		}
	}
	a = p.open()
	p.clock.advance(time.Hour)
	p.requests = nil
	if _, err := p.flow().Poll(t.Context(), a); !errors.Is(err, ErrExpired) || p.paths() != "" {
		t.Errorf("a code long expired: error %v, requests %q", err, p.paths())
	}
}

func TestPollIsNotCancelled(t *testing.T) {
	p := newIDP(t)
	p.will("/token", ok(`{"id_token":"i.d.t"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.flow().Poll(ctx, p.open()); err != nil {
		t.Error(err)
	}
	deadline, ok := p.requests[0].ctx.Deadline()
	if left := time.Until(deadline); !ok || left > requestTime {
		t.Errorf("the poll is bound by %v", left)
	}
}

func TestTokenEndpointMovesWhilePolling(t *testing.T) {
	p := newIDP(t)
	if err := p.remembering().Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := p.open()
	p.document["token_endpoint"] = issuer + "/v2/token"
	p.will("/v2/token", ok(`{"id_token":"i.d.t"}`))
	err := p.remembering().Await(t.Context(), a, nil, func(context.Context, Tokens) error { return nil })
	if err != nil || p.paths() != "configuration token configuration v2/token" {
		t.Errorf("error %v, requests %q", err, p.paths())
	}
}

func pending() reply { return status(400, `{"error":"authorization_pending"}`) }

func slower() reply { return status(400, `{"error":"slow_down"}`) }

func TestAwaitPollsInTime(t *testing.T) {
	broken, tokens := reply{err: errors.New("EOF")}, ok(`{"id_token":"i.d.t"}`)
	tests := []struct {
		name    string
		change  func(*Authorization)
		replies []reply
		want    []int // seconds after the start at which the provider is polled
		end     error
	}{
		{"not before the interval", nil, []reply{tokens}, []int{5}, nil},
		{"at the interval", nil, []reply{pending(), pending(), tokens}, []int{5, 10, 15}, nil},
		{"at once where a successor is late", func(a *Authorization) { a.NextPoll = noon.Add(-time.Minute) }, []reply{pending(), tokens}, []int{0, 5}, nil},
		{"slow_down is kept", nil, []reply{slower(), pending(), slower(), pending(), tokens}, []int{5, 15, 25, 40, 55}, nil},
		{"one 503 costs one longer wait", nil, []reply{status(503, ""), pending(), tokens}, []int{5, 15, 20}, nil},
		{"each outage begins anew", nil, []reply{status(503, ""), pending(), status(503, ""), tokens}, []int{5, 15, 20, 30}, nil},
		{"transport errors back off up to a minute", nil, []reply{broken, broken, broken, broken, broken, tokens}, []int{5, 15, 35, 75, 135, 195}, nil},
		{"Retry-After", nil, []reply{withHeader(status(429, ""), "Retry-After", "45"), tokens}, []int{5, 50}, nil},
		{"Auth0: expired_token, then invalid_grant", nil, []reply{status(403, `{"error":"expired_token"}`), status(403, `{"error":"invalid_grant"}`)}, []int{5}, ErrExpired},
		{"the code expires: one last poll at the end", func(a *Authorization) { a.Expires = noon.Add(12 * time.Second) }, []reply{pending()}, []int{5, 10, 15}, ErrExpired},
		{"a back-off does not sleep through the end", func(a *Authorization) { a.Expires = noon.Add(30 * time.Second) }, []reply{broken, broken, tokens}, []int{5, 15, 25}, nil},
		{"interval longer than the code", func(a *Authorization) { a.Expires = noon.Add(3 * time.Second) }, []reply{tokens}, []int{5}, nil},
		{"denied", nil, []reply{pending(), status(400, `{"error":"access_denied"}`)}, []int{5, 10}, ErrDenied},
		{"a clock that was set back", func(a *Authorization) { a.NextPoll = noon.Add(time.Hour) }, []reply{tokens}, []int{60}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			var polls []int
			for _, r := range test.replies {
				p.will("/token", append(p.replies["/token"], r)...)
			}
			a := p.open()
			if test.change != nil {
				test.change(a)
			}
			f := p.flow()
			f.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				polls = append(polls, int(p.clock.Now().Sub(noon).Seconds()))
				return p.RoundTrip(r)
			})
			kept := 0
			err := f.Await(t.Context(), a, nil, func(_ context.Context, tokens Tokens) error {
				if tokens.IDToken.Reveal() != "i.d.t" {
					t.Error("keep got another token")
				}
				kept++
				return nil
			})
			if !errors.Is(err, test.end) || (err == nil) != (kept == 1) {
				t.Errorf("error %v, want %v; keep was called %d times", err, test.end, kept)
			}
			if diff := cmp.Diff(test.want, polls); diff != "" {
				t.Error(diff)
			}
			if ended := int(p.clock.Now().Sub(noon).Seconds()); ended != polls[len(polls)-1] {
				t.Errorf("ended after %d s, the last poll was after %v", ended, polls)
			}
		})
	}
}

func TestAwaitTellsTheInterval(t *testing.T) {
	p := newIDP(t)
	p.will("/token", pending(), slower(), status(503, ""), slower(), ok(`{"id_token":"i.d.t"}`))
	var told []time.Duration
	err := p.flow().Await(t.Context(), p.open(), func(a Authorization) { told = append(told, a.Interval) }, func(context.Context, Tokens) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	// Trouble at the provider is no concern of a successor's; slow_down is.
	if diff := cmp.Diff([]time.Duration{10 * time.Second, 15 * time.Second}, told); diff != "" {
		t.Error(diff)
	}
}

func TestAwaitLeavesTimeForAPoll(t *testing.T) {
	p := newIDP(t)
	p.will("/token", pending())
	// The fake clock runs in the real time's future, so that this deadline never ends
	// by itself.
	p.clock.now = time.Now().Add(time.Hour).Round(0)
	ctx, cancel := context.WithDeadline(t.Context(), p.clock.Now().Add(50*time.Second))
	defer cancel()
	a := p.open()
	started := p.clock.Now()
	err := p.flow().Await(ctx, a, nil, nil)
	if err != ErrOutOfTime {
		t.Errorf("error %v", err)
	}
	if got := p.clock.Now().Sub(started); got != 35*time.Second || strings.Count(p.paths(), "token") != 7 {
		t.Errorf("gave up after %v and %s", got, p.paths())
	}

	// Why there was no answer is told.
	p.will("/token", status(503, ""))
	ctx, cancel = context.WithDeadline(t.Context(), p.clock.Now().Add(30*time.Second))
	defer cancel()
	err = p.flow().Await(ctx, p.open(), nil, nil)
	var refused *ProviderError
	if !errors.Is(err, ErrOutOfTime) || !errors.As(err, &refused) || refused.Status != 503 {
		t.Errorf("error %v", err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	p := newIDP(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	// Cancelled during a poll that brings the tokens: they are kept.
	f := p.flow()
	p.will("/token", ok(`{"id_token":"i.d.t","refresh_token":"r3fresh"}`))
	f.Transport = roundTripper(func(r *http.Request) (*http.Response, error) { cancel(); return p.RoundTrip(r) })
	kept := false
	err := f.Await(ctx, p.open(), nil, func(ctx context.Context, _ Tokens) error {
		kept = true
		return ctx.Err()
	})
	if err != nil || !kept {
		t.Errorf("kept %t, error %v", kept, err)
	}

	// Cancelled before: no poll is started.
	p.requests = nil
	if err := p.flow().Await(ctx, p.open(), nil, nil); !errors.Is(err, context.Canceled) || p.paths() != "" {
		t.Errorf("error %v, requests %q", err, p.paths())
	}
}

func TestAwaitReturnsTheErrorOfKeep(t *testing.T) {
	full := errors.New("disk full")
	for _, body := range []string{`{"id_token":"i.d.t"}`, `{"access_token":"a","refresh_token":"r3fresh"}`} {
		p := newIDP(t)
		p.will("/token", ok(body))
		err := p.flow().Await(t.Context(), p.open(), nil, func(context.Context, Tokens) error { return full })
		if !errors.Is(err, full) {
			t.Errorf("%s: error %v", body, err)
		}
	}
}

func TestRealSleepEndsWithItsContext(t *testing.T) {
	f := &Flow{}
	if err := f.sleep(t.Context(), time.Microsecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if now := f.now(); time.Since(now) > time.Minute {
		t.Errorf("now is %v", now)
	}
}
