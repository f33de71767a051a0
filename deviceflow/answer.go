package deviceflow

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// answer is what an endpoint said. Its fields are read one by one, so that one
// of the wrong type does not cost the others: a refresh token must not be lost
// because expires_in is a list.
type answer struct {
	op, host      string
	status        int
	code          string                     // the OAuth error code, "" if there is none
	description   string                     // of the error, cleaned; or why fields is nil
	correlationID string                     // Entra's
	retryAfter    time.Duration              // 0 if the provider did not say
	fields        map[string]json.RawMessage // nil if the body is no JSON object
}

// readAnswer makes an answer of a response whose body was read. bodyErr says why
// there is no body.
func readAnswer(op, host string, response *http.Response, body []byte, bodyErr error, secrets []string, now time.Time) answer {
	a := answer{op: op, host: host, status: response.StatusCode, retryAfter: retryAfter(response.Header, now)}
	if bodyErr != nil {
		a.description = bodyErr.Error()
		return a
	}
	if reason := notJSON(response.Header.Get("Content-Type"), body); reason != "" {
		a.description = reason
		if 300 <= a.status && a.status < 400 {
			a.description = "a redirect, which is not followed with a secret in the request"
		}
		return a
	}
	if err := json.Unmarshal(body, &a.fields); err != nil || a.fields == nil {
		a.fields, a.description = nil, "JSON that is no object"
		return a
	}
	a.code = cleanWithout(secrets, a.text("error"), 64)
	a.description = cleanWithout(secrets, firstLine(a.text("error_description")), 300)
	a.correlationID = cleanWithout(secrets, a.text("correlation_id"), 64)
	return a
}

// notJSON says what a body is instead of JSON, "" if it is JSON.
func notJSON(contentType string, body []byte) string {
	body = bytes.TrimSpace(body)
	switch {
	case json.Valid(body):
		return ""
	case len(body) == 0:
		return "an empty answer instead of JSON"
	case strings.Contains(strings.ToLower(contentType), "html"), body[0] == '<':
		return "a web page instead of JSON; is there a proxy or a sign-in page in between?"
	}
	return "text that is not JSON"
}

// firstLine is the part of an error description that is for people. Entra goes on
// with a trace id, a correlation id and the time, on lines of their own or not.
func firstLine(description string) string {
	description, _, _ = strings.Cut(strings.TrimSpace(description), "\n")
	if strings.HasPrefix(description, "AADSTS") {
		description, _, _ = strings.Cut(description, "Trace ID:")
	}
	return description
}

// text is the value of a field that is a JSON string, else "".
func (a answer) text(name string) string {
	var value string
	if json.Unmarshal(a.fields[name], &value) != nil {
		return ""
	}
	return value
}

func (a answer) secret(name string) secret.String { return secret.New(a.text(name)) }

// duration is the value of a field in seconds, a JSON number or a string that
// holds one, brought between low and high. It is missing where there is no number.
func (a answer) duration(name string, low, high, missing time.Duration) time.Duration {
	var number json.Number // takes a quoted number too
	if json.Unmarshal(a.fields[name], &number) != nil || number == "" {
		return missing
	}
	seconds, err := strconv.ParseFloat(string(number), 64)
	if math.IsNaN(seconds) || err != nil && !math.IsInf(seconds, 0) {
		return missing
	}
	// Compared as floating point: a huge number does not fit a Duration.
	switch {
	case seconds <= low.Seconds():
		return low
	case seconds >= high.Seconds():
		return high
	}
	return time.Duration(seconds * float64(time.Second))
}

// success reports whether the provider did what it was asked for. An error code
// counts whatever the status is, for some send errors with 200.
func (a answer) success() bool {
	return a.fields != nil && a.code == "" && 200 <= a.status && a.status < 300
}

// err is the answer as an error.
func (a answer) err() *ProviderError {
	return &ProviderError{
		Op: a.op, Host: a.host, Status: a.status, Code: a.code, Description: a.description,
		Unreadable: a.fields == nil, CorrelationID: a.correlationID, RetryAfter: a.retryAfter,
	}
}

// judged reports whether the provider got to judge the request: whether its error
// is about the request, and not about the provider's own trouble.
func (a answer) judged() bool {
	switch a.code {
	case "", "server_error", "temporarily_unavailable": // RFC 6749 section 4.1.2.1; used at token endpoints too
		return false
	case "invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target",
		"unauthorized_client", "unsupported_grant_type", "access_denied", "authorization_declined",
		"expired_token", "code_expired", "bad_verification_code", "interaction_required":
		return true
	}
	// Keycloak sends unknown_error with status 500.
	return a.status < 500
}

// tokens are those of a token answer (OpenID Connect Core section 3.1.3.3). None
// is required here: the access token is of no use to us, and which of the others
// must be there depends on the request.
func (a answer) tokens() Tokens {
	return Tokens{IDToken: a.secret("id_token"), RefreshToken: a.secret("refresh_token")}
}

// hasTokens reports whether the answer is a token answer.
func (a answer) hasTokens() bool {
	return a.success() && (a.text("access_token") != "" || a.text("id_token") != "" || a.text("refresh_token") != "")
}
