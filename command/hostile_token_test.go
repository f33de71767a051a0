package command

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A provider, or what stands in its place, with bad answers when a login is
// renewed or revoked. The provider's refresh tokens are good once: whoever loses
// the new one loses the login.
func TestHostileRefresh(t *testing.T) {
	const (
		lost    = "cannot renew: HOST does not answer as it should ("
		refused = "HOST refused: "
		ended   = "your login at HOST has ended ("
	)
	var rows []hostile
	refresh := func(name string, answer answer, exit int, says string) {
		rows = append(rows, hostile{name: name, at: "refresh", answer: answer, exit: exit, says: says})
	}
	gone := func() { rows[len(rows)-1].after = loginGone }

	// The one answer that ends a login, whatever the status.
	for status, name := range map[int]string{200: "200", 400: "400", 401: "401", 500: "500"} {
		refresh("invalid_grant with status "+name, oauthError(status, "invalid_grant", "gone"), 3, ended+"invalid_grant)")
		gone()
	}
	refresh("Entra's changed password", oauthError(400, "invalid_grant", "AADSTS50173: The provided grant has expired due to it being revoked."), 3, ended+"invalid_grant)")
	gone()
	refresh("invalid_grant with control characters", oauthError(400, "invalid_grant", "x\x1b[2J\r\n\u202e"), 3, ended+"invalid_grant)")
	gone()
	// What only looks like it ends none.
	refresh("invalid_grant in a web page", saying(400, "text/html", `<html>{"error":"invalid_grant"} `+marker), 6, lost+"a web page")
	refresh("invalid_grant in a text", saying(400, "text/plain", "error=invalid_grant "+marker), 6, lost)
	refresh("invalid_grant in capitals", oauthError(400, "INVALID_GRANT", ""), 4, "HOST refused to renew the login: ")
	refresh("invalid_grant in a list", asJSON(400, `{"error":["invalid_grant"]}`), 4, "HOST refused to renew the login: ")
	refresh("invalid_grant in the description", oauthError(500, "server_error", "invalid_grant"), 6, lost)
	refresh("half an invalid_grant", asJSON(400, `{"error":"invalid_grant"`), 6, lost)

	for _, code := range []string{"interaction_required", "login_required", "consent_required"} {
		refresh(code, oauthError(400, code, ""), 3, ended+code+")")
		gone()
	}
	refresh("invalid_client", oauthError(401, "invalid_client", ""), 4, "HOST does not accept client daypass-sandbox (invalid_client)")
	refresh("unauthorized_client", oauthError(400, "unauthorized_client", ""), 4, "HOST refused to renew the login: ")
	refresh("invalid_request", oauthError(400, "invalid_request", "what?"), 4, "HOST refused to renew the login: what? (")
	refresh("invalid_scope", oauthError(400, "invalid_scope", ""), 4, "HOST refuses the scopes of [daypass-idp corp] (invalid_scope)")
	refresh("invalid_scope, once", once(oauthError(400, "invalid_scope", "")), 0, "")
	refresh("unsupported_grant_type", oauthError(400, "unsupported_grant_type", ""), 4, "HOST refused to renew the login: ")
	refresh("access_denied", oauthError(403, "access_denied", ""), 4, "HOST refused to renew the login: ")
	refresh("an unknown error", oauthError(400, "no_such_thing", "x"), 4, "HOST refused to renew the login: x (")
	refresh("an error that repeats what was sent", echoed("refresh_token", "client_id"), 4, "HOST refused to renew the login: [redacted] (")
	refresh("the refresh token instead of HTTP", notHTTP, 6, lost)
	refresh("an error of 1 MB", oauthError(400, strings.Repeat("x", 1<<19), strings.Repeat("y", 1<<18)), 4, "HOST refused to renew the login: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")
	refresh("an error with an escape sequence", oauthError(400, "x\x1b]0;title\a", "y\x9b2Jz\u200b\u202e\x00"), 4, "HOST refused to renew the login: y2Jz (")
	refresh("slow_down", oauthError(400, "slow_down", ""), 6, "HOST asks to wait a few minutes (slow_down)")
	refresh("status 429", withHeader("Retry-After", "99999999999999999999", page(429)), 6, "HOST asks to wait ")
	refresh("temporarily_unavailable", oauthError(503, "temporarily_unavailable", ""), 6, lost)

	readable, cutOff := nonsense()
	maps.Copy(readable, cutOff)
	maps.Copy(readable, map[string]answer{
		"server_error": oauthError(400, "server_error", ""), "Keycloak's unknown_error": oauthError(500, "unknown_error", ""), "status 500": page(500), "status 503": page(503),
		"an empty object": asJSON(200, "{}"), "tokens of wrong types": asJSON(200, `{"id_token":{},"refresh_token":5,"access_token":["`+marker+`"]}`),
	})
	for name, bad := range readable {
		refresh(name, bad, 6, lost)
		refresh(name+", once", once(bad), 0, "")
	}
	refresh("status 403", page(403), 6, lost+"a web page")
	refresh("status 404", page(404), 6, lost+"a web page")
	for status, name := range map[int]string{301: "301", 302: "302", 303: "303", 307: "307", 308: "308"} {
		refresh("a redirect to another host, "+name, redirect(status, "http://THIEF/"), 6, lost+"a redirect")
	}
	refresh("a redirect on the same host", redirect(307, "SELF"), 6, lost+"a redirect")
	refresh("a redirect to a file", redirect(307, "file:///etc/passwd"), 6, lost+"a redirect")

	refresh("no ID token", with("id_token", nil), 3, "HOST renews a login without a new ID token, which AWS needs.")
	refresh("an ID token of another type", with("id_token", 5), 3, "HOST renews a login without a new ID token, which AWS needs.")
	refresh("expires_in is a list", with("expires_in", []int{1}), 0, "")
	refresh("the ID token twice", twice("id_token", "x.y.z"), 4, "the ID token from HOST cannot be used: ")
	for i := range rows {
		rows[i].options = func(o *sandbox.Options) { o.Rotate = true }
	}
	rows = append(rows,
		hostile{name: "a refresh token of 500 kB", at: "refresh", answer: with("refresh_token", strings.Repeat(marker, 40000)), exit: 0})
	runHostile(t, rows)
}

// A logout deletes the login, whatever the provider says to it.
func TestHostileRevocation(t *testing.T) {
	var rows []hostile
	readable, cutOff := nonsense()
	maps.Copy(readable, cutOff)
	maps.Copy(readable, map[string]answer{
		"an error": oauthError(400, "unsupported_token_type", "x"), "an error with an escape sequence": oauthError(400, "x\x1b[2J", "y\r\nz\u202e"),
		"an error that repeats the token": echoed("token"), "a web page with status 404": page(404), "status 500": page(500),
		"a redirect to another host": redirect(307, "http://THIEF/"), "a redirect on the same host": redirect(308, "SELF"),
	})
	for name, bad := range readable {
		rows = append(rows, hostile{name: name, at: "revoke", answer: bad, command: "logout --profile dev", after: loginGone})
	}
	runHostile(t, rows)
}

// Whatever was wrong with a renewal, the provider is left alone for a while: the
// next commands say the same, and ask nobody.
func TestABadRenewalIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]hostile{
		"status 500":     {at: "refresh", answer: page(500)},
		"a web page":     {at: "refresh", answer: page(200)},
		"invalid_client": {at: "refresh", answer: oauthError(401, "invalid_client", "")},
		"a bad ID token": {at: "refresh", answer: forged(func(_ *attack, p parts) string { return p.with(`{"alg":"none"}`) + "." })},
		"discovery":      {at: "discovery", answer: page(503)},
		"keys":           {at: "keys", answer: page(500)},
	} {
		row.options = func(o *sandbox.Options) { o.Rotate = true }
		a := row.begin(t)
		row.forget(a)
		code, _, stderr := a.run("process", "--profile", "dev")
		requests := a.box.Count("")
		a.clock.Advance(10 * time.Second)
		again, _, said := a.run("process", "--profile", "dev")
		if n := a.box.Count("") - requests; n > 0 || again != code || said != stderr || code == 0 {
			t.Errorf("%s: %d requests; exit %d, then %d\n%s%s", name, n, code, again, stderr, said)
		}
	}
}
