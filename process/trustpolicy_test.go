package process

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

// corp is a pipeline for a profile in a company's account; nothing of it is called.
func corp(t *testing.T, change func(*profile.Profile)) *Pipeline {
	return newWorld(t, sandbox.Options{}).pipeline(func(p *Pipeline) {
		p.Profile.IDP.Issuer, p.Profile.IDP.ClientID = "https://corp.eu.auth0.com/", "J1oXg0"
		change(&p.Profile)
	})
}

// statement is what a trust policy allows: principal and condition keys, with
// their values, and the actions.
func statement(t *testing.T, p TrustPolicy) (match map[string]any, action any) {
	t.Helper()
	var document struct {
		Version   string
		Statement []struct {
			Effect    string
			Action    any
			Principal map[string]any
			Condition map[string]map[string]any
		}
	}
	must(t, json.Unmarshal(p.Document, &document))
	if document.Version != "2012-10-17" || len(document.Statement) != 1 || document.Statement[0].Effect != "Allow" || len(document.Statement[0].Condition) != 1 {
		t.Fatalf("%s", p.Document)
	}
	match = document.Statement[0].Principal
	for key, value := range document.Statement[0].Condition["StringEquals"] {
		match[key] = value
	}
	return match, document.Statement[0].Action
}

func TestTrustPolicyDocument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*profile.Profile)
		sub    string
		want   map[string]any
	}{
		{"the trailing slash counts", func(*profile.Profile) {}, "",
			map[string]any{"Federated": "arn:aws:iam::111122223333:oidc-provider/corp.eu.auth0.com/", "corp.eu.auth0.com/:aud": "J1oXg0"}},
		{"a path, and another partition", func(p *profile.Profile) {
			p.IDP.Issuer, p.Partition = "https://sso.corp/realms/r", "aws-us-gov"
		}, "", map[string]any{"Federated": "arn:aws-us-gov:iam::111122223333:oidc-provider/sso.corp/realms/r", "sso.corp/realms/r:aud": "J1oXg0"}},
		{"one user", func(*profile.Profile) {}, "auth0|64f0c2", map[string]any{"Federated": "arn:aws:iam::111122223333:oidc-provider/corp.eu.auth0.com/",
			"corp.eu.auth0.com/:aud": "J1oXg0", "corp.eu.auth0.com/:sub": "auth0|64f0c2"}},
		{"Google is built in", func(p *profile.Profile) { p.IDP.Issuer = "https://accounts.google.com" }, "10769150350006150715113082367",
			map[string]any{"Federated": "accounts.google.com", "accounts.google.com:aud": "J1oXg0", "accounts.google.com:oaud": "J1oXg0",
				"accounts.google.com:sub": "10769150350006150715113082367"}},
	} {
		policy, err := corp(t, c.change).TrustPolicy(t.Context(), c.sub)
		must(t, err)
		got, action := statement(t, policy)
		if diff := cmp.Diff(c.want, got); diff != "" || action != "sts:AssumeRoleWithWebIdentity" {
			t.Errorf("%s: want -, got +:\n%s\n%s", c.name, diff, policy.Document)
		}
	}
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
	t.Parallel()
	for _, c := range []struct{ issuer, want string }{
		{"https://corp.eu.auth0.com/", "If sign-up or a social login is on there, that is everybody."},
		{"https://corp.okta.com", "every user of corp.okta.com who can log in to client J1oXg0."},
		{"https://accounts.google.com", "everybody with a Google account whom the consent screen of client J1oXg0 admits."},
		{"https://gitlab.com", "IAM may refuse a policy for gitlab.com without :sub."},
		{"https://login.microsoftonline.com/8f1c3c7e-0000-4000-8000-000000000000/v2.0", "every user and guest of the Entra tenant"},
		{"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", "everybody with a personal Microsoft account."},
		{"https://sso.corp:8443/realms/r", "IAM accepts only an https issuer without a port number, so not this one."},
	} {
		p := corp(t, func(p *profile.Profile) { p.IDP.Issuer = c.issuer })
		open, err := p.TrustPolicy(t.Context(), "")
		must(t, err)
		notes := strings.Join(strings.Fields(strings.Join(open.Notes, " ")), " ")
		if !strings.Contains(notes, "WARNING: without --sub this lets in every") || !strings.Contains(notes, c.want) || !strings.Contains(notes, "Run: daypass login --profile dev") {
			t.Errorf("%s:\n%s", c.issuer, notes)
		}
		if closed, err := p.TrustPolicy(t.Context(), "someone"); err != nil || strings.Contains(strings.Join(closed.Notes, "\n"), "WARNING") {
			t.Errorf("%s for one user: %v, %v", c.issuer, closed.Notes, err)
		}
	}
}

// A login tells which permissions its token needs; nobody is asked for that, nor
// is a keyring needed for a policy.
func TestTrustPolicyOfALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Claims: map[string]any{"https://aws.amazon.com/tags/principal_tags/team": "a", "https://aws.amazon.com/source_identity": "taro"}})
	_, err := w.pipeline().Subject(w.ctx())
	w.failsWith(err, failure.ExitLogin, "there is no login to take the sub claim from.")
	w.mustLogin(false)
	requests := w.box.Count("")
	policy, err := w.pipeline().TrustPolicy(w.ctx(), "")
	if err != nil || strings.Contains(strings.Join(policy.Notes, "\n"), "configuration alone") {
		t.Fatalf("%q, %v", policy.Notes, err)
	}
	_, actions := statement(t, policy)
	if diff := cmp.Diff(any([]any{"sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"}), actions); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	must(t, w.box.Trust(w.box.RoleARN, string(policy.Document)))
	// A source identity goes on to a chained role, and tags that are transitive do.
	chained := func(p *Pipeline) { hub := p.Profile; p.Profile.Source, p.Profile.ExternalID = &hub, "ours" }
	policy, err = w.pipeline(chained).TrustPolicy(w.ctx(), "")
	must(t, err)
	if _, actions := statement(t, policy); !cmp.Equal(actions, any([]any{"sts:AssumeRole", "sts:SetSourceIdentity"})) || !strings.Contains(policy.Notes[0], "sts:AssumeRole, sts:SetSourceIdentity") {
		t.Errorf("%v, %q", actions, policy.Notes)
	}
	if w.box.Count("") != requests {
		t.Error("the provider was asked")
	}
	w.mustRun(w.spoke("spoke"))
	for _, sub := range []string{"taro\nnaoko", "\x1b[2J", "t\u00e4ro"} {
		_, err := w.pipeline().TrustPolicy(w.ctx(), sub)
		w.failsWith(err, failure.ExitUsage, "holds characters that are not printable ASCII")
	}
}
