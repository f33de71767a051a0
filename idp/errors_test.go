package idp

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// Only a provider that knows the client says that it may have no device codes.
func TestRefusesDeviceCodes(t *testing.T) {
	for _, test := range []struct {
		e    ProviderError
		want bool
	}{
		{ProviderError{Op: OpDevice, Status: 400, Code: "unauthorized_client"}, true},
		{ProviderError{Op: OpDevice, Status: 403, Code: "unsupported_grant_type"}, true},
		{ProviderError{Op: OpDevice, Status: 400, Code: "unauthorized_client", Description: "AADSTS700016: Application with identifier x was not found"}, false},
		{ProviderError{Op: OpDevice, Status: 400, Code: "unauthorized_client", Description: "AADSTS7000218: x"}, true},
		{ProviderError{Op: OpDevice, Status: 401, Code: "invalid_client"}, false},
		{ProviderError{Op: OpDevice, Status: 429, Code: "unauthorized_client"}, false},
		{ProviderError{Op: OpPoll, Status: 400, Code: "unauthorized_client"}, false},
	} {
		if got := RefusesDeviceCodes(new(Client).explain(&test.e)); got != test.want {
			t.Errorf("%+v: %t", test.e, got)
		}
	}
	if RefusesDeviceCodes(nil) {
		t.Error("success refuses")
	}
}

func TestNoErrorHoldsASecret(t *testing.T) {
	const device, refresh, verifier, client = "d3v1ce/c0de+x", "r3fresh/t0ken", "v3rifier", "cl1ent&s3cret"
	secrets := []string{device, refresh, verifier, client, "d3v1ce%2Fc0de%2Bx", "r3fresh%2Ft0ken", "cl1ent%26s3cret", "qu3ry"}
	sentValues := func(form url.Values) string {
		return strings.Join([]string{form.Get("device_code"), form.Get("refresh_token"), form.Get("token"), form.Get("code_verifier"), form.Get("client_secret")}, " ")
	}
	replies := map[string]reply{
		"echo in the description": {Status: 400, Echo: func(form url.Values) string {
			return `{"error":"invalid_request","error_description":"no ` + sentValues(form) + `"}`
		}},
		"echo of the form": {Status: 400, Echo: func(form url.Values) string {
			return `{"error":"invalid_request","error_description":"` + form.Encode() + `"}`
		}},
		"echo in the code": {Status: 400, Echo: func(form url.Values) string {
			return `{"error":"` + sentValues(form) + `","correlation_id":"` + sentValues(form) + `"}`
		}},
		"echo in pieces": {Status: 400, Echo: func(form url.Values) string {
			return `{"error":"x","error_description":"` + strings.ReplaceAll(sentValues(form), "3", `\u200b3\u2066`) + `"}`
		}},
		"echo with white space": {Status: 400, Echo: func(form url.Values) string {
			return `{"error":"x","error_description":"` + strings.ReplaceAll(sentValues(form), "3", ` 3\n`) + `"}`
		}},
		"echo in a web page": {Status: 500, Echo: func(form url.Values) string { return "<html>" + sentValues(form) }},
		"redirect":           withHeader(status(302, ""), "Location", "https://evil.example/?qu3ry"),
		"tokens of no use":   ok(`{"id_token":5,"access_token":"qu3ry"}`),
	}
	for name, r := range replies {
		t.Run(name, func(t *testing.T) {
			p := newFake(t)
			p.Document["token_endpoint"] = issuer + "/token?x=qu3ry"
			for _, path := range []string{"/token", "/revoke"} {
				p.Will(path, r)
			}
			c := p.client()
			c.ClientSecret = secret.New(client)
			_, refreshErr := c.Refresh(t.Context(), secret.New(refresh))
			errs := []error{refreshErr, c.Revoke(t.Context(), issuer+"/revoke?x=qu3ry", secret.New(refresh))}
			got, err := c.Post(t.Context(), OpPoll, TokenEndpoint, url.Values{"device_code": {device}, "code_verifier": {verifier}})
			if err == nil {
				_, err = got.Tokens()
			}
			errs = append(errs, err)
			for _, err := range errs {
				if err == nil {
					continue // tokens of no use do not matter when one is revoked
				}
				checkWords(t, err)
				if strings.HasPrefix(name, "echo") && name != "echo in a web page" && !strings.Contains(told(err), "[redacted]") {
					t.Errorf("nothing was redacted in: %v", err)
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
					text := fmt.Sprintf(verb, err) + fmt.Sprintf(verb, failure.From(err).Err)
					for _, s := range secrets {
						if strings.Contains(squeeze(text), s) {
							t.Errorf("%s holds %q: %s", verb, s, text)
						}
					}
				}
			}
		})
	}
}

// squeeze is a text without what could hide a secret in it.
func squeeze(text string) string { return strings.ReplaceAll(clean(text, len(text)), " ", "") }

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
