package azure_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// Whatever comes back of Entra ID and Key Vault is a value or a failure of three
// lines at most, in which nothing secret is.
func FuzzAzureAnswers(f *testing.F) {
	const sent = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.c2lnbmF0dXJl"
	for _, body := range []string{
		`{"access_token":"x","expires_in":3599,"value":"y"}`, `{"access_token":"x","expires_in":"3599"}`, `{}`, ``, `null`, `[]`, `<html>`, `{"value":null}`, `{"value":7}`,
		`{"access_token":"a\u0000","expires_in":1e300}`, `{"error":"invalid_client","error_description":"AADSTS700213: No.\r\nTrace ID: x","error_codes":[700213]}`,
		`{"error_codes":[70021],"error_description":"{client}{profile}"}`, `{"error_codes":["x"]}`, `{"error":{"code":"Forbidden","message":"m","innererror":{"code":"SecretDisabled"}}}`,
		`{"error":{"code":"` + sent + `","message":"` + sent + `"},"error_description":"` + sent + `","error_codes":[1]}`, `{"error":{"code":"SecretNotFound"}}`, `{"error":{"code":"Throttled"}}`,
	} {
		for _, status := range []int{200, 400, 401, 403, 404, 503} {
			f.Add(status, body, `Bearer authorization="https://login.microsoftonline.com/72f988bf", resource="https://vault.azure.net"`)
		}
	}
	f.Add(401, `{"error":{"code":"Unauthorized"}}`, `Bearer authorization="https://login.microsoftonline.com/../evil`)
	f.Fuzz(func(t *testing.T, status int, body, challenge string) {
		clock := sandbox.NewClock(time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC))
		c := cloud.Client{
			Ask: func(r *http.Request) (*http.Response, []byte, error) {
				if host := r.URL.Hostname(); host != "login.microsoftonline.com" && host != "kv.vault.azure.net" {
					t.Errorf("%s was asked", host)
				}
				return &http.Response{StatusCode: status, Header: http.Header{"Www-Authenticate": {challenge}}}, []byte(body), nil
			},
			Patience: time.Minute, Now: clock.Now, Sleep: clock.Sleep,
		}
		a := idp.Token{Raw: secret.New(sent), Issuer: "https://issuer.example", Subject: "s", Audience: []string{"a"}, Expires: clock.Now().Add(time.Hour)}
		started := clock.Now()
		token, err1 := azure.FederatedToken(t.Context(), c, "t", "c", a, azure.VaultScope)
		if waited := clock.Now().Sub(started); waited > time.Minute {
			t.Errorf("waited %v", waited)
		}
		if err1 == nil && (token.Value.Empty() || !token.Expires.After(started) || strings.ContainsAny(token.Value.Reveal(), " \n\x00")) {
			t.Errorf("%q: a token that is of no use, until %v", body, token.Expires)
		}
		value, err2 := azure.VaultSecret(t.Context(), c, secret.New(sent), "kv", "db")
		for i, err := range []error{err1, err2} {
			if err == nil {
				continue
			}
			var failed *failure.Error
			if !errors.As(err, &failed) || len(failed.Lines) > 3 || i == 1 && !value.Empty() || failed.Exit != failure.ExitAWS && failed.Exit != failure.ExitNetwork {
				t.Fatalf("%d %q: %v", status, body, err)
			}
			for _, line := range failed.Lines {
				if len(line) > 1000 || strings.Contains(line, sent[:40]) || strings.Contains(line, "{said}") && !strings.Contains(body, "{said}") {
					t.Errorf("%d %q: %q", status, body, line)
				}
			}
		}
	})
}
