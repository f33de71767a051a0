package process

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
)

// TrustPolicy is what an AWS account needs so that the profile's login can take
// the profile's role: an IAM identity provider and a role that trusts it.
type TrustPolicy struct {
	// Document is the role's trust policy: JSON, indented, with a final line feed.
	Document []byte

	Admits   string // whom the policy lets in, as in "logins of client C"
	Issuer   string // URL of the IAM identity provider
	ClientID string // its audience
	Provider string // its ARN, or a host name where BuiltIn
	BuiltIn  bool   // AWS knows the provider, or the role needs none: none is to be created

	// Notes are for the admin, above all whom the policy lets in: each is one line of
	// printable ASCII.
	Notes []string
}

// OwnSub stands for the sub claim of the current login. No provider has such a subject.
const OwnSub = "the login's"

// TrustPolicy returns what AWS needs for the profile, from the configuration and, if
// there is a login, from the claims of its ID token. sub lets in one user alone; "" is
// everybody who can log in to the client. It uses no network and no prompt, except
// that it fetches a workload's token, whose claims are pinned; sub takes the place of
// the token's.
func (p *Pipeline) TrustPolicy(ctx context.Context, sub string) (TrustPolicy, error) {
	var token idp.Token
	var err error
	if p.Profile.Source == nil || !p.isWorkload() { // a workload's token is for the first role alone
		token, err = p.knownToken(ctx)
	}
	known := err == nil
	if sub == OwnSub {
		switch sub = token.Subject; {
		case err != nil && !notThere(err):
			return TrustPolicy{}, p.Fill(p.keyringFailure(ctx, err))
		case sub == "":
			return TrustPolicy{}, p.Fill(failure.New(failure.ExitLogin, err, "there is no login to take the sub claim from.",
				"Give it: --sub=SUBJECT. Or run: daypass login{flag}"))
		}
	}
	issuer, client, audience := p.Profile.IDP.Issuer, p.Profile.IDP.ClientID, p.Profile.IDP.ClientID
	if p.isWorkload() {
		if err != nil {
			return TrustPolicy{}, p.Fill(err)
		}
		issuer, client, audience = token.Issuer, audienceAtAWS(token), strings.Join(token.Audience, ",")
		sub = cmp.Or(sub, token.Subject)
	}
	for _, value := range []struct{ what, text string }{{"issuer", issuer}, {"client_id", client}, {"aud", audience}, {"sub", sub}} {
		// OpenID Connect Core section 2 has sub in ASCII; IAM has all three.
		if strings.ContainsFunc(value.text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return TrustPolicy{}, p.Fill(failure.New(failure.ExitUsage, nil, fmt.Sprintf("%s %q holds characters that are not printable ASCII.", value.what, value.text),
				"No trust policy can compare it. Check "+value.what+" with whoever runs {host}."))
		}
	}
	var t TrustPolicy
	var actions []string
	principal, condition := map[string]string{}, map[string]string{}
	if source := p.Profile.Source; source != nil {
		// The role of the source profile is let in, with what the login's token hands on
		// along the chain.
		actions = append([]string{"sts:AssumeRole"}, token.PassedActions()...)
		principal["AWS"] = source.RoleARN
		if p.Profile.ExternalID != "" {
			condition["sts:ExternalId"] = p.Profile.ExternalID
		}
		t = TrustPolicy{BuiltIn: true, Admits: "role " + source.RoleARN, Notes: []string{
			"Role " + source.RoleARN + " also needs " + strings.Join(actions, ", ") + " on this role, in its own permissions."}}
	} else {
		provider := idp.ProviderOf(issuer)
		_, host, _ := strings.Cut(issuer, "://") // with its path: a trailing slash counts
		t = TrustPolicy{Issuer: issuer, ClientID: client, BuiltIn: provider.BuiltIn, Admits: "logins of client " + client}
		t.Provider = "arn:" + p.Profile.Partition + ":iam::" + p.Profile.AccountID + ":oidc-provider/" + host
		// AWS compares azp if the token has it, else aud. Package idp accepts no token
		// whose azp is not the client, so it is the client's id either way.
		condition[host+":aud"] = client
		if provider.BuiltIn {
			t.Provider = host
			condition[host+":oaud"] = audience // Google's tokens have azp; oaud is their aud
		}
		actions = append([]string{"sts:AssumeRoleWithWebIdentity"}, token.AskedActions()...)
		principal["Federated"] = t.Provider
		if sub != "" {
			condition[host+":sub"] = sub
		} else {
			t.Notes = append(t.Notes, "WARNING: without --sub this lets in "+
				strings.NewReplacer("{host}", p.Names().Host, "{client}", p.Profile.IDP.ClientID).Replace(provider.Admits))
		}
		if u, err := url.Parse(issuer); err != nil || u.Scheme != "https" || u.Port() != "" {
			t.Notes = append(t.Notes, "IAM accepts only an https issuer without a port number, so not this one.")
		}
	}
	if !known {
		t.Notes = append(t.Notes, "This comes from the configuration alone: session tags and a source identity that the ID token may carry are known only after a login. Run: daypass login"+p.Names().Flag)
	}
	t.Document, err = trustDocument(principal, actions, condition)
	return t, err
}

// trustDocument is a trust policy of one statement, in the order in which people
// write it.
func trustDocument(principal map[string]string, actions []string, equal map[string]string) ([]byte, error) {
	type statement struct {
		Effect    string
		Principal map[string]string
		Action    any                          // one action or a list of them
		Condition map[string]map[string]string `json:",omitempty"`
	}
	only := statement{Effect: "Allow", Principal: principal, Action: actions}
	if len(actions) == 1 {
		only.Action = actions[0]
	}
	if len(equal) > 0 {
		only.Condition = map[string]map[string]string{"StringEquals": equal}
	}
	document, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{only}}, "", "  ")
	return append(document, '\n'), err
}
