package idp

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/idptest"
	"github.com/daypass/daypass/secret"
)

// What is read of an answer besides JSON.
func TestAnswersInOtherForms(t *testing.T) {
	const both = `{"access_token":"a","id_token":"i.d.t","refresh_token":"n3w"}`
	isLost := func(_ Tokens, err error) bool { return IsLost(err) }
	isBoth := func(got Tokens, err error) bool {
		return err == nil && got.IDToken.Reveal() == "i.d.t" && got.RefreshToken.Reveal() == "n3w"
	}
	for name, test := range map[string]struct {
		reply
		fits func(Tokens, error) bool
	}{
		"a byte order mark": {ok("\xef\xbb\xbf" + both), isBoth},
		"a form":            {withHeader(ok("access_token=a&expires_in=3600&id_token=i.d.t&refresh_token=n3w"), "Content-Type", formType+"; charset=utf-8"), isBoth},
		"an empty form":     {withHeader(ok(""), "Content-Type", formType), isLost},
		"an error in a form": {withHeader(status(400, "error=invalid_grant&error_description=it+has+ended"), "Content-Type", formType),
			func(_ Tokens, err error) bool { return IsInvalidGrant(err) }},
	} {
		p := newFake(t)
		p.Will("/token", test.reply)
		if got, err := p.client().Refresh(t.Context(), secret.New("r3fresh")); !test.fits(got, err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefreshSends(t *testing.T) {
	p := newFake(t)
	p.Will("/token", ok(`{"id_token":"i.d.t"}`))
	f := p.client()
	f.ClientSecret, f.Audience, f.ExtraParams = secret.New("s3cret"), "api", "prompt=login"
	if _, err := f.Refresh(t.Context(), secret.New("r3fresh")); err != nil {
		t.Fatal(err)
	}
	want := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r3fresh"}, "client_id": {clientID},
		"client_secret": {"s3cret"}, "scope": {"openid email offline_access"}}
	if diff := cmp.Diff(want, p.Last()); diff != "" {
		t.Error(diff)
	}
}

// An exchange has ten seconds, also if it takes two requests.
func TestRefreshWithScopesThatWereNotGranted(t *testing.T) {
	p := newFake(t)
	p.Will("/token", status(400, `{"error":"invalid_scope"}`), ok(`{"id_token":"i.d.t"}`))
	var until []time.Time
	c := p.client()
	c.Transport = idptest.RoundTripper(func(r *http.Request) (*http.Response, error) {
		if end, _ := r.Context().Deadline(); r.Method == http.MethodPost {
			until = append(until, end)
		}
		return p.RoundTrip(r)
	})
	tokens, err := c.Refresh(t.Context(), secret.New("r3fresh"))
	if err != nil || tokens.IDToken.Empty() || p.Last().Has("scope") || len(until) != 2 || !until[0].Equal(until[1]) {
		t.Errorf("%v, sent %v, bounded by %v", err, p.Last(), until)
	}
}

func TestTokenEndpointMoves(t *testing.T) {
	p := newFake(t)
	if _, err := p.remembering().Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Document["token_endpoint"] = issuer + "/v2/token"
	p.Will("/v2/token", ok(`{"id_token":"i.d.t"}`))
	if _, err := p.remembering().Refresh(t.Context(), secret.New("r3fresh")); err != nil {
		t.Error(err)
	}
	if got, want := p.Paths(), "configuration token configuration v2/token"; got != want {
		t.Errorf("requests %q, want %q", got, want)
	}
	// That is remembered; and what has not moved is not sent the token twice.
	p.Requests = nil
	p.Will("/v2/token", status(404, ""))
	if _, err := p.remembering().Refresh(t.Context(), secret.New("r3fresh")); err == nil || p.Paths() != "v2/token configuration" {
		t.Errorf("error %v, requests %q", err, p.Paths())
	}
}

func TestRevokeSends(t *testing.T) {
	p := newFake(t)
	p.Will("/revoke", ok(""))
	err := p.client().Revoke(t.Context(), issuer+"/revoke", secret.New("r3fresh"))
	if diff := cmp.Diff(url.Values{"token": {"r3fresh"}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}, p.Last()); err != nil || diff != "" {
		t.Error(err, diff)
	}
	p.Requests = nil
	if err := p.client().Revoke(t.Context(), "http://corp.example/revoke", secret.New("r3fresh")); err == nil || p.Paths() != "" {
		t.Errorf("a token went out: %v, %q", err, p.Paths())
	}
}
