package process

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/amazon"
	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

const (
	// federationAudience is the audience that Entra ID recommends for assertions.
	//
	// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
	federationAudience = "api://AzureADTokenExchange"
	// assertionLife is how long an assertion is good: as long as AWS allows.
	assertionLife = time.Hour
	// assertionLeast is the shortest life that AWS gives an assertion.
	assertionLeast = time.Minute
)

// AzureToken returns an access token of Entra ID for the scope: the cached one while it
// is fresh, else a new one for the role's credentials, which come from
// [Pipeline.Credentials]. With [profile.ViaIMDS] it is the machine's own, which the
// machine caches itself.
func (p *Pipeline) AzureToken(ctx context.Context, scope string) (azure.Token, error) {
	token, err := p.azureToken(ctx, scope)
	return token, p.Fill(err)
}

func (p *Pipeline) azureToken(ctx context.Context, scope string) (azure.Token, error) {
	if f := p.withoutAzure(); f != nil {
		return azure.Token{}, f
	}
	if p.Profile.Azure.Via == profile.ViaIMDS {
		return p.managedIdentity(ctx, scope)
	}
	started, name := p.Now(), p.azureName(scope)
	kept := p.readAzure(ctx, name)
	if kept.fresh(p.Now(), ForSDK) {
		return asToken(kept), nil
	}
	lock, err := p.wait(ctx, name, silently)
	if err != nil {
		return azure.Token{}, err
	}
	if lock != nil {
		defer lock.Unlock()
	}
	note := "note-" + name + ".json"
	if kept = p.readAzure(ctx, name); kept.fresh(p.Now(), ForSDK) || kept.issuedSince(started, p.Now()) {
		return asToken(kept), nil
	}
	if n := p.readNote(note); n.Exit != 0 && n.newerThan(started, p.Now()) {
		return azure.Token{}, n.failure() // as would happen to this one
	}
	token, err := p.newAzureToken(ctx, name, scope)
	if err == nil {
		p.dropNote(note)
		return token, nil
	}
	f := failure.From(err)
	if f.Exit != failure.ExitInterrupt && kept.usable(p.Now()) {
		return asToken(kept), nil
	}
	if f.Exit != failure.ExitInterrupt {
		p.putNote(note, p.readNote(note).ended(p.Now(), f))
	}
	return azure.Token{}, err
}

// withoutAzure is the failure of a profile that does not use Azure, or nil.
func (p *Pipeline) withoutAzure() *failure.Error {
	if p.Profile.Azure.Via != "" {
		return nil
	}
	return failure.New(failure.ExitUsage, nil, "profile {profile} does not say how to sign in to Azure.",
		"Set daypass_azure_tenant and daypass_azure_client_id in it; on a virtual machine of Azure, daypass_azure_via = imds.")
}

// CheckAssertion returns what [Pipeline.Assertion] would fail with before it asks
// anybody.
func (p *Pipeline) CheckAssertion() error {
	f := p.withoutAzure()
	if p.Profile.Azure.Via == profile.ViaIMDS {
		f = failure.New(failure.ExitUsage, nil, "--azure is not needed with daypass_azure_via = imds: Azure's libraries find the managed identity themselves.", "Leave --azure out.")
	}
	if f == nil {
		return nil
	}
	return p.Fill(f)
}

// newAzureToken gets a token, and keeps it if the login that it came from still exists.
func (p *Pipeline) newAzureToken(ctx context.Context, name, scope string) (azure.Token, error) {
	credentials, err := p.Credentials(ctx, ForSDK)
	if err != nil {
		return azure.Token{}, err
	}
	key, unread := p.Kept.Key(ctx)
	token, err := p.exchange(ctx, credentials, scope)
	if err != nil || unread != nil {
		return token, err
	}
	if now, err := p.Kept.Key(ctx); notThere(err) || err == nil && !now.Equal(key.String) {
		return azure.Token{}, loginGone()
	}
	err = seal(p.Kept, key, name, role{
		Version: formVersion, Issued: wall(p.Now()), Expires: wall(token.Expires), AccessKeyID: p.Profile.Azure.ClientID, SecretAccessKey: secret.Keep(token.Value),
	})
	p.debug("store the token of Azure", "ok", err == nil)
	return token, nil
}

// exchange trades the role's credentials for an access token.
func (p *Pipeline) exchange(ctx context.Context, c Credentials, scope string) (azure.Token, error) {
	assertion, err := p.assertion(ctx, c)
	if err != nil {
		return azure.Token{}, err
	}
	client, err := p.azure()
	if err != nil {
		return azure.Token{}, err
	}
	token, err := client.Token(ctx, azure.Application{Tenant: p.Profile.Azure.Tenant, ClientID: p.Profile.Azure.ClientID}, assertion, scope)
	p.debug("get a token of Azure", "scope", scope, "ok", err == nil)
	return token, err
}

// Assertion returns a token by which Azure's own libraries prove who they are, for
// the role's credentials.
func (p *Pipeline) Assertion(ctx context.Context, c Credentials) (azure.Assertion, error) {
	a, err := p.assertion(ctx, c)
	return a, p.Fill(err)
}

func (p *Pipeline) assertion(ctx context.Context, c Credentials) (azure.Assertion, error) {
	var raw secret.String
	var err error
	if p.Profile.Azure.Via == profile.ViaCognito {
		raw, err = p.developerToken(ctx, c)
	} else {
		raw, err = p.webIdentityToken(ctx, c)
	}
	p.debug("get an assertion", "via", p.Profile.Azure.Via, "ok", err == nil)
	if err != nil {
		return azure.Assertion{}, err
	}
	t, err := idp.Parse(raw)
	if err != nil || !t.Expires.After(p.Now()) {
		return azure.Assertion{}, p.explainAssertion(ctx, c, &badAnswer{"it holds no token that can be used"})
	}
	return azure.Assertion{Token: raw, Issuer: t.Issuer, Subject: t.Subject, Audience: strings.Join(t.Audience, ","), Expires: t.Expires}, nil
}

func (p *Pipeline) developerToken(ctx context.Context, c Credentials) (secret.String, error) {
	client, err := p.amazon(c)
	if err != nil {
		return secret.String{}, err
	}
	a := p.Profile.Azure
	return client.DeveloperToken(ctx, amazon.DeveloperIdentity{Pool: a.CognitoPool, Region: a.CognitoRegion, Provider: a.CognitoProvider, User: a.CognitoUser})
}

// webIdentityToken has AWS STS sign a token for the role. It may not outlive the
// session that asks for it.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
func (p *Pipeline) webIdentityToken(ctx context.Context, c Credentials) (secret.String, error) {
	client, err := p.stsClient(ctx, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal()}, nil
	}))
	if err != nil {
		return secret.String{}, err
	}
	const margin = 5 * time.Second // on the way, and for clocks
	life := max(assertionLeast, min(assertionLife, c.Expires.Sub(p.Now())-margin))
	output, err := client.GetWebIdentityToken(ctx, &sts.GetWebIdentityTokenInput{
		Audience: []string{federationAudience}, SigningAlgorithm: aws.String("RS256"), DurationSeconds: aws.Int32(int32(life / time.Second)),
	})
	if err != nil {
		return secret.String{}, p.explainAssertion(ctx, c, asBadAnswer(err))
	}
	return secret.New(aws.ToString(output.WebIdentityToken)), nil
}

// assertionRefusals are tried in order; the first that matches counts.
func assertionRefusals() []stsRefusal {
	const aws = failure.ExitAWS
	return []stsRefusal{
		{"OutboundWebIdentityFederationDisabled", "", aws, []string{
			"account {account} does not let its roles prove themselves outside of AWS: outbound web identity federation is off.",
			"AWS admin, once for the account: aws iam enable-outbound-web-identity-federation"}},
		{"AccessDenied", "", aws, []string{
			"role {role} may not get a token for Azure ({code}).", "Its policies must allow sts:GetWebIdentityToken, and no service control policy may deny it."}},
		{"SessionDurationEscalation", "", aws, []string{
			"AWS says that the token for Azure would outlive the session of profile {profile} ({code}).", "Is this machine's clock right? See: daypass doctor{flag}"}},
		{"", "", aws, []string{"AWS refuses a token for Azure to role {role} ({code}, status {status}).", "The text in brackets is AWS's."}},
	}
}

// explainAssertion explains why AWS STS gave no token for Azure.
func (p *Pipeline) explainAssertion(ctx context.Context, c Credentials, err error) *failure.Error {
	sent := &login{IDToken: secret.Keep(c.SessionToken)}
	return p.explain(ctx, sent, err, assertionRefusals(), func(string) string { return "" })
}

// managedIdentity asks this machine for a token.
func (p *Pipeline) managedIdentity(ctx context.Context, scope string) (azure.Token, error) {
	resource, all := strings.CutSuffix(scope, "/.default")
	if !all {
		return azure.Token{}, failure.New(failure.ExitUsage, nil, fmt.Sprintf("a managed identity has no token for the scope %q alone.", scope),
			"Give --resource, or a scope that ends in /.default.")
	}
	c, err := p.metadata()
	if err != nil {
		return azure.Token{}, err
	}
	return azure.ManagedIdentityToken(ctx, c, p.Profile.Azure.Identity, resource)
}

// azure is the client for Entra ID and Key Vault.
func (p *Pipeline) azure() (azure.Client, error) {
	transport := p.Clouds
	if transport == nil {
		t, err := NewTransport("")
		if err != nil {
			return azure.Client{}, err
		}
		transport = t
	}
	return azure.Client{
		Ask: asker(newClient(p.noted(transport), stsAnswerMax, stsRequestTime)), Patience: cmp.Or(p.Profile.IDP.ProcessTimeout, time.Minute), Now: p.Now, Sleep: p.Sleep,
	}, nil
}

// amazon is the client for AWS services, with the role's credentials.
func (p *Pipeline) amazon(c Credentials) (amazon.Client, error) {
	transport, err := AWSTransport(p.Profile)
	if err != nil {
		return amazon.Client{}, err
	}
	return amazon.Client{
		Ask:         asker(newClient(p.noted(transport), stsAnswerMax, stsRequestTime)),
		AccessKeyID: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Endpoint: func(service, region string) (string, error) { return p.Profile.ServiceURL(p.Getenv, service, region) },
		Now:      p.Now, Sleep: p.Sleep,
	}, nil
}

// TryAzure gets a token for Key Vault with the current login and drops it, as
// [Pipeline.TryRole] does with credentials.
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

// azureName names the file of a token: everything that changes what Entra ID would
// answer.
func (p *Pipeline) azureName(scope string) string {
	a := p.Profile.Azure
	return "azure-" + cache.Name(roleName(p.Profile), p.workloadMark(), a.Via, a.Tenant, a.ClientID, a.CognitoPool, a.CognitoProvider, a.CognitoUser, scope)
}

// readAzure reads a token; nil if there is none that can be read. It is kept in the
// form of role credentials, whose secret key it is, and serves by their rules.
func (p *Pipeline) readAzure(ctx context.Context, name string) *role {
	key, err := p.Kept.Key(ctx)
	if err != nil {
		return nil // the same happens to the role's credentials, and is reported there
	}
	r, err := unseal[role](p.Kept, key, name)
	if err != nil {
		return nil
	}
	return r
}

func asToken(r *role) azure.Token {
	return azure.Token{Value: r.SecretAccessKey.String, Expires: r.Expires}
}
