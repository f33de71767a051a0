package process

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// What an AWS admin needs.
const (
	sendTrustPolicy = "Send your AWS admin the output of: daypass trust-policy{flag}"
	printCommands   = "AWS admin: daypass trust-policy --format cli{flag} prints the commands."
	notNeeded       = "Your login is kept. Try again later; no new login is needed."
)

// stsRefusals are tried in order; the first that matches counts. {token} is the
// line that an admin compares with the trust policy; {code} is the code, with
// AWS's own words if there are any. The other placeholders are in explain.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func stsRefusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "AccessDenied", Message: "not authorized to perform", Lines: []string{
			"AWS refused role {role}: it does not exist, or its trust policy does not match this login{lacking} (AccessDenied).",
			"{token}", sendTrustPolicy}},

		{Codes: "InvalidIdentityToken", Message: "incorrect token audience", Lines: []string{
			"account {account} does not accept client {client} (Incorrect token audience).", "{token}", "{addclient}"}},
		{Codes: "InvalidIdentityToken", Message: "no openidconnect provider", Lines: []string{
			"account {account} does not know the identity provider {issuer}, or knows it under another spelling: a slash at the end counts (No OpenIDConnect provider found).",
			"{token}", printCommands}},
		{Codes: "InvalidIdentityToken", Message: "verification key", Exit: failure.ExitNetwork, Lines: []string{
			"AWS cannot fetch the signing keys of {host} (3 tries).", "{token}",
			"They must be reachable from the internet and answer within 5 s. Tell whoever runs {host}."}},
		{Codes: "InvalidIdentityToken", Message: "thumbprint", Lines: []string{
			"AWS does not trust the certificate of {host} ({said}).", "{token}",
			"Admin: aws iam update-open-id-connect-provider-thumbprint, or a certificate of a public CA."}},
		{Codes: "InvalidIdentityToken", Lines: []string{"AWS does not accept this login's ID token ({code}).", "{token}", sendTrustPolicy}},

		{Codes: "ExpiredToken", Lines: []string{
			"AWS says that the ID token has expired, although it is new ({said}).", "{token}",
			"The clock of {host} or of this machine is wrong, or the provider's tokens last only seconds."}},
		{Codes: "IDPRejectedClaim", Lines: []string{
			"{host} has told AWS that this login is no longer valid ({code}).", "{token}", "Run: daypass login --force{flag}"}},
		{Codes: "IDPCommunicationError", Exit: failure.ExitNetwork, Lines: []string{
			"AWS cannot reach {host} (IDPCommunicationError, 3 tries).",
			"It must be reachable from the internet, with a certificate of a public CA."}},

		{Codes: "MalformedPolicyDocument PackedPolicyTooLarge", Lines: []string{
			"AWS does not accept the session policy for role {role} ({code}).", "{token}",
			"Correct or shorten daypass_policy or daypass_policy_arns in profile {profile}, or the tags that {host} puts into the token."}},
		{Codes: "RegionDisabled", Lines: []string{
			"account {account} has not activated STS in region {region} (RegionDisabledException).",
			"Set another region in profile {profile}, or ask your AWS admin to activate it."}},
		{Codes: "ValidationError", Message: "durationseconds", Lines: []string{
			"AWS refused a session of {duration} for role {role}: {said}.",
			"Lower daypass_duration in profile {profile}. Or an admin raises the role's limit:",
			"aws iam update-role --role-name {rolename} --max-session-duration {seconds}"}},
		{Codes: "ValidationError", Message: "webidentitytoken", Lines: []string{
			"the ID token of {client} is too large for AWS, which accepts 20000 characters ({said}).",
			"Ask whoever runs {host} to put fewer groups or claims into it."}},
		{Codes: "ValidationError", Lines: []string{
			"AWS refuses the request for role {role} ({code}).",
			"Check daypass_role_arn, daypass_session_name and daypass_policy_arns in profile {profile}."}},

		{Lines: []string{"AWS refused role {role} ({code}, status {status}).", "{token}", sendTrustPolicy}},
	}
}

// chainRefusals come before the others if a role was to assume another one.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func chainRefusals() []failure.Refusal {
	stale := []string{"AWS does not take the credentials of profile {source}, which assume role {role} ({code}).", "{token}",
		"Is this machine's clock right? If so, were the role's sessions revoked? Try: daypass doctor --profile {source}"}
	inItsWords := []string{"AWS refused role {role} to role {sourcerole} ({code}).", "{token}", sendTrustPolicy}
	return []failure.Refusal{
		{Codes: "AccessDenied", Message: "explicit deny", Lines: inItsWords},
		{Codes: "AccessDenied", Message: "sts:assumerole on", Lines: []string{
			"AWS refused role {role}: it does not exist, its trust policy does not let in role {sourcerole}, or that role may not assume it (AccessDenied).",
			"{token}", sendTrustPolicy}},
		{Codes: "AccessDenied", Lines: inItsWords}, // another action is missing
		{Codes: "ExpiredToken InvalidClientTokenId SignatureDoesNotMatch", Lines: stale},
	}
}

// explain explains why no role credentials came from AWS, with the line that an AWS
// admin compares, and never with the token of l, which was sent.
func (p *Pipeline) explain(ctx context.Context, l *login, err error, refusals []failure.Refusal, line string) *failure.Error {
	var f *failure.Error
	switch {
	case interrupted(ctx):
		return failure.Interrupted(err)
	case errors.As(err, &f):
		return f
	}
	api := asSTSError(err)
	if api == nil {
		at := "in " + p.Profile.STSRegion()
		if p.Profile.STSEndpoint != "" {
			at = "at " + p.Profile.STSEndpoint
		}
		advice := notNeeded
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &certificate) {
			advice = "Is this machine's clock right? If a company proxy or CA signs for it, set AWS_CA_BUNDLE, or ca_bundle in profile {profile}."
		}
		return failure.New(failure.ExitNetwork, err, "cannot reach AWS STS "+at+": "+shortened(reason(err), l)+".", advice)
	}
	code, said := shortened(api.Code, l), shortened(api.Message, l)
	full := code
	if said != "" {
		full += ": " + said
	}
	if api.passing() {
		return failure.New(failure.ExitNetwork, err, "AWS STS cannot help now ("+full+").", notNeeded)
	}
	source, issuer := cmp.Or(p.Profile.Source, &p.Profile), address.WithoutQuery(l.Issuer)
	return failure.Refused(err, refusals, []string{code}, said,
		"{source}", source.Name, "{sourcerole}", source.RoleARN,
		"{said}", said, "{code}", full, "{status}", fmt.Sprint(api.Status), "{token}", line+" request="+cmp.Or(shortened(api.RequestID, l), "(none)"),
		"{role}", p.Profile.RoleARN, "{rolename}", p.Profile.RoleName, "{account}", p.Profile.AccountID, "{region}", p.Profile.STSRegion(),
		"{client}", p.Profile.IDP.ClientID, "{issuer}", issuer, "{host}", cmp.Or(hostOf(issuer), p.Names().Host), "{addclient}", p.addClient(issuer), "{lacking}", lacking(l),
		"{duration}", whole(p.Profile.Duration), "{seconds}", fmt.Sprint(int(p.Profile.Duration.Seconds())),
	)
}

// addClient is what an admin does about a client that the account does not accept.
func (p *Pipeline) addClient(issuer string) string {
	if idp.ProviderOf(issuer).BuiltIn {
		return printCommands
	}
	return "Admin: aws iam add-client-id-to-open-id-connect-provider --client-id " + p.Profile.IDP.ClientID +
		" --open-id-connect-provider-arn arn:" + p.Profile.Partition + ":iam::" + p.Profile.AccountID + ":oidc-provider/" + strings.TrimPrefix(issuer, "https://")
}

// audienceAtAWS is what AWS takes for the audience of a token: azp, if it has one. Of
// several in aud it is the first: a policy that names all of them as one lets nobody in.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
func audienceAtAWS(t idp.Token) string {
	return cmp.Or(append([]string{t.AuthorizedParty}, t.Audience...)...)
}

// lacking names the permissions that a token with tags or a source identity needs
// from the trust policy as well.
func lacking(l *login) string {
	if missing := l.token().AskedActions(); len(missing) > 0 {
		return ", or lacks " + strings.Join(missing, " / ")
	}
	return ""
}

// tokenLine is what an admin compares with the trust policy.
func tokenLine(l *login) string {
	or := func(text string) string { return cmp.Or(shortened(text, l), "(none)") }
	t := l.token()
	return "Login: iss=" + or(l.Issuer) + " aud=" + or(strings.Join(t.Audience, ",")) + " azp=" + or(t.AuthorizedParty) +
		" sub=" + or(t.Subject)
}

// shortened is [secret.Foreign] of a text whose writer was sent the login's token.
func shortened(text string, l *login) string { return secret.Foreign(text, l.IDToken.String) }
