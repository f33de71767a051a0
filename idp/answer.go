package idp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// Answer is what an endpoint said. Its fields are read one by one: a refresh token
// must not be lost because expires_in is a list.
type Answer struct {
	ProviderError // what [Answer.Err] returns, if it is an error

	client   *Client
	location *url.URL                   // of a redirect, or nil
	body     []byte                     // the JSON object as it came
	fields   map[string]json.RawMessage // nil if the body cannot be read
}

// readAnswer makes an answer of a response whose body was read, up to maxBody.
func (c *Client) readAnswer(e ProviderError, response *http.Response, body []byte, secrets []string) Answer {
	a := Answer{ProviderError: e, client: c, body: bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))}
	a.Status, a.RetryAfter = response.StatusCode, retryAfter(response.Header, c.Clock())
	switch {
	case 300 <= a.Status && a.Status < 400 && response.Header.Get("Location") != "":
		a.Description = "a redirect, which is not followed"
		if location, err := response.Location(); err == nil {
			a.location = location
			a.Description = fmt.Sprintf("a redirect to %q, which is not followed", show(location.Host, 100, secrets))
		}
	case len(body) > maxBody:
		a.Description = "the answer has more than 1 MiB"
	default:
		a.fields, a.Description = readFields(response.Header, a.body)
	}
	if a.fields == nil {
		a.Unreadable = true
		return a
	}
	a.Code = show(a.Text("error"), 64, secrets)
	a.Description = show(a.Text("error_description"), 300, secrets)
	a.CorrelationID = show(a.Text("correlation_id"), 64, secrets)
	return a
}

// show is what may be shown of the provider's text.
func show(text string, max int, secrets []string) string {
	if secret.Repeats(text, secrets...) {
		return secret.Redacted
	}
	// Entra goes on with a trace id, a correlation id and the time.
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text, _, _ = strings.Cut(text, "Trace ID:")
	return clean(text, max)
}

// readFields reads a JSON object, or a form, as older servers answer. Without
// fields, it says what the body is instead.
func readFields(header http.Header, body []byte) (fields map[string]json.RawMessage, instead string) {
	if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind == formType && !json.Valid(body) {
		if form, err := url.ParseQuery(string(body)); err == nil && len(form) > 0 {
			text := map[string]string{}
			for name := range form {
				text[name] = form.Get(name)
			}
			body, _ = json.Marshal(text)
		}
	}
	switch err := json.Unmarshal(body, &fields); {
	case err == nil && fields != nil:
		return fields, ""
	case len(body) == 0:
		return nil, "an empty answer instead of JSON"
	case body[0] == '<':
		return nil, "a web page instead of JSON"
	}
	return nil, "text that is not a JSON object"
}

// Text returns the value of a field that is a JSON string, else "".
func (a Answer) Text(name string) string {
	var value string
	if json.Unmarshal(a.fields[name], &value) != nil {
		return ""
	}
	return value
}

// Seconds returns the value of a field in seconds, a JSON number or a string that
// holds one, brought between low and high. It is missing if there is no number.
func (a Answer) Seconds(name string, low, high, missing time.Duration) time.Duration {
	var number json.Number // takes a quoted number too
	if json.Unmarshal(a.fields[name], &number) != nil || number == "" {
		return missing
	}
	// Bounded as floating point: a huge number is infinite, and fits no Duration.
	seconds, _ := number.Float64()
	return time.Duration(min(max(seconds, low.Seconds()), high.Seconds()) * float64(time.Second))
}

// OK reports whether the provider did what it was asked for. An error code counts
// whatever the status is, because some send errors with 200.
func (a Answer) OK() bool {
	return a.fields != nil && a.Code == "" && 200 <= a.Status && a.Status < 300
}

// Judged reports whether the provider judged the request: whether its error is
// about the request, and not about the provider's own trouble.
func (a Answer) Judged() bool {
	switch a.Code {
	case "", "server_error", "temporarily_unavailable": // RFC 6749 section 4.1.2.1; used at token endpoints too
		return false
	case "invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target",
		"unauthorized_client", "unsupported_grant_type", "access_denied", "authorization_declined",
		"expired_token", "code_expired", "bad_verification_code", "interaction_required":
		return true
	}
	// Keycloak sends unknown_error with status 500.
	return a.Status < 500
}

// Tokens returns the tokens of an answer to a token request (OpenID Connect Core
// section 3.1.3.3). An OAuth error about the request is a refusal whatever its status,
// and so is any other answer to the client's address (a redirect, a rate limit). The
// rest leaves open whether the token or code was spent; see [IsLost].
//
// If there is no ID token, the error is a [*TokenError], and the refresh token, if
// one came, is returned with it: it must be stored.
func (a Answer) Tokens() (Tokens, error) {
	tokens := Tokens{IDToken: secret.New(a.Text("id_token")), RefreshToken: secret.New(a.Text("refresh_token"))}
	switch {
	case a.OK() && !tokens.IDToken.Empty():
		return tokens, nil
	case a.OK() && (!tokens.RefreshToken.Empty() || a.Text("access_token") != ""):
		return tokens, noIDToken(a.Op)
	}
	a.Lost = !a.Judged() && (a.Code != "" || a.Status >= 500 || a.Status < 300)
	return Tokens{}, a.Err()
}

// Err returns the answer as an error, with a [*ProviderError] as its cause.
func (a Answer) Err() error { return a.client.explain(&a.ProviderError) }

// retryAfter reads the Retry-After header (RFC 9110 section 10.2.3): 0, also if there
// is none, to an hour.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	seconds, _ := strconv.ParseInt(value, 10, 64) // 0 for a date
	wait := time.Duration(min(max(seconds, 0), 3600)) * time.Second
	if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now).Round(time.Second)
	}
	return min(max(wait, 0), time.Hour)
}
