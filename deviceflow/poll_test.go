package deviceflow

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/idp"
)

func TestPollWithoutIDTokenKeepsTheRefreshToken(t *testing.T) {
	for _, idToken := range []string{"null", `{"x":1}`} {
		p := newFake(t)
		p.Will("/token", ok(`{"access_token":"a","refresh_token":"r3fresh","id_token":`+idToken+`}`))
		kept, err := p.flow().Await(t.Context(), p.open(), nil)
		var bad *idp.TokenError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), "openid") || kept.RefreshToken.Reveal() != "r3fresh" {
			t.Errorf("kept %v, error %v", !kept.RefreshToken.Empty(), err)
		}
	}
}

func TestAwaitPollsInTime(t *testing.T) {
	pending, slower := refusal(400, "authorization_pending"), refusal(400, "slow_down")
	broken, tokens := reply{Err: errors.New("EOF")}, ok(`{"id_token":"i.d.t"}`)
	tests := []struct {
		name    string
		change  func(*Authorization)
		replies []reply
		want    []int // seconds after the start at which the provider is polled
		end     error
		slowed  int // how often the interval grew, of which a successor is told
	}{
		{"at the interval", nil, []reply{pending, pending, tokens}, []int{5, 10, 15}, nil, 0},
		{"at once where a successor is late", func(a *Authorization) { a.NextPoll = noon.Add(-time.Minute) }, []reply{pending, tokens}, []int{0, 5}, nil, 0},
		{"slow_down is kept", nil, []reply{slower, pending, slower, pending, tokens}, []int{5, 15, 25, 40, 55}, nil, 2},
		{"pending whatever the status", nil, []reply{refusal(403, "authorization_pending"), refusal(428, "authorization_pending"), tokens}, []int{5, 10, 15}, nil, 0},
		{"no answer whatever the status", nil, []reply{page(200), refusal(500, "unknown_error"), tokens}, []int{5, 15, 35}, nil, 0},
		{"Entra: AADSTS70020", nil, []reply{status(400, `{"error":"invalid_grant","error_description":"AADSTS70020: The code is expired.\r\nTrace ID: 1"}`)}, []int{5}, ErrExpired, 0},
		{"a record without an interval", func(a *Authorization) { a.Interval = -time.Hour }, []reply{pending, tokens}, []int{5, 6}, nil, 1},
		{"a record with a huge interval", func(a *Authorization) { a.Interval = 1 << 62 }, []reply{slower, tokens}, []int{5, 65}, nil, 1},
		{"each outage begins anew", nil, []reply{status(503, ""), pending, status(503, ""), tokens}, []int{5, 15, 20, 30}, nil, 0},
		{"transport errors back off up to a minute", nil, []reply{broken, broken, broken, broken, broken, tokens}, []int{5, 15, 35, 75, 135, 195}, nil, 0},
		{"Retry-After", nil, []reply{withHeader(refusal(429, "access_denied"), "Retry-After", "45"), tokens}, []int{5, 50}, nil, 0},
		{"Auth0: expired_token, then invalid_grant", nil, []reply{refusal(403, "expired_token"), refusal(403, "invalid_grant")}, []int{5}, ErrExpired, 0},
		{"the code expires: one last poll at the end", func(a *Authorization) { a.Expires = noon.Add(12 * time.Second) }, []reply{pending}, []int{5, 10, 15}, ErrExpired, 0},
		{"a back-off does not sleep through the end", func(a *Authorization) { a.Expires = noon.Add(30 * time.Second) }, []reply{broken, broken, tokens}, []int{5, 15, 25}, nil, 0},
		{"the answer was lost that used the code up", func(a *Authorization) { a.Expires = noon.Add(15 * time.Second) }, []reply{broken, refusal(400, "invalid_grant")}, []int{5, 15}, idp.ErrDenied, 0},
		{"approved while the machine slept past the end", func(a *Authorization) { a.NextPoll, a.Expires = noon.Add(-time.Hour), noon.Add(-time.Hour) }, []reply{tokens}, []int{0}, nil, 0},
		{"nobody approved while the machine slept past the end", func(a *Authorization) { a.NextPoll, a.Expires = noon.Add(-time.Hour), noon.Add(-time.Hour) }, []reply{refusal(400, "invalid_grant")}, []int{0}, ErrExpired, 0},
		{"interval longer than the code", func(a *Authorization) { a.Expires = noon.Add(3 * time.Second) }, []reply{tokens}, []int{5}, nil, 0},
		{"a clock that was set back", func(a *Authorization) { a.NextPoll = noon.Add(time.Hour) }, []reply{tokens}, []int{60}, nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			var polls []int
			p.Will("/token", test.replies...)
			a := p.open()
			if test.change != nil {
				test.change(a)
			}
			f := p.flow()
			f.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPost {
					polls = append(polls, int(p.Clock.Now().Sub(noon).Seconds()))
				}
				return p.RoundTrip(r)
			})
			slowed := 0
			got, err := f.Await(t.Context(), a, func() { slowed++ })
			if slowed != test.slowed {
				t.Errorf("told of %d intervals, want %d", slowed, test.slowed)
			}
			if !errors.Is(err, test.end) || (err == nil) != (got.IDToken.Reveal() == "i.d.t") {
				t.Errorf("error %v, want %v; got %q", err, test.end, got.IDToken.Reveal())
			}
			if diff := cmp.Diff(test.want, polls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAwaitUntilItsDeadline(t *testing.T) {
	p := newFake(t)
	p.Will("/token", refusal(400, "authorization_pending"))
	// The fake clock runs in the real time's future, so that this deadline never ends
	// by itself.
	p.Clock.Advance(time.Since(noon).Round(0) + time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), p.Clock.Now().Add(48*time.Second))
	defer cancel()
	a := p.open()
	started := p.Clock.Now()
	_, err := p.flow().Await(ctx, a, nil)
	if !errors.Is(err, ErrOutOfTime) {
		t.Errorf("error %v", err)
	}
	if got := p.Clock.Now().Sub(started); got != 48*time.Second || strings.Count(p.Paths(), "token") != 9 {
		t.Errorf("gave up after %v and %s", got, p.Paths())
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	p := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	// Cancelled during a poll that brings the tokens: they are kept.
	f := p.flow()
	p.Will("/token", ok(`{"id_token":"i.d.t","refresh_token":"r3fresh"}`))
	if _, err := f.Metadata(ctx); err != nil {
		t.Fatal(err)
	}
	f.Transport = roundTripper(func(r *http.Request) (*http.Response, error) { cancel(); return p.RoundTrip(r) })
	got, err := f.Await(ctx, p.open(), nil)
	if err != nil || got.RefreshToken.Empty() {
		t.Errorf("%v, error %v", got, err)
	}

	// Cancelled before: no poll is started.
	p.Requests = nil
	if _, err := p.flow().Await(ctx, p.open(), nil); !errors.Is(err, context.Canceled) || p.Paths() != "" {
		t.Errorf("error %v, requests %q", err, p.Paths())
	}
}
