package process

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

// corp is a provider for a profile in a company's account; nothing of it is called.
func corp(t *testing.T, change func(*profile.Profile)) *Provider {
	w := newWorld(t, sandbox.Options{})
	return w.provider(func(p *Provider) {
		p.Profile.IDP.Issuer, p.Profile.IDP.ClientID = "https://corp.eu.auth0.com/", "J1oXg0"
		if change != nil {
			change(&p.Profile)
		}
	})
}

func TestTrustPolicyDocument(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*profile.Profile)
		sub    string
		want   map[string]any // principal, and condition keys with values
	}{
		{"the trailing slash counts", nil, "",
			map[string]any{"Federated": "arn:aws:iam::111122223333:oidc-provider/corp.eu.auth0.com/", "corp.eu.auth0.com/:aud": "J1oXg0"}},
		{"a path, and another partition", func(p *profile.Profile) {
			p.IDP.Issuer, p.Partition = "https://sso.corp/realms/r", "aws-us-gov"
		}, "", map[string]any{"Federated": "arn:aws-us-gov:iam::111122223333:oidc-provider/sso.corp/realms/r", "sso.corp/realms/r:aud": "J1oXg0"}},
		{"one user", nil, "auth0|64f0c2", map[string]any{"Federated": "arn:aws:iam::111122223333:oidc-provider/corp.eu.auth0.com/",
			"corp.eu.auth0.com/:aud": "J1oXg0", "corp.eu.auth0.com/:sub": "auth0|64f0c2"}},
		{"Google is built in", func(p *profile.Profile) { p.IDP.Issuer = "https://accounts.google.com" }, "10769150350006150715113082367",
			map[string]any{"Federated": "accounts.google.com", "accounts.google.com:aud": "J1oXg0", "accounts.google.com:oaud": "J1oXg0",
				"accounts.google.com:sub": "10769150350006150715113082367"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy, err := corp(t, test.change).TrustPolicy(t.Context(), test.sub)
			if err != nil {
				t.Fatal(err)
			}
			var document struct {
				Version   string
				Statement []struct {
					Effect, Action string
					Principal      map[string]any
					Condition      map[string]map[string]any
				}
			}
			if err := json.Unmarshal(policy.Document, &document); err != nil {
				t.Fatal(err)
			}
			if document.Version != "2012-10-17" || len(document.Statement) != 1 || len(document.Statement[0].Condition) != 1 {
				t.Fatalf("%s", policy.Document)
			}
			statement := document.Statement[0]
			got := statement.Principal
			for key, value := range statement.Condition["StringEquals"] {
				got[key] = value
			}
			if diff := cmp.Diff(test.want, got); diff != "" || statement.Effect != "Allow" || statement.Action != "sts:AssumeRoleWithWebIdentity" {
				t.Errorf("want -, got +:\n%s\n%s", diff, policy.Document)
			}
		})
	}
}

func TestTrustPolicyNamesTheRole(t *testing.T) {
	policy, err := corp(t, func(p *profile.Profile) {
		p.RoleARN, p.RoleName, p.Duration = "arn:aws:iam::111122223333:role/people/eu/Developer", "Developer", 12*time.Hour
	}).TrustPolicy(t.Context(), "")
	if err != nil || policy.RolePath != "/people/eu/" || policy.RoleName != "Developer" || policy.MaxSession != 12*time.Hour {
		t.Errorf("%+v, %v", policy, err)
	}
}

// Without a sub, the notes say whom the policy lets in; that is more people at
// some providers than at others.
func TestTrustPolicyWarns(t *testing.T) {
	for _, test := range []struct{ issuer, want string }{
		{"https://corp.eu.auth0.com/", "Where sign-up or a social login is on there, that is everybody."},
		{"https://corp.okta.com", "every user of corp.okta.com who can"},
		{"https://accounts.google.com", "everybody with a Google account"},
		{"https://gitlab.com", "IAM may refuse a policy for gitlab.com without :sub."},
		{"https://login.microsoftonline.com/8f1c3c7e-0000-4000-8000-000000000000/v2.0", "and guest of the Entra tenant"},
		{"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", "with a personal Microsoft account."},
		{"https://sso.corp:8443/realms/r", "IAM takes only an https issuer without a port number"},
	} {
		p := corp(t, func(p *profile.Profile) { p.IDP.Issuer = test.issuer })
		open, err := p.TrustPolicy(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(open.Notes, "\n")
		if !strings.Contains(notes, "WARNING: without --sub this lets in every") || !strings.Contains(notes, test.want) || !strings.Contains(notes, "daypass login --profile dev") {
			t.Errorf("%s:\n%s", test.issuer, notes)
		}
		for _, line := range open.Notes {
			if len("daypass: "+line) > 80 {
				t.Errorf("a line of %d columns: %s", len("daypass: "+line), line)
			}
		}
		closed, err := p.TrustPolicy(t.Context(), "someone")
		if err != nil || strings.Contains(strings.Join(closed.Notes, "\n"), "WARNING") {
			t.Errorf("%s for one user: %v, %v", test.issuer, closed.Notes, err)
		}
	}
}

func TestTrustPolicyKnowsTheTokensClaims(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		claims map[string]any
		want   any
	}{
		{"none", nil, "sts:AssumeRoleWithWebIdentity"},
		{"nested tags", map[string]any{tagsClaim: map[string]any{"principal_tags": map[string]any{"team": []string{"a"}}}},
			[]any{"sts:AssumeRoleWithWebIdentity", "sts:TagSession"}},
		{"flat tags and a source identity", map[string]any{tagsClaim + "/principal_tags/team": "a", sourceIdentityClaim: "taro"},
			[]any{"sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"}},
		{"a claim of a like name", map[string]any{tagsClaim + "_not": "a"}, "sts:AssumeRoleWithWebIdentity"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Claims: test.claims})
			p := w.provider()
			if _, err := p.Login(w.ctx(), false); err != nil {
				t.Fatal(err)
			}
			requests := w.box.Count("")
			policy, err := p.TrustPolicy(w.ctx(), "")
			if err != nil {
				t.Fatal(err)
			}
			var document struct{ Statement []struct{ Action any } }
			if err := json.Unmarshal(policy.Document, &document); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, document.Statement[0].Action); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if notes := strings.Join(policy.Notes, "\n"); strings.Contains(notes, "configuration alone") {
				t.Errorf("after a login:\n%s", notes)
			}
			if w.box.Count("") != requests {
				t.Error("it asked the network")
			}
			sub, err := p.Subject(w.ctx())
			if err != nil || sub != "sandbox|taro" {
				t.Errorf("subject %q, %v", sub, err)
			}
		})
	}
}

func TestTrustPolicyRefusesWhatNoPolicyCompares(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	for _, sub := range []string{"taro\nnaoko", "\x1b[2J", "t\u00e4ro"} {
		_, err := w.provider().TrustPolicy(w.ctx(), sub)
		w.failsWith(err, failure.ExitUsage, "holds characters that are not printable ASCII")
	}
}

// lockedStore is a keyring that nobody has unlocked.
type lockedStore struct{ cache.Store }

func (lockedStore) Get(context.Context, string) ([]byte, error) {
	return nil, &cache.UnreachableError{Where: "Secret Service", Locked: true, Err: errors.New("it may hold the record")}
}

func TestTrustPolicyNeedsNoKeyring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	p := w.provider(func(p *Provider) { p.Store = lockedStore{p.Store} })
	if policy, err := p.TrustPolicy(w.ctx(), ""); err != nil || len(policy.Document) == 0 {
		t.Errorf("%v", err)
	}
	_, err := p.Subject(w.ctx())
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
}
