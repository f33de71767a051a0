package workload

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// Whatever a source holds is a token that can be sent, or a failure of two lines that
// does not show it. The sources themselves are tested in package process.
func FuzzToken(f *testing.F) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoicyIsImF1ZCI6ImEiLCJpYXQiOjE3OTUzMzgwMDAsImV4cCI6MTc5NTM0MTYwMH0.c2ln"
	for _, seed := range []string{"", token, " " + token + "\n", token + "\x00", "e30.e30.e30", "hunter2hunter2hunter2", `{"value":"` + token + `"}`, `{"value":7}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := cloud.Client{
			Getenv: func(name string) string {
				return map[string]string{"CI_TOKEN": text, "ACTIONS_ID_TOKEN_REQUEST_URL": "https://github.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}[name]
			},
			Ask: func(*http.Request) (*http.Response, []byte, error) {
				return &http.Response{StatusCode: http.StatusOK}, []byte(text), nil
			},
			Now: func() time.Time { return now },
		}
		for _, source := range []string{"env:CI_TOKEN", "github-actions", "gcp-metadata"} {
			got, err := Token(t.Context(), c, profile.IDP{Source: source})
			if err != nil {
				if failed := failure.From(err); len(failed.Lines) != 2 || len(text) > 30 && strings.Contains(failed.Error(), text) {
					t.Errorf("%s, %q: %v", source, text, err)
				}
			} else if got.Issuer == "" || got.Subject == "" || !got.Expires.Add(leeway).After(now) || strings.ContainsFunc(got.Raw.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%s, %q: %+v", source, text, got)
			}
		}
	})
}
