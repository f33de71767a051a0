package idp

import (
	"bytes"
	"compress/gzip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/secret"
)

// What is read of an answer besides JSON.
func TestAnswersInOtherForms(t *testing.T) {
	gzipped := func(text string) string {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write([]byte(text)) // into memory
		_ = w.Close()
		return packed.String()
	}
	const both = `{"access_token":"a","id_token":"i.d.t","refresh_token":"n3w"}`
	for name, r := range map[string]reply{
		"a byte order mark": ok("\xef\xbb\xbf" + both),
		"x-gzip":            withHeader(ok(gzipped(both)), "Content-Encoding", "x-gzip"),
		"a form":            withHeader(ok("access_token=a&expires_in=3600&id_token=i.d.t&refresh_token=n3w"), "Content-Type", formType+"; charset=utf-8"),
	} {
		p := newFake(t)
		p.Will("/token", r)
		got, err := p.client().Refresh(t.Context(), secret.New("r3fresh"))
		if err != nil || got.IDToken.Reveal() != "i.d.t" || got.RefreshToken.Reveal() != "n3w" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]reply{
		"not x-gzip":     withHeader(ok(both), "Content-Encoding", "x-gzip"),
		"x-gzip of 8 MB": withHeader(ok(gzipped(`{"id_token":"`+strings.Repeat("x", 8<<20)+`"}`)), "Content-Encoding", "x-gzip"),
	} {
		p := newFake(t)
		p.Will("/token", r)
		if _, err := p.client().Refresh(t.Context(), secret.New("r3fresh")); !IsLost(err) {
			t.Errorf("%s: %v, want a lost answer", name, err)
		}
	}
	p := newFake(t)
	p.Will("/token", withHeader(status(400, "error=invalid_grant&error_description=it+has+ended"), "Content-Type", formType))
	if _, err := p.client().Refresh(t.Context(), secret.New("r3fresh")); !IsInvalidGrant(err) {
		t.Errorf("an error in a form: %v", err)
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

func TestRefreshWithScopesThatWereNotGranted(t *testing.T) {
	p := newFake(t)
	p.Will("/token", status(400, `{"error":"invalid_scope"}`), ok(`{"id_token":"i.d.t"}`))
	tokens, err := p.client().Refresh(t.Context(), secret.New("r3fresh"))
	if err != nil || tokens.IDToken.Empty() || p.Last().Has("scope") {
		t.Errorf("error %v, sent %v", err, p.Last())
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
	p.Requests = nil
	if _, err := p.remembering().Refresh(t.Context(), secret.New("r3fresh")); err != nil || p.Paths() != "v2/token" {
		t.Errorf("error %v, requests %q: the move is not remembered", err, p.Paths())
	}
}

func TestRevokeSends(t *testing.T) {
	p := newFake(t)
	p.Will("/revoke", ok(""))
	if err := p.client().Revoke(t.Context(), issuer+"/revoke", secret.New("r3fresh")); err != nil {
		t.Error(err)
	}
	want := url.Values{"token": {"r3fresh"}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}
	if diff := cmp.Diff(want, p.Last()); diff != "" {
		t.Error(diff)
	}
	p.Requests = nil
	if err := p.client().Revoke(t.Context(), "http://corp.example/revoke", secret.New("r3fresh")); err == nil || p.Paths() != "" {
		t.Errorf("a token went out without TLS: %v, %q", err, p.Paths())
	}
}
