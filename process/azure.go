package process

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/amazon"
	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

// federationAudience is the audience that Entra ID recommends for assertions.
//
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
const federationAudience = "api://AzureADTokenExchange"

// AzureToken returns an access token of Entra ID for the scope, for the role's
// credentials: the cached one while it is fresh. It is kept in the form of role
// credentials, and renewed by their rules. With [profile.ViaIMDS] it is the machine's
// own, which the machine caches itself.
func (p *Pipeline) AzureToken(ctx context.Context, scope string) (token azure.Token, err error) {
	defer func() { err = p.Fill(err) }()
	if err := p.withoutAzure(); err != nil {
		return token, err
	}
	if p.Profile.Azure.Via == profile.ViaIMDS {
		return p.managedIdentity(ctx, scope)
	}
	r, err := p.inAzure(scope).currentRole(ctx, p.Now(), ForSDK, asking)
	if err != nil {
		return token, err
	}
	return azure.Token{Value: r.SecretAccessKey.String, Expires: r.Expires}, nil
}

// inAzure is the pipeline of a token for the scope: one link beyond the role's. It is a
// copy, for p may be fetching secrets of AWS at the same time.
func (p *Pipeline) inAzure(scope string) *Pipeline {
	link := *p
	link.scope = scope
	return &link
}

// withoutAzure is the failure of a profile that does not use Azure.
func (p *Pipeline) withoutAzure() error {
	if p.Profile.Azure.Via != "" {
		return nil
	}
	return failure.New(failure.ExitUsage, nil, "profile {profile} does not say how to sign in to Azure.",
		"Set daypass_azure_tenant and daypass_azure_client_id in it; on a virtual machine of Azure, daypass_azure_via = imds.")
}

// CheckAssertion returns what [Pipeline.Assertion] would fail with before it asks
// anybody.
func (p *Pipeline) CheckAssertion() error {
	if p.Profile.Azure.Via == profile.ViaIMDS {
		return failure.New(failure.ExitUsage, nil, "--azure is not needed with daypass_azure_via = imds: Azure's libraries find the managed identity themselves.", "Leave --azure out.")
	}
	return p.Fill(p.withoutAzure())
}

// tradeForAzure returns what trades the role's credentials for a token, in the form in
// which that is kept.
func (p *Pipeline) tradeForAzure(scope string) func(context.Context, *role) (*role, error) {
	return func(ctx context.Context, by *role) (*role, error) {
		token, err := p.exchange(ctx, p.credentials(by), scope)
		return &role{
			Mark: by.Mark, Issued: wall(p.Now()), Expires: wall(token.Expires),
			AccessKeyID: p.Profile.Azure.ClientID, SecretAccessKey: secret.Keep(token.Value),
		}, err
	}
}

// exchange trades the role's credentials for an access token.
func (p *Pipeline) exchange(ctx context.Context, c Credentials, scope string) (azure.Token, error) {
	assertion, err := p.Assertion(ctx, c)
	if err != nil {
		return azure.Token{}, err
	}
	token, err := azure.FederatedToken(ctx, p.azure(), p.Profile.Azure.Tenant, p.Profile.Azure.ClientID, assertion, scope)
	p.debug("get a token of Azure", "scope", scope, "ok", err == nil)
	return token, err
}

// Assertion returns a token by which Azure's own libraries prove who they are, for
// the role's credentials.
func (p *Pipeline) Assertion(ctx context.Context, c Credentials) (assertion idp.Token, err error) {
	defer func() {
		p.debug("get an assertion", "via", p.Profile.Azure.Via, "ok", err == nil)
		err = p.Fill(err)
	}()
	var raw secret.String
	if a := p.Profile.Azure; a.Via == profile.ViaCognito {
		var client amazon.Client
		if client, err = p.amazon(c); err == nil {
			raw, err = client.DeveloperToken(ctx, a.CognitoPool, a.CognitoProvider, a.CognitoUser)
		}
	} else {
		raw, err = p.webIdentityToken(ctx, c)
	}
	if err != nil {
		return assertion, err
	}
	if assertion, err = idp.Parse(raw); err != nil || !assertion.Expires.After(p.Now()) {
		return idp.Token{}, failure.New(failure.ExitNetwork, err, "AWS gave no token for Azure that can be used.",
			"Is there a proxy or a login page in between? And is this machine's clock right?")
	}
	return assertion, nil
}

// webIdentityToken has AWS STS sign a token for the role. It may not outlive the
// session that asks for it.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
func (p *Pipeline) webIdentityToken(ctx context.Context, c Credentials) (secret.String, error) {
	client, err := p.stsClient(ctx, c)
	if err != nil {
		return secret.String{}, err
	}
	const margin = 5 * time.Second                                          // on the way, and for clocks
	life := max(time.Minute, min(time.Hour, c.Expires.Sub(p.Now())-margin)) // what AWS allows
	output, err := client.GetWebIdentityToken(ctx, &sts.GetWebIdentityTokenInput{
		Audience: []string{federationAudience}, SigningAlgorithm: aws.String("RS256"), DurationSeconds: aws.Int32(int32(life / time.Second)),
	})
	if err != nil {
		return secret.String{}, p.explain(ctx, &login{IDToken: secret.Keep(c.SessionToken)}, asBadAnswer(err), assertionRefusals(), "")
	}
	return secret.New(aws.ToString(output.WebIdentityToken)), nil
}

// assertionRefusals are tried in order; the first that matches counts.
func assertionRefusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "OutboundWebIdentityFederationDisabled", Lines: []string{
			"account {account} does not let its roles prove themselves outside of AWS: outbound web identity federation is off.",
			"AWS admin, once for the account: aws iam enable-outbound-web-identity-federation"}},
		{Codes: "AccessDenied", Lines: []string{
			"role {role} may not get a token for Azure ({code}).", "Its policies must allow sts:GetWebIdentityToken, and no service control policy may deny it."}},
		{Codes: "SessionDurationEscalation", Lines: []string{
			"AWS says that the token for Azure would outlive the session of profile {profile} ({code}).", "Is this machine's clock right? See: daypass doctor{flag}"}},
		{Lines: []string{"AWS refuses a token for Azure to role {role} ({code}, status {status}).", "The text in brackets is AWS's."}},
	}
}

// managedIdentity asks this machine for a token.
func (p *Pipeline) managedIdentity(ctx context.Context, scope string) (azure.Token, error) {
	resource, all := strings.CutSuffix(scope, "/.default")
	if !all {
		return azure.Token{}, failure.New(failure.ExitUsage, nil, fmt.Sprintf("a managed identity has no token for the scope %q alone.", scope),
			"Give --resource, or a scope that ends in /.default.")
	}
	transport, _ := p.metadata("azure-imds") // only GitHub's can fail
	return azure.ManagedIdentityToken(ctx, p.cloud(transport), p.Profile.Azure.Identity, resource)
}

// cloud is the client for a service of a cloud.
func (p *Pipeline) cloud(transport http.RoundTripper) cloud.Client {
	return cloud.Client{
		Ask: asker(newClient(p.noted(transport))), Patience: p.Profile.IDP.ProcessTimeout, Getenv: p.Getenv, Now: p.Now, Sleep: p.Sleep,
	}
}

// azure is the client for Entra ID and Key Vault.
func (p *Pipeline) azure() cloud.Client {
	if p.Clouds != nil {
		return p.cloud(p.Clouds)
	}
	transport, _ := NewTransport("") // it reads no file
	return p.cloud(transport)
}

// AWS is the client for a service of AWS.
func (p *Pipeline) AWS() (cloud.Client, error) {
	transport, err := awsTransport(p.Profile)
	return p.cloud(transport), p.Fill(err)
}

// amazon is the client for AWS services, with the role's credentials.
func (p *Pipeline) amazon(c Credentials) (amazon.Client, error) {
	client, err := p.AWS()
	signer, _ := c.Retrieve(context.Background()) // it has them
	return amazon.Client{Client: client, Credentials: signer, Profile: p.Profile}, err
}

// TryAzure gets a token for Key Vault with the current login, whatever is cached, and
// drops it.
func (p *Pipeline) TryAzure(ctx context.Context) (until time.Time, err error) {
	var token azure.Token
	if p.Profile.Azure.Via == profile.ViaIMDS {
		token, err = p.managedIdentity(ctx, azure.VaultScope)
	} else {
		var r *role
		if r, err = p.tryRole(ctx); err == nil {
			token, err = p.exchange(ctx, p.credentials(r), azure.VaultScope)
		}
	}
	return token.Expires, p.Fill(err)
}
