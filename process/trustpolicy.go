package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
)

// googleIssuer is the one provider for people that IAM knows without being told.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc.html
const googleIssuer = "https://accounts.google.com"

// TrustPolicy is what an AWS account needs so that the profile's login can take
// the profile's role: an IAM identity provider and a role that trusts it.
type TrustPolicy struct {
	// Document is the role's trust policy: JSON, indented, with a final line feed.
	Document []byte

	Issuer   string // URL of the IAM identity provider
	ClientID string // its audience
	Provider string // its ARN, or a host name where BuiltIn
	BuiltIn  bool   // AWS knows the provider: none is to be created

	AccountID  string
	RoleName   string
	RolePath   string        // begins and ends with "/"
	MaxSession time.Duration // that the role must allow; 1 h is what it allows by itself

	// Notes are for the admin, above all whom the policy lets in: lines of printable
	// ASCII. The first line of each note begins a sentence, the others are indented.
	Notes []string
}

// Subject returns the sub claim of the login that stands. There is no network and
// no prompt. Every error is a [*failure.Error].
func (p *Provider) Subject(ctx context.Context) (string, error) {
	l, err := p.readLogin(ctx)
	if err != nil && !notThere(err) {
		return "", p.keyringFailure(ctx, err)
	}
	if err != nil || l.Claims.Subject == "" {
		return "", failure.New(failure.ExitLogin, err, "there is no login to take the sub claim from.",
			"Give it: --sub=SUBJECT. Or run: "+p.loginCommand())
	}
	return l.Claims.Subject, nil
}

// TrustPolicy returns what AWS needs for the profile, from the configuration
// and, if there is a login, from the claims of its ID token. sub lets in one user
// alone; "" is everybody who can log in to the client. There is no network and no
// prompt. Every error is a [*failure.Error].
func (p *Provider) TrustPolicy(ctx context.Context, sub string) (TrustPolicy, error) {
	idp := p.Profile.IDP
	for _, value := range []struct{ what, text string }{{"issuer", idp.Issuer}, {"client_id", idp.ClientID}, {"sub", sub}} {
		// OpenID Connect Core section 2 has sub in ASCII; IAM has all three.
		if strings.ContainsFunc(value.text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return TrustPolicy{}, failure.New(failure.ExitUsage, nil, fmt.Sprintf("%s %q holds characters that are not printable ASCII.", value.what, value.text),
				"No trust policy can compare it. Check "+value.what+" with whoever runs "+p.host()+".")
		}
	}
	_, path, _ := strings.Cut(p.Profile.RoleARN, ":role/")
	_, host, _ := strings.Cut(idp.Issuer, "://") // with its path: a trailing slash counts
	t := TrustPolicy{
		Issuer: idp.Issuer, ClientID: idp.ClientID,
		Provider:  "arn:" + p.Profile.Partition + ":iam::" + p.Profile.AccountID + ":oidc-provider/" + host,
		AccountID: p.Profile.AccountID, RoleName: p.Profile.RoleName, RolePath: "/" + strings.TrimSuffix(path, p.Profile.RoleName),
		MaxSession: p.Profile.Duration,
	}
	// AWS compares azp where the token has it, else aud. deviceflow accepts no
	// token whose azp is not the client, so it is the client's id either way.
	condition := map[string]string{host + ":aud": idp.ClientID}
	if idp.Issuer == googleIssuer {
		t.BuiltIn, t.Provider = true, host
		condition[host+":oaud"] = idp.ClientID // Google's tokens have azp; oaud is their aud
	}
	if sub != "" {
		condition[host+":sub"] = sub
	}
	l, err := p.readLogin(ctx)
	actions := []string{"sts:AssumeRoleWithWebIdentity"}
	if err == nil {
		actions = append(actions, l.askedActions()...)
	}
	t.Notes = p.trustNotes(sub == "", err == nil)

	var action any = actions
	if len(actions) == 1 {
		action = actions[0]
	}
	t.Document, err = encodePolicy(policyDocument{
		Version: "2012-10-17",
		Statement: []policyStatement{{
			Effect: "Allow", Principal: map[string]string{"Federated": t.Provider}, Action: action,
			Condition: map[string]map[string]string{"StringEquals": condition},
		}},
	})
	if err != nil {
		return TrustPolicy{}, failure.From(err)
	}
	return t, nil
}

// policyDocument is a trust policy in the order in which people write one.
type policyDocument struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Effect    string
	Principal map[string]string
	Action    any // one action or a list of them
	Condition map[string]map[string]string
}

func encodePolicy(document policyDocument) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return b.Bytes(), err
}

// The claims with which a token asks for more than the role.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// askedActions are the actions that the role's trust policy must allow besides,
// because the login's ID token asks for them: a call with such a token is refused
// as a whole otherwise.
func (l *login) askedActions() []string {
	c, _, err := deviceflow.Inspect(l.IDToken.String)
	if err != nil {
		return nil
	}
	tagged := false
	for claim := range c.All {
		// Nested, or flat where the provider has no nested claims:
		// https://aws.amazon.com/tags/principal_tags/NAME
		tagged = tagged || claim == tagsClaim || strings.HasPrefix(claim, tagsClaim+"/")
	}
	var actions []string
	if tagged {
		actions = append(actions, "sts:TagSession")
	}
	if _, ok := c.All[sourceIdentityClaim]; ok {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// trustNotes are what an admin should know before the policy is used.
func (p *Provider) trustNotes(everybody, loggedIn bool) []string {
	var notes []string
	u, err := url.Parse(p.Profile.IDP.Issuer)
	if err != nil {
		u = &url.URL{Host: p.host()}
	}
	if everybody {
		notes = append(notes, "WARNING: without --sub this lets in "+p.admitted(u)[0])
		notes = append(notes, p.admitted(u)[1:]...)
	}
	if u.Scheme != "https" || u.Port() != "" {
		notes = append(notes, "IAM takes only an https issuer without a port number, so not this one.")
	}
	if !loggedIn {
		notes = append(notes, "This comes from the configuration alone: session tags and a source",
			"  identity that the ID token may carry are seen after a login.",
			"  Run: "+p.loginCommand())
	}
	return notes
}

// admitted says who can get a token for the client, where nothing but the
// provider itself holds people off. At a provider that serves the whole world
// this is more than the company.
func (p *Provider) admitted(issuer *url.URL) []string {
	const personalAccounts = "9188040d-6c67-4c5b-b112-36a304b66dad" // Entra's tenant of all of them
	client := "client " + p.Profile.IDP.ClientID
	switch host := strings.ToLower(issuer.Hostname()); {
	case host == "accounts.google.com":
		return []string{"everybody with a Google account",
			"  whom the consent screen of " + client + " admits.",
			"  User type External is the whole world."}
	case host == "gitlab.com":
		return []string{"every user of gitlab.com,",
			"  of any company. IAM may refuse a policy for gitlab.com without :sub."}
	case host == "login.microsoftonline.com" && strings.Contains(issuer.Path, personalAccounts):
		return []string{"everybody", "  with a personal Microsoft account."}
	case host == "login.microsoftonline.com" || host == "sts.windows.net":
		return []string{"every user", "  and guest of the Entra tenant, unless its enterprise application",
			"  demands an assignment."}
	case strings.HasSuffix(host, ".auth0.com"):
		return []string{"every user of " + issuer.Host + ".",
			"  Where sign-up or a social login is on there, that is everybody."}
	}
	return []string{"every user of " + p.host() + " who can", "  log in to " + client + "."}
}
