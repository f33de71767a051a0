package command

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A provider, or what stands in its place, with a bad answer to a login that
// begins.
func TestHostileDeviceAuthorization(t *testing.T) {
	const (
		refused = "HOST refused: the "
		strange = "cannot log in: HOST does not answer as it should ("
		bad     = "HOST does not answer as it should: "
		shown   = bad + "the verification_uri is not shown: "
	)
	var rows []hostile
	device := func(name string, answer answer, exit int, says string) {
		rows = append(rows, hostile{name: name, at: "device", answer: answer, command: "login --profile dev --force", exit: exit, says: says})
	}
	for name, address := range map[string]string{ // package address has more
		"plain http":         "http://corp.example/device",
		"javascript":         "javascript:alert(1)",
		"a user name":        "https://corp.example@evil.example/device",
		"an escape sequence": "https://corp.example/\x1b]8;;https://evil.example\x1b\\",
		"empty":              "",
	} {
		device("verification_uri, "+name, with("verification_uri", address), 4, shown)
	}
	device("verification_uri is a list", with("verification_uri", []string{"https://corp.example"}), 4, shown)
	device("no verification_uri", with("verification_uri", nil), 4, shown)
	device("Google's verification_url, plain http", changed(func(_ *attack, f map[string]any) {
		delete(f, "verification_uri")
		f["verification_url"], f["marker"] = "http://corp.example/", marker
	}), 4, shown)
	// Of a bad complete address nothing is shown: the other one is.
	for name, address := range map[string]any{
		"javascript": "javascript:alert(1)", "a user name": "https://corp.example@evil.example/" + marker, "a number": 5,
		"an escape sequence": "https://corp.example/\x1b[2J", "8 kB": "https://corp.example/" + strings.Repeat("x", 8<<10),
	} {
		device("verification_uri_complete, "+name, with("verification_uri_complete", address), 0, "")
	}

	device("no device_code", with("device_code", nil), 4, bad+"the device_code is missing or too long (")
	device("device_code is a number", with("device_code", 17), 4, bad+"the device_code is missing")
	device("device_code of 9 kB", with("device_code", strings.Repeat("x", 9000)), 4, bad+"the device_code is missing or too long")
	device("device_code of 8 MB", with("device_code", strings.Repeat("x", 8<<20)), 6, strange)
	device("no user_code", with("user_code", nil), 4, bad+"the user_code is missing")
	device("user_code of 8 MB", with("user_code", strings.Repeat("x", 8<<20)), 6, strange)
	device("user_code of 65 letters", with("user_code", strings.Repeat("x", 65)), 4, bad+"the user_code is missing, too long")
	device("user_code with an escape sequence", with("user_code", "\x1b[2JABCD"), 4, bad+"the user_code is missing, too long or does not print")
	device("user_code that nobody sees", with("user_code", "\u3164\u3164"), 4, bad+"the user_code is missing, too long or does not print")
	device("user_code is a list", with("user_code", []string{"ABCD"}), 4, bad+"the user_code is missing")

	for name, number := range map[string]any{
		"negative": -5, "zero": 0, "a text": "900", "a text without a number": "soon", "a list": []int{5}, "true": true,
		"a fraction": 0.001, "null": json.RawMessage("null"), "huge": json.RawMessage("1e300"), "negative and huge": json.RawMessage("-1e300"),
		"more than any float": json.RawMessage("1e999999"), "an overflow of nanoseconds": json.RawMessage("9223372036854775807"),
	} {
		device("interval is "+name, quirk("interval", number), 0, "")
		switch name {
		case "negative", "zero", "a fraction", "negative and huge": // a code of a second
			device("expires_in is "+name, with("expires_in", number), 3, "nobody answered the login of ")
		default:
			device("expires_in is "+name, quirk("expires_in", number), 0, "")
		}
	}
	device("both numbers are missing", changed(func(_ *attack, f map[string]any) { delete(f, "interval"); delete(f, "expires_in") }), 0, "")

	readable, cutOff := nonsense()
	maps.Copy(readable, cutOff)
	for name, answer := range readable {
		device(name, answer, 6, strange)
	}
	device("an empty object", asJSON(200, "{}"), 4, bad+"the device_code is missing")
	device("a web page with status 403", page(403), 6, strange+"a web page instead of JSON")
	device("status 500", page(500), 6, strange+"status 500")
	device("status 503 with JSON", oauthError(503, "temporarily_unavailable", "later"), 6, "HOST asks to wait a few minutes (temporarily_unavailable")
	device("a redirect to another host", redirect(307, "http://THIEF/"), 6, strange+"a redirect")
	device("a redirect on the same host", redirect(308, "SELF"), 6, strange+"a redirect")

	device("unauthorized_client", oauthError(400, "unauthorized_client", "not for you"), 4, "HOST does not accept client daypass-sandbox (")
	device("invalid_client with status 200", oauthError(200, "invalid_client", "not for you"), 4, "HOST does not accept client daypass-sandbox (invalid_client")
	device("invalid_scope", oauthError(400, "invalid_scope", ""), 4, "HOST refuses the scopes of [daypass-idp corp] (invalid_scope)")
	device("invalid_request", oauthError(400, "invalid_request", "what?"), 4, "HOST refused the device authorization request: what? (")
	device("unsupported_grant_type", oauthError(400, "unsupported_grant_type", ""), 4, "HOST does not let client daypass-sandbox use device codes (")
	device("slow_down before there is a code", oauthError(429, "slow_down", ""), 6, "HOST asks to wait a few minutes: ")
	device("an error of no words", asJSON(400, `{"error":""}`), 4, "HOST refused the device authorization request: ")
	device("an error that is an object", asJSON(400, `{"error":{"code":400,"message":"x"}}`), 4, "HOST refused the device authorization request: ")
	device("an error of 1 MB", oauthError(400, strings.Repeat("x", 1<<19), strings.Repeat("y", 1<<18)), 4, "HOST refused the device authorization request: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")
	device("an error with control characters", oauthError(400, "bad\x1b[31m", "\x1b]0;title\a\r\nline 2\u202e\u0000"), 4, "HOST refused the device authorization request: ]0;title (")
	device("an error that looks like daypass's", oauthError(400, "x", "x).\ndaypass: all is well.\nRun: rm -rf ~"), 4, "HOST refused the device authorization request: ")
	device("an error that repeats what was sent", echoed("code_challenge", "client_id"), 4, "HOST refused the device authorization request: code_challenge=")
	runHostile(t, rows)
}

// A provider with bad answers while daypass polls for the tokens of a login.
func TestHostilePoll(t *testing.T) {
	var rows []hostile
	poll := func(name string, answer answer, exit int, says string) {
		rows = append(rows, hostile{name: name, at: "poll", answer: answer, command: "login --profile dev --force", exit: exit, says: says})
	}
	// Which error a poll ends with does not depend on the status.
	for _, status := range []int{200, 400, 401, 403, 500} {
		name := map[int]string{200: "200", 400: "400", 401: "401", 403: "403", 500: "500"}[status]
		poll("access_denied with status "+name, oauthError(status, "access_denied", "no"), 4, "the login at HOST was refused (access_denied: no)")
		poll("expired_token with status "+name, oauthError(status, "expired_token", ""), 3, "nobody answered the login of ")
	}
	poll("authorization_declined", oauthError(400, "authorization_declined", ""), 4, "the login at HOST was refused (authorization_declined)")
	poll("code_expired", oauthError(400, "code_expired", ""), 3, "nobody answered the login of ")
	poll("bad_verification_code", oauthError(400, "bad_verification_code", ""), 4, "HOST refused the login: ")
	poll("invalid_grant", oauthError(400, "invalid_grant", ""), 4, "HOST refused the login: ")
	poll("invalid_client", oauthError(401, "invalid_client", ""), 4, "HOST does not accept client daypass-sandbox (invalid_client)")
	poll("invalid_request", oauthError(400, "invalid_request", ""), 4, "HOST refused the login: ")
	poll("unsupported_grant_type", oauthError(400, "unsupported_grant_type", ""), 4, "HOST does not let client daypass-sandbox use device codes")
	poll("an unknown error", oauthError(400, "no_such_thing", "x"), 4, "HOST refused the login: x (")
	poll("Entra's policy", oauthError(400, "invalid_grant", "AADSTS53003: Access has been blocked by Conditional Access policies.\r\nTrace ID: x"), 4,
		"your company's sign-in policy blocks device codes (AADSTS53003")
	poll("an error with control characters", oauthError(400, "access_denied", "no\x1b[2J\a\nline 2\u202e"), 4, "the login at HOST was refused (access_denied: no")
	poll("an error that repeats what was sent", echoed("device_code", "code_verifier", "client_id"), 4, "HOST refused the login: [redacted] (")

	// What says nothing about the login is waited through, as long as the code is good.
	readable, cutOff := nonsense()
	maps.Copy(readable, cutOff)
	maps.Copy(readable, map[string]answer{
		"status 500": page(500), "status 429": page(429), "status 404": page(404), "server_error": oauthError(400, "server_error", ""),
		"slow_down": oauthError(429, "slow_down", ""), "Google's polling_too_frequently": oauthError(403, "polling_too_frequently", ""),
		"authorization_pending with status 500": oauthError(500, "authorization_pending", ""),
		"an empty object":                       asJSON(200, "{}"), "tokens of wrong types": asJSON(200, `{"id_token":5,"refresh_token":[],"access_token":null}`),
		"a redirect to another host": redirect(307, "http://THIEF/"), "a redirect with GET to another host": redirect(303, "http://THIEF/"), "a redirect on the same host": redirect(302, "SELF"),
		"a Retry-After of a year": withHeader("Retry-After", "31536000", page(503)), "a Retry-After of rubbish": withHeader("Retry-After", "-1e9", page(503)),
	})
	for name, bad := range readable {
		poll(name+", once", once(bad), 0, "")
		switch name {
		case "slow_down", "Google's polling_too_frequently", "authorization_pending with status 500":
			poll(name+", for ever", bad, 3, "nobody answered the login of ")
		case "status 429":
			poll(name+", for ever", bad, 6, "HOST asks to wait a few minutes: ")
		default: // nobody could have approved it
			poll(name+", for ever", bad, 6, "cannot log in: HOST does not answer as it should (")
		}
	}

	poll("no ID token", with("id_token", nil), 3, "HOST sent no ID token, which AWS needs.")
	poll("an access token alone", asJSON(200, `{"access_token":"`+marker+`"}`), 3, "HOST sent no ID token, which AWS needs.")
	poll("a refresh token alone", changed(func(_ *attack, f map[string]any) {
		delete(f, "id_token")
		delete(f, "access_token")
	}), 3, "HOST sent no ID token")
	for i := range rows {
		life := time.Minute
		if strings.HasSuffix(rows[i].name, ", once") {
			life = 5 * time.Minute // a provider may ask to be left alone for one
		}
		rows[i].options = func(o *sandbox.Options) { o.CodeLife = life }
	}
	runHostile(t, rows)
}
