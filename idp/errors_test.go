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
	for want, all := range map[bool][]ProviderError{
		true: {
			{Op: OpDevice, Status: 400, Code: "unauthorized_client"},
			{Op: OpDevice, Status: 403, Code: "unsupported_grant_type"},
			{Op: OpDevice, Status: 400, Code: "unauthorized_client", Description: "AADSTS7000218: x"},
		},
		false: {
			{Op: OpDevice, Status: 400, Code: "unauthorized_client", Description: "AADSTS700016: Application with identifier x was not found"},
			{Op: OpDevice, Status: 401, Code: "invalid_client"},
			{Op: OpDevice, Status: 429, Code: "unauthorized_client"},
			{Op: OpPoll, Status: 400, Code: "unauthorized_client"},
		},
	} {
		for _, e := range all {
			if got := RefusesDeviceCodes(new(Client).explain(&e)); got != want {
				t.Errorf("%+v: %t", e, got)
			}
		}
	}
}

// Whatever is sent comes back in no error, in pieces or encoded.
func TestNoErrorHoldsASecret(t *testing.T) {
	const query = "qu3ry"
	quoting := func(format string) reply {
		return reply{Status: 400, Echo: func(form url.Values) string {
			for _, values := range form {
				if strings.Contains(values[0], "s3cret") {
					return strings.ReplaceAll(format, "IT", values[0])
				}
			}
			return ""
		}}
	}
	replies := map[string]reply{
		"in the description": quoting(`{"error":"x","error_description":"no IT"}`),
		"in the code":        quoting(`{"error":"IT","correlation_id":"IT"}`),
		"the form":           {Status: 400, Echo: func(form url.Values) string { return `{"error":"x","error_description":"` + form.Encode() + `"}` }},
		"in pieces": {Status: 400, Echo: func(form url.Values) string {
			return strings.ReplaceAll(quoting(`{"error":"x","error_description":"no IT"}`).Echo(form), "3", `\u200b3\u2066 \n`)
		}},
		"redirect":         withHeader(status(302, ""), "Location", "https://evil.example/?"+query),
		"tokens of no use": ok(`{"id_token":5,"access_token":"` + query + `"}`),
	}
	for _, sent := range []string{"device_code", "code", "code_verifier", "refresh_token", "token", "client_secret"} {
		value := "s3cret/" + sent
		replies["as a host"] = withHeader(status(302, ""), "Location", "https://"+strings.ReplaceAll(value, "/", ".")+"/")
		for name, r := range replies {
			p := newFake(t)
			p.Document["token_endpoint"] = issuer + "/token?x=" + query
			p.Will("/token", r)
			c, form := p.client(), url.Values{}
			if form.Set(sent, value); sent == "client_secret" {
				c.ClientSecret, form = secret.New(value), url.Values{}
			}
			got, err := c.Exchange(t.Context(), OpPoll, form)
			must(t, err)
			_, err = got.Tokens()
			checkWords(t, err)
			if strings.Contains(told(err), "[redacted]") != (r.Echo != nil || name == "as a host") {
				t.Errorf("%s, %s: redacted: %v", sent, name, err)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
				text := squeeze(fmt.Sprintf(verb, err) + fmt.Sprintf(verb, failure.From(err).Err))
				if strings.Contains(strings.ReplaceAll(text, "s3cret.", "s3cret/"), value) || strings.Contains(text, url.QueryEscape(value)) || strings.Contains(text, query) {
					t.Errorf("%s, %s: %s holds it: %s", sent, name, verb, text)
				}
			}
		}
	}
}

// squeeze is a text without what could hide a secret in it.
func squeeze(text string) string { return strings.ReplaceAll(clean(text, len(text)), " ", "") }
