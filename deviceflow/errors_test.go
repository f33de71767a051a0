package deviceflow

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/daypass/daypass/secret"
)

// checkErrorText fails if an error holds more than a line, or what must not reach
// a terminal.
func checkErrorText(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("error %q does not print", text)
	}
	if len(text) > 1000 {
		t.Errorf("error of %d bytes", len(text))
	}
}

func TestNoErrorHoldsASecret(t *testing.T) {
	const device, refresh, verifier, client = "d3v1ce/c0de+x", "r3fresh/t0ken", "v3rifier", "cl1ent&s3cret"
	secrets := []string{device, refresh, verifier, client, "d3v1ce%2Fc0de%2Bx", "r3fresh%2Ft0ken", "cl1ent%26s3cret", "qu3ry"}
	sentValues := func(form url.Values) string {
		return strings.Join([]string{form.Get("device_code"), form.Get("refresh_token"), form.Get("token"), form.Get("code_verifier"), form.Get("client_secret")}, " ")
	}
	replies := map[string]reply{
		"echo in the description": {status: 400, echo: func(form url.Values) string {
			return `{"error":"invalid_request","error_description":"no ` + sentValues(form) + `"}`
		}},
		"echo of the form": {status: 400, echo: func(form url.Values) string {
			return `{"error":"invalid_request","error_description":"` + form.Encode() + `"}`
		}},
		"echo in the code": {status: 400, echo: func(form url.Values) string {
			return `{"error":"` + sentValues(form) + `","correlation_id":"` + sentValues(form) + `"}`
		}},
		"echo in pieces": {status: 400, echo: func(form url.Values) string {
			return `{"error":"x","error_description":"` + strings.ReplaceAll(sentValues(form), "3", `\u200b3\u2066`) + `"}`
		}},
		"echo in a web page": {status: 500, echo: func(form url.Values) string { return "<html>" + sentValues(form) }},
		"transport error":    {err: errors.New("EOF")},
		"no connection":      {err: errors.New("refused"), unsent: true},
		"bad proxy":          {err: errors.New(`invalid proxy address "http://u:qu3ry@p": x`), unsent: true},
		"redirect":           withHeader(status(302, ""), "Location", "https://evil.example/?qu3ry"),
		"tokens of no use":   ok(`{"id_token":5,"access_token":"qu3ry"}`),
	}
	for name, r := range replies {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.document["token_endpoint"] = issuer + "/token?x=qu3ry"
			for _, path := range []string{"/device", "/token", "/revoke"} {
				p.will(path, r)
			}
			f := p.flow()
			f.ClientSecret = secret.New(client)
			_, authorizeErr := f.Authorize(t.Context())
			a := p.open()
			a.DeviceCode, a.CodeVerifier, a.TokenEndpoint = secret.New(device), secret.New(verifier), issuer+"/token?x=qu3ry"
			_, pollErr := f.Poll(t.Context(), a)
			_, refreshErr := f.Refresh(t.Context(), secret.New(refresh))
			revokeErr := f.Revoke(t.Context(), issuer+"/revoke?x=qu3ry", secret.New(refresh))
			if authorizeErr == nil || pollErr == nil {
				t.Fatalf("authorize: %v, poll: %v", authorizeErr, pollErr)
			}
			for _, err := range []error{authorizeErr, pollErr, refreshErr, revokeErr} {
				if err == nil {
					continue // an answer of no use is no error to these two
				}
				checkErrorText(t, err)
				if strings.HasPrefix(name, "echo") && name != "echo in a web page" && !strings.Contains(err.Error(), "[redacted]") {
					t.Errorf("nothing was redacted in: %v", err)
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
					text := fmt.Sprintf(verb, err)
					for _, s := range secrets {
						if strings.Contains(text, s) {
							t.Errorf("%s holds %q: %s", verb, s, text)
						}
					}
				}
			}
		})
	}
}

func TestEntraErrorText(t *testing.T) {
	for name, description := range map[string]string{
		"lines":    `AADSTS50105: You are not assigned.\r\nTrace ID: 0170\r\nCorrelation ID: 3f2c\r\nTimestamp: 2026-11-22 12:00:00Z`,
		"one line": `AADSTS50105: You are not assigned. Trace ID: 0170 Correlation ID: 3f2c Timestamp: 2026-11-22 12:00:00Z`,
	} {
		p := newIDP(t)
		p.will("/token", status(400, `{"error":"invalid_grant","error_description":"`+description+`","error_codes":[50105],"correlation_id":"3f2c"}`))
		_, err := p.flow().Refresh(t.Context(), secret.New("r3fresh"))
		want := "corp.example answered the refresh request with invalid_grant: AADSTS50105: You are not assigned. (correlation id 3f2c)"
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %q, want %q", name, err, want)
		}
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"a\r\n\tb\x1b[31mc\u0085d", "a b [31mc d"},
		{"right\u202eto\u2066left\u200b", "righttoleft"},
		{"bad \xff\xfe utf-8", "bad utf-8"},
		{"Zugriff verweigert: Schlüssel", "Zugriff verweigert: Schlüssel"},
		{"12345678901234567890123456789012345678ü", "12345678901234567890123456789012345678ü"},
		{"123456789012345678901234567890123456789ü", "123456789012345678901234567890123456789"},
		{strings.Repeat("x", 1<<20), strings.Repeat("x", 40)},
	}
	for _, test := range tests {
		if got := clean(test.in, 40); got != test.want {
			t.Errorf("clean(%.50q) = %q, want %q", test.in, got, test.want)
		}
	}
}
