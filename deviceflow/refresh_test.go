package deviceflow

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/secret"
)

func TestRefresh(t *testing.T) {
	type outcome string
	const tokens, lost, refused, unreachable outcome = "tokens", "lost", "refused", "unreachable"
	oauth := func(code string) string { return `{"error":"` + code + `"}` }
	tests := []struct {
		name    string
		got     reply
		want    outcome
		id, new string // the tokens
		code    string // of the ProviderError
	}{
		{"rotation", ok(`{"access_token":"a","id_token":"i.d.t","refresh_token":"n3w"}`), tokens, "i.d.t", "n3w", ""},
		{"no new refresh token", ok(`{"access_token":"a","id_token":"i.d.t"}`), tokens, "i.d.t", "", ""},
		{"no ID token", ok(`{"access_token":"a","refresh_token":"n3w"}`), tokens, "", "n3w", ""},
		{"only an access token", ok(`{"access_token":"a"}`), tokens, "", "", ""},
		{"an ID token of another type: the refresh token is not lost", ok(`{"id_token":["x"],"refresh_token":"n3w"}`), tokens, "", "n3w", ""},
		{"the same field twice", ok(`{"refresh_token":"old","refresh_token":"n3w"}`), tokens, "", "n3w", ""},
		{"an ID token of 100 kB: the refresh token is not lost", ok(`{"id_token":"` + strings.Repeat("x", 100000) + `","refresh_token":"n3w"}`), tokens, strings.Repeat("x", 100000), "n3w", ""},

		{"invalid_grant", status(400, oauth("invalid_grant")), refused, "", "", "invalid_grant"},
		{"Auth0: invalid_grant with 403", status(403, oauth("invalid_grant")), refused, "", "", "invalid_grant"},
		{"invalid_grant with 200", ok(oauth("invalid_grant")), refused, "", "", "invalid_grant"},
		{"invalid_grant with 500", status(500, oauth("invalid_grant")), refused, "", "", "invalid_grant"},
		{"invalid_client", status(401, oauth("invalid_client")), refused, "", "", "invalid_client"},
		{"a code of its own", status(400, oauth("mfa_required")), refused, "", "", "mfa_required"},
		{"429", withHeader(status(429, ""), "Retry-After", "7"), refused, "", "", ""},
		{"403 from a firewall", page(403), refused, "", "", ""},
		{"404", status(404, ""), refused, "", "", ""},
		{"a redirect", withHeader(status(302, ""), "Location", "https://evil.example/"), refused, "", "", ""},

		{"500", status(500, "oops"), lost, "", "", ""},
		{"502 from a gateway", page(502), lost, "", "", ""},
		{"503 with temporarily_unavailable", status(503, oauth("temporarily_unavailable")), lost, "", "", "temporarily_unavailable"},
		{"400 with server_error", status(400, oauth("server_error")), lost, "", "", "server_error"},
		{"Keycloak: 500 with unknown_error", status(500, oauth("unknown_error")), lost, "", "", "unknown_error"},
		{"a web page with 200", page(200), lost, "", "", ""},
		{"an empty answer", ok(""), lost, "", "", ""},
		{"an empty object", ok("{}"), lost, "", "", ""},
		{"a list", ok("[]"), lost, "", "", ""},
		{"half an answer", ok(`{"id_token":"i.d.t","refresh_token":"n3`), lost, "", "", ""},
		{"two objects", ok(`{"refresh_token":"n3w"}{}`), lost, "", "", ""},
		{"an answer of 2 MiB", ok(`{"refresh_token":"` + strings.Repeat("x", 2<<20) + `"}`), lost, "", "", ""},
		{"the connection breaks", reply{err: errors.New("EOF")}, lost, "", "", ""},
		{"no connection", reply{err: errors.New("no such host"), unsent: true}, unreachable, "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/token", test.got)
			got, err := p.flow().Refresh(t.Context(), secret.New("r3fresh"))
			var asLost *LostError
			var asRefused *ProviderError
			var asUnreachable *UnreachableError
			is := tokens
			switch {
			case errors.As(err, &asLost):
				is = lost
			case errors.As(err, &asUnreachable):
				is = unreachable
			case errors.As(err, &asRefused):
				is = refused
			case err != nil:
				t.Fatalf("error %v of another kind", err)
			}
			if is != test.want {
				t.Fatalf("%s, want %s: %v", is, test.want, err)
			}
			if err != nil {
				checkErrorText(t, err)
			}
			if errors.As(err, &asRefused) && asRefused.Code != test.code {
				t.Errorf("code %q, want %q", asRefused.Code, test.code)
			}
			if errors.Is(err, ErrExpired) || errors.Is(err, ErrDenied) {
				t.Errorf("error %v is one of a login", err)
			}
			if got.IDToken.Reveal() != test.id || got.RefreshToken.Reveal() != test.new {
				t.Errorf("tokens %.20q %.20q", got.IDToken.Reveal(), got.RefreshToken.Reveal())
			}
			if n := strings.Count(p.paths(), "token"); n != 1 && test.want != unreachable {
				t.Errorf("the refresh token was sent %d times", n)
			}
		})
	}
}

func TestRefreshSends(t *testing.T) {
	tests := []struct {
		name   string
		scopes string
		issuer string
		want   string
	}{
		{"the default", "", issuer, "openid email offline_access"},
		{"Keycloak", "", issuer + "/realms/demo", "openid email"},
		{"as written", "openid groups", issuer, "openid groups"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.document["issuer"] = test.issuer
			p.will("/token", ok(`{"id_token":"i.d.t"}`))
			f := p.flow()
			f.Scopes, f.ClientSecret, f.Audience, f.ExtraParams = test.scopes, secret.New("s3cret"), "api", "prompt=login"
			if _, err := f.Refresh(t.Context(), secret.New("r3fresh")); err != nil {
				t.Fatal(err)
			}
			want := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r3fresh"}, "client_id": {clientID},
				"client_secret": {"s3cret"}, "scope": {test.want}}
			if diff := cmp.Diff(want, p.last("/token")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefreshWithScopesThatWereNotGranted(t *testing.T) {
	p := newIDP(t)
	p.will("/token", status(400, `{"error":"invalid_scope"}`), ok(`{"id_token":"i.d.t"}`))
	tokens, err := p.flow().Refresh(t.Context(), secret.New("r3fresh"))
	if err != nil || tokens.IDToken.Empty() || p.last("/token").Has("scope") {
		t.Errorf("error %v, sent %v", err, p.last("/token"))
	}
}

func TestRefreshIsNotCancelled(t *testing.T) {
	p := newIDP(t)
	p.will("/token", ok(`{"id_token":"i.d.t"}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.flow().Refresh(ctx, secret.New("r3fresh")); err != nil {
		t.Fatal(err)
	}
	for _, r := range p.requests {
		deadline, ok := r.ctx.Deadline()
		if left := time.Until(deadline); !ok || left > requestTime {
			t.Errorf("%s is bound by %v", r.path, left)
		}
	}
}

func TestTokenEndpointMoves(t *testing.T) {
	p := newIDP(t)
	if err := p.remembering().Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.document["token_endpoint"] = issuer + "/v2/token"
	p.will("/v2/token", ok(`{"id_token":"i.d.t"}`))
	if _, err := p.remembering().Refresh(t.Context(), secret.New("r3fresh")); err != nil {
		t.Error(err)
	}
	if got, want := p.paths(), "configuration token configuration v2/token"; got != want {
		t.Errorf("requests %q, want %q", got, want)
	}
	p.requests = nil
	if _, err := p.remembering().Refresh(t.Context(), secret.New("r3fresh")); err != nil || p.paths() != "v2/token" {
		t.Errorf("error %v, requests %q: the move is not remembered", err, p.paths())
	}
}

func TestRevoke(t *testing.T) {
	tests := []struct {
		name string
		got  reply
		want string // in the error, "" for none
	}{
		{"revoked", ok(""), ""},
		{"with a body", ok(`{}`), ""},
		{"with a page", page(200), ""},
		{"no content", status(204, ""), ""},
		{"unsupported_token_type", status(400, `{"error":"unsupported_token_type"}`), "unsupported_token_type"},
		{"an error with 200", ok(`{"error":"invalid_client"}`), "invalid_client"},
		{"503", status(503, ""), "HTTP status 503"},
		{"a redirect", withHeader(status(307, ""), "Location", "https://evil.example/"), "not followed"},
		{"the connection breaks", reply{err: errors.New("EOF")}, "lost"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/revoke", test.got)
			err := p.flow().Revoke(t.Context(), issuer+"/revoke", secret.New("r3fresh"))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			want := url.Values{"token": {"r3fresh"}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}}
			if diff := cmp.Diff(want, p.last("/revoke")); diff != "" {
				t.Error(diff)
			}
		})
	}
	p := newIDP(t)
	if err := p.flow().Revoke(t.Context(), "http://corp.example/revoke", secret.New("r3fresh")); err == nil || p.paths() != "" {
		t.Errorf("a token went out without TLS: %v, %q", err, p.paths())
	}
}
