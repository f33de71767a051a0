package idp

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

func TestRefresh(t *testing.T) {
	type outcome string
	const tokens, withoutID, lost, refused, unreachable outcome = "tokens", "no ID token", "lost", "refused", "unreachable"
	tests := []struct {
		name    string
		got     reply
		want    outcome
		id, new string // the tokens
		code    string // of the ProviderError
	}{
		{"rotation", ok(`{"access_token":"a","id_token":"i.d.t","refresh_token":"n3w"}`), tokens, "i.d.t", "n3w", ""},
		{"no new refresh token", ok(`{"access_token":"a","id_token":"i.d.t"}`), tokens, "i.d.t", "", ""},
		{"no ID token", ok(`{"access_token":"a","refresh_token":"n3w"}`), withoutID, "", "n3w", ""},

		{"invalid_grant", refuse(400, "invalid_grant"), refused, "", "", "invalid_grant"},
		{"Auth0: invalid_grant with 403", refuse(403, "invalid_grant"), refused, "", "", "invalid_grant"},
		{"invalid_grant with 200", refuse(200, "invalid_grant"), refused, "", "", "invalid_grant"},
		{"429", withHeader(status(429, ""), "Retry-After", "7"), refused, "", "", ""},
		{"403 from a firewall", page(403), refused, "", "", ""},
		{"a redirect", redirect("https://evil.example/"), refused, "", "", ""},

		{"500", status(500, "oops"), lost, "", "", ""},
		{"503 with temporarily_unavailable", refuse(503, "temporarily_unavailable"), lost, "", "", "temporarily_unavailable"},
		{"Keycloak: 500 with unknown_error", refuse(500, "unknown_error"), lost, "", "", "unknown_error"},
		{"a web page with 200", page(200), lost, "", "", ""},
		{"an empty object", ok("{}"), lost, "", "", ""},
		{"half an answer", ok(`{"id_token":"i.d.t","refresh_token":"n3`), lost, "", "", ""},
		{"the connection breaks", reply{Err: errors.New("EOF")}, lost, "", "", ""},
		{"no connection", reply{Err: errors.New("no such host"), Unsent: true}, unreachable, "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			p.Will("/token", test.got)
			got, err := p.client().Refresh(t.Context(), secret.New("r3fresh"))
			var provider *ProviderError
			var token *TokenError
			is := tokens
			switch {
			case IsLost(err):
				is = lost
			case IsUnreachable(err):
				is = unreachable
			case errors.As(err, &token):
				is = withoutID
				if failure.From(err).Exit != failure.ExitLogin || !strings.Contains(err.Error(), "renews a login without a new ID token") {
					t.Errorf("%v", err)
				}
			case err != nil:
				is = refused
			}
			if is != test.want {
				t.Fatalf("%s, want %s: %v", is, test.want, err)
			}
			if err != nil {
				checkWords(t, err)
			}
			if errors.As(err, &provider) && provider.Code != test.code {
				t.Errorf("code %q, want %q", provider.Code, test.code)
			}
			if got.IDToken.Reveal() != test.id || got.RefreshToken.Reveal() != test.new {
				t.Errorf("tokens %.20q %.20q", got.IDToken.Reveal(), got.RefreshToken.Reveal())
			}
		})
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

func TestRevoke(t *testing.T) {
	tests := []struct {
		name string
		got  reply
		want string // in the error, "" for none
	}{
		{"revoked", ok(""), ""},
		{"an error with 200", ok(`{"error":"invalid_client"}`), "invalid_client"},
		{"a redirect", withHeader(status(307, ""), "Location", "https://evil.example/"), "not followed"},
		{"the connection breaks", reply{Err: errors.New("EOF")}, "cannot revoke"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			p.Will("/revoke", test.got)
			err := p.client().Revoke(t.Context(), issuer+"/revoke", secret.New("r3fresh"))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(told(err), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			want := url.Values{"token": {"r3fresh"}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}
			if diff := cmp.Diff(want, p.Last()); diff != "" {
				t.Error(diff)
			}
		})
	}
	p := newFake(t)
	if err := p.client().Revoke(t.Context(), "http://corp.example/revoke", secret.New("r3fresh")); err == nil || p.Paths() != "" {
		t.Errorf("a token went out without TLS: %v, %q", err, p.Paths())
	}
}
