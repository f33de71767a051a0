package deviceflow

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiagnoseTellsWhatTheProviderPublishes(t *testing.T) {
	p := newIDP(t)
	p.document["id_token_signing_alg_values_supported"] = []string{"HS256", "ES384", "PS256"}
	f := p.remembering()
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.document["device_authorization_endpoint"] = "https://corp.example/moved"
	d, err := f.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Diagnosis{
		Host: "corp.example", Answered: true,
		DeviceAuthorizationEndpoint: "https://corp.example/moved", // not what is remembered
		SigningAlgorithms:           []string{"HS256", "ES384", "PS256"}, STSAlgorithms: []string{"ES384"},
		Scopes: []string{"openid", "email", "offline_access"}, RequestedScopes: []string{"openid", "email", "offline_access"},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if got := p.paths(); got != "configuration configuration" {
		t.Errorf("requests: %s", got)
	}
	if _, err := f.Authorize(t.Context()); err == nil || p.last("/moved") == nil {
		t.Errorf("the document of the diagnosis is not used any further: %v", err)
	}
}

// What is known of the clock is known whatever else is wrong.
func TestDiagnoseComparesClocks(t *testing.T) {
	document := `{"issuer":"https://corp.example/","token_endpoint":"https://corp.example/token"}`
	for _, test := range []struct {
		name   string
		answer reply
		want   Diagnosis
	}{
		{"ahead of us", withHeader(ok(document), "Date", noon.Add(10*time.Minute).Format(http.TimeFormat)), Diagnosis{Answered: true, Skew: 10 * time.Minute, SkewKnown: true}},
		{"behind us", withHeader(status(503, ""), "Date", noon.Add(-time.Hour).Format(http.TimeFormat)), Diagnosis{Answered: true, Skew: -time.Hour, SkewKnown: true}},
		{"no time", ok(document), Diagnosis{Answered: true}},
		{"no time either", withHeader(ok(document), "Date", "yesterday"), Diagnosis{Answered: true}},
		{"nobody", reply{err: errors.New("EOF")}, Diagnosis{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will(wellKnown, test.answer)
			d, err := p.flow().Diagnose(t.Context())
			if err == nil {
				t.Fatal("accepted")
			}
			test.want.Host = "corp.example"
			if diff := cmp.Diff(test.want, d); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
