package process

import (
	"strings"
	"testing"

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

// Without a sub, the notes say whom the policy lets in; that is more people at
// some providers than at others. The documents are on the pages of docs/providers.
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
		p := corp(t, func(p *profile.Profile) { p.IDP.Issuer, p.Partition = c.issuer, "aws-us-gov" })
		open, err := p.TrustPolicy(t.Context(), "")
		must(t, err)
		if strings.HasPrefix(open.Provider, "arn:aws-us-gov:iam::111122223333:oidc-provider/") == open.BuiltIn {
			t.Errorf("%s: %s", c.issuer, open.Provider)
		}
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
	_, err := w.pipeline().TrustPolicy(w.ctx(), OwnSub)
	w.failsWith(err, failure.ExitLogin, "there is no login to take the sub claim from.")
	w.mustLogin(false)
	requests := w.box.Count("")
	policy, err := w.pipeline().TrustPolicy(w.ctx(), "")
	if err != nil || strings.Contains(strings.Join(policy.Notes, "\n"), "configuration alone") {
		t.Fatalf("%q, %v", policy.Notes, err)
	}
	allows := func(actions string) bool {
		return strings.Contains(strings.Join(strings.Fields(string(policy.Document)), " "), `"Action": [ `+actions+` ]`)
	}
	if !allows(`"sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"`) {
		t.Errorf("%s", policy.Document)
	}
	must(t, w.box.Trust(w.box.RoleARN, string(policy.Document)))
	// A source identity goes on to a chained role, and tags that are transitive do.
	chained := func(p *Pipeline) { hub := p.Profile; p.Profile.Source, p.Profile.ExternalID = &hub, "ours" }
	policy, err = w.pipeline(chained).TrustPolicy(w.ctx(), "")
	must(t, err)
	if !allows(`"sts:AssumeRole", "sts:SetSourceIdentity"`) || !strings.Contains(policy.Notes[0], "sts:AssumeRole, sts:SetSourceIdentity") {
		t.Errorf("%s, %q", policy.Document, policy.Notes)
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
