package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
)

// explainSTS explains why no role credentials came from AWS.
func (p *Provider) explainSTS(ctx context.Context, l *login, err error) *failure.Error {
	var (
		f   *failure.Error
		api *stsError
		bad *badAnswer
	)
	switch {
	case errors.As(err, &f):
		return f
	case interrupted(ctx):
		return interruptedFailure(err)
	case errors.As(err, &bad):
		return failure.New(failure.ExitNetwork, err, bad.Error()+".", "Is there a proxy or a login page in between? And is this machine's clock right?")
	case errors.As(err, &api) && api.Status < 500 && !throttled(api):
		return p.supported(p.explainAWS(l, api, err))
	case errors.As(err, &api):
		return failure.New(failure.ExitNetwork, err, "AWS STS cannot help now ("+shortened(api.Code)+": "+shortened(api.Message)+").",
			"Your login is kept. Try again later; no new login is needed.")
	}
	at := "in " + p.Profile.Region
	if p.Profile.STSEndpoint != "" {
		at = "at " + p.Profile.STSEndpoint
	}
	return failure.New(failure.ExitNetwork, err, "cannot reach AWS STS "+at+": "+reason(err)+".",
		"Your login is kept. Try again later; no new login is needed.")
}

// throttled reports an error of AWS's that says nothing about this login.
func throttled(api *stsError) bool {
	switch api.Code {
	case "InvalidIdentityToken", "IDPCommunicationError":
		return false // tried again too, and explained
	}
	return passing(api)
}

// explainAWS explains a refusal by its code. What is told of the token is what an
// AWS admin compares: never the token.
func (p *Provider) explainAWS(l *login, api *stsError, err error) *failure.Error {
	var (
		said    = shortened(api.Message)
		token   = p.tokenLine(l, shortened(api.RequestID))
		arn     = p.Profile.RoleARN
		account = p.Profile.AccountID
		client  = p.Profile.IDP.ClientID
		host    = p.host()
		trust   = "Send your AWS admin the output of: daypass trust-policy" + p.profileFlag()
		refuse  = func(lines ...string) *failure.Error { return failure.New(failure.ExitAWS, err, lines...) }
	)
	switch code := shortened(api.Code); code {
	case "AccessDenied":
		if said != "" && !strings.HasPrefix(said, "Not authorized to perform") {
			return refuse("AWS refused role "+arn+" (AccessDenied: "+said+").", token, trust)
		}
		return refuse("AWS refused role "+arn+": it does not exist, or its trust policy does not match this login"+lacking(l)+" (AccessDenied).",
			token, trust)
	case "InvalidIdentityToken":
		return p.explainInvalidToken(l, said, token, err)
	case "ExpiredToken", "ExpiredTokenException":
		return refuse("AWS says that the ID token has expired, although it is new ("+said+").", token,
			"The clock of "+host+" or of this machine is wrong, or the provider gives tokens of seconds.")
	case "IDPRejectedClaim":
		return refuse(host+" has told AWS that this login is not valid any more (IDPRejectedClaim: "+said+").", token,
			"Run: daypass login --force"+p.profileFlag())
	case "IDPCommunicationError":
		return failure.New(failure.ExitNetwork, err, "AWS cannot reach "+host+" (IDPCommunicationError, 3 tries).",
			"It must be reachable from the internet, with a certificate of a public CA.")
	case "MalformedPolicyDocument":
		return refuse("AWS does not understand the session policy for role "+arn+" ("+code+": "+said+").",
			"Correct daypass_policy or daypass_policy_arns in profile "+p.name()+".")
	case "PackedPolicyTooLarge", "PackedPolicyTooLargeException":
		return refuse("the session policy and tags for role "+arn+" are too large for AWS ("+said+").", token,
			"Shorten daypass_policy or daypass_policy_arns, or the tags that "+host+" puts into the token.")
	case "RegionDisabledException", "RegionDisabled":
		return refuse("account "+account+" has not activated STS in region "+p.Profile.Region+" ("+code+").",
			"Set another region in profile "+p.name()+", or ask your AWS admin to activate it.")
	case "ValidationError":
		switch {
		case strings.Contains(said, "DurationSeconds"), strings.Contains(said, "durationSeconds"):
			return refuse("AWS refused a session of "+whole(p.Profile.Duration)+" for role "+arn+": "+said+".",
				"Lower daypass_duration in profile "+p.name()+". Or an admin raises the role's limit:",
				fmt.Sprintf("aws iam update-role --role-name %s --max-session-duration %d", p.Profile.RoleName, int(p.Profile.Duration.Seconds())))
		case strings.Contains(said, "webIdentityToken"):
			return refuse("the ID token of "+client+" is too large for AWS, which takes 20000 characters ("+said+").",
				"Ask whoever runs "+host+" for fewer groups or claims in it.")
		}
		return refuse("AWS refuses the request for role "+arn+" ("+code+": "+said+").",
			"Check daypass_role_arn, daypass_session_name and daypass_policy_arns in profile "+p.name()+".")
	default:
		return refuse(fmt.Sprintf("AWS refused role %s (%s: %s, status %d).", arn, code, said, api.Status), token, trust)
	}
}

// explainInvalidToken explains the one code that AWS has for everything between
// it and the provider.
func (p *Provider) explainInvalidToken(l *login, said, token string, err error) *failure.Error {
	var (
		host    = p.host()
		account = p.Profile.AccountID
		client  = p.Profile.IDP.ClientID
		setup   = "AWS admin: daypass trust-policy --format cli" + p.profileFlag() + " prints the commands."
	)
	switch {
	case strings.Contains(said, "Incorrect token audience"):
		admin := setup
		if arn := p.providerARN(l.Issuer); arn != "" {
			admin = "Admin: aws iam add-client-id-to-open-id-connect-provider --client-id " + client + " --open-id-connect-provider-arn " + arn
		}
		return failure.New(failure.ExitAWS, err, "account "+account+" does not accept client "+client+" (Incorrect token audience).", token, admin)
	case strings.Contains(said, "No OpenIDConnect provider"):
		return failure.New(failure.ExitAWS, err, "account "+account+" does not know the identity provider "+l.Issuer+
			", or under another spelling: a slash at the end counts (No OpenIDConnect provider found).", token, setup)
	case strings.Contains(said, "verification key"):
		return failure.New(failure.ExitNetwork, err, "AWS cannot fetch the signing keys of "+host+" (3 tries).", token,
			"They must be reachable from the internet and answer within 5 s. Tell whoever runs "+host+".")
	case strings.Contains(strings.ToLower(said), "thumbprint"):
		return failure.New(failure.ExitAWS, err, "AWS does not trust the certificate of "+host+" ("+said+").", token,
			"Admin: aws iam update-open-id-connect-provider-thumbprint, or a certificate of a public CA.")
	}
	return failure.New(failure.ExitAWS, err, "AWS does not accept this login's ID token (InvalidIdentityToken: "+said+").", token,
		"Send your AWS admin the output of: daypass trust-policy"+p.profileFlag())
}

// providerARN is the ARN of the IAM provider for an issuer; "" for Google, which
// AWS knows by itself.
func (p *Provider) providerARN(issuer string) string {
	host := strings.TrimPrefix(issuer, "https://")
	if host == "accounts.google.com" {
		return ""
	}
	return "arn:" + p.Profile.Partition + ":iam::" + p.Profile.AccountID + ":oidc-provider/" + host
}

// lacking names the permissions that a token with tags or a source identity needs
// from the trust policy besides.
func lacking(l *login) string {
	missing := l.askedActions()
	if len(missing) == 0 {
		return ""
	}
	return ", or lacks " + strings.Join(missing, " / ")
}

// tokenLine is what an admin compares with the trust policy.
func (p *Provider) tokenLine(l *login, request string) string {
	or := func(text string) string {
		if text == "" {
			return "(none)"
		}
		return shortened(text)
	}
	return "Login: iss=" + l.Issuer + " aud=" + or(strings.Join(l.Claims.Audience, ",")) + " azp=" + or(l.Claims.AuthorizedParty) +
		" sub=" + or(l.Claims.Subject) + " request=" + or(request)
}

// shortened is a text of outside origin on one line of bounded length. A long run
// of characters that tokens are made of is left out: AWS repeats what it refuses.
func shortened(text string) string {
	const longest = 80 // bytes; names of roles and requests are shorter
	// First, for what is left out later would join what stood around it.
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(text, unicode.IsSpace) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		for word != "" {
			run := strings.IndexFunc(word, func(r rune) bool { return !isTokenRune(r) })
			if run < 0 {
				run = len(word)
			}
			if run > longest {
				b.WriteString("...")
			} else {
				b.WriteString(word[:run])
			}
			word = word[run:]
			if word != "" {
				_, size := utf8.DecodeRuneInString(word)
				b.WriteString(word[:size])
				word = word[size:]
			}
		}
	}
	text = strings.TrimRight(b.String(), ".")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}

// isTokenRune reports a character of a JWT (RFC 7519) or of base64.
func isTokenRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.=+", r)
}
