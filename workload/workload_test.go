package workload

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// Whatever a variable holds is a token that can be sent, or a failure of two lines
// that does not show it. The sources themselves are tested in package process.
func FuzzVariable(f *testing.F) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoicyIsImF1ZCI6ImEiLCJpYXQiOjE3OTUzMzgwMDAsImV4cCI6MTc5NTM0MTYwMH0.c2ln"
	for _, seed := range []string{"", "a.b", token, " " + token + "\n", "e30.e30.e30", "hunter2hunter2hunter2", token + "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := cloud.Client{Getenv: func(string) string { return text }, Now: func() time.Time { return now }}
		got, err := Token(t.Context(), c, profile.IDP{Source: "env:CI_TOKEN"})
		if err == nil {
			if got.Issuer == "" || got.Subject == "" || !got.Expires.After(now) || strings.ContainsFunc(got.Raw.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q: %+v", text, got)
			}
			return
		}
		failed := failure.From(err)
		if failed.Exit != failure.ExitUsage || len(failed.Lines) != 2 || !strings.Contains(failed.Lines[0], "CI_TOKEN") || len(text) > 30 && strings.Contains(failed.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
