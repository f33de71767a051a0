package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/daypass/daypass/deviceflow"
)

// The claims with which a token asks for more than the role.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// explainSTS explains why no role credentials came from AWS.
func (p *Provider) explainSTS(ctx context.Context, l *login, err error) *Failure {
	var (
		f   *Failure
		api smithy.APIError
		bad *badAnswer
	)
	switch {
	case errors.As(err, &f):
		return f
	case interrupted(ctx):
		return interruptedFailure(err)
	case errors.As(err, &bad):
		return fail(ExitNetwork, err, bad.Error()+".", "Is there a proxy or a login page in between? And is this machine's clock right?")
	case errors.As(err, &api) && status(err) < 500 && !worthRetrying(err):
		return p.supported(p.explainAWS(l, api, status(err), requestID(err), err))
	case errors.As(err, &api):
		return fail(ExitNetwork, err, "AWS STS cannot help now ("+api.ErrorCode()+": "+shortened(api.ErrorMessage())+").",
			"Your login is kept. Try again later; no new login is needed.")
	}
	return fail(ExitNetwork, err, "cannot reach AWS STS in "+p.Profile.Region+": "+reason(err)+".",
		"Your login is kept. Try again later; no new login is needed.")
}

// explainAWS explains a refusal by its code. What is told of the token is what an
// AWS admin compares: never the token.
func (p *Provider) explainAWS(l *login, api smithy.APIError, status int, request string, err error) *Failure {
	var (
		said    = shortened(api.ErrorMessage())
		token   = p.tokenLine(l, request)
		arn     = p.Profile.RoleARN
		account = p.Profile.AccountID
		trust   = "Send your AWS admin the output of: daypass trust-policy" + p.profileFlag()
		client  = l.Claims.AuthorizedParty
		host    = strings.TrimPrefix(l.Issuer, "https://")
	)
	if client == "" && len(l.Claims.Audience) > 0 {
		client = l.Claims.Audience[0]
	}
	refused := func(lines ...string) *Failure { return fail(ExitAWS, err, lines...) }
	switch code := api.ErrorCode(); {
	case code == "AccessDenied":
		return refused("AWS refused role "+arn+": it does not exist, or its trust policy does not match this login"+lacking(l)+" (AccessDenied).",
			token, trust)
	case code == "InvalidIdentityToken" && strings.Contains(said, "Incorrect token audience"):
		return refused("account "+account+" does not accept client "+client+" (Incorrect token audience).", token,
			"Admin: aws iam add-client-id-to-open-id-connect-provider --client-id "+client+
				" --open-id-connect-provider-arn arn:"+p.Profile.Partition+":iam::"+account+":oidc-provider/"+host)
	case code == "InvalidIdentityToken" && strings.Contains(said, "No OpenIDConnect provider"):
		return refused("account "+account+" does not know the identity provider "+l.Issuer+" (No OpenIDConnect provider found).", token,
			"Admin: aws iam create-open-id-connect-provider --url "+l.Issuer+" --client-id-list "+client)
	case code == "InvalidIdentityToken" && strings.Contains(said, "verification key"):
		return refused("AWS cannot fetch the signing keys of "+p.host()+" ("+said+").", token,
			"They must be reachable from the internet and answer within 5 s. Tell whoever runs "+p.host()+".")
	case code == "InvalidIdentityToken":
		return refused("AWS does not accept this login's ID token (InvalidIdentityToken: "+said+").", token, trust)
	case strings.HasPrefix(code, "ExpiredToken"):
		return refused("AWS says that the ID token has expired, although it is new ("+said+").", token,
			"The clock of "+p.host()+" or of this machine is wrong, or the provider gives tokens of seconds.")
	case code == "IDPRejectedClaim":
		return refused(p.host()+" has told AWS that this login is not valid any more (IDPRejectedClaim: "+said+").", token,
			"Run: daypass login --force"+p.profileFlag())
	case code == "MalformedPolicyDocument", code == "PackedPolicyTooLarge":
		return refused("AWS refuses the session policy or tags of role "+arn+" ("+code+": "+said+").", token,
			"Shorten daypass_policy, daypass_policy_arns, or the tags that "+p.host()+" puts into the token.")
	case code == "RegionDisabledException" || code == "RegionDisabled":
		return refused("account "+account+" has not activated STS in region "+p.Profile.Region+" ("+code+").",
			"Set another region in profile "+p.name()+", or ask your AWS admin to activate it.")
	case code == "ValidationError" && strings.Contains(said, "DurationSeconds"):
		return refused("AWS refused a session of "+whole(p.Profile.Duration)+" for role "+arn+": "+said+".",
			"Lower daypass_duration in profile "+p.name()+". Or an admin raises the role's limit:",
			fmt.Sprintf("aws iam update-role --role-name %s --max-session-duration %d", p.Profile.RoleName, int(p.Profile.Duration.Seconds())))
	default:
		return refused(fmt.Sprintf("AWS refused role %s (%s: %s, status %d).", arn, code, said, status), token, trust)
	}
}

// lacking names the permissions that a token with tags or a source identity needs
// from the trust policy besides.
func lacking(l *login) string {
	c, _, err := deviceflow.Inspect(l.IDToken.String)
	if err != nil {
		return ""
	}
	var missing []string
	for claim := range c.All {
		if strings.HasPrefix(claim, tagsClaim) {
			missing = append(missing, "sts:TagSession")
			break
		}
	}
	if _, ok := c.All[sourceIdentityClaim]; ok {
		missing = append(missing, "sts:SetSourceIdentity")
	}
	if missing == nil {
		return ""
	}
	return ", or lacks " + strings.Join(missing, " / ")
}

// tokenLine is what an admin compares with the trust policy.
func (p *Provider) tokenLine(l *login, request string) string {
	azp := ""
	if l.Claims.AuthorizedParty != "" {
		azp = " azp=" + l.Claims.AuthorizedParty
	}
	if request == "" {
		request = "(none)"
	}
	return "Login: iss=" + l.Issuer + " aud=" + strings.Join(l.Claims.Audience, ",") + azp + " sub=" + l.Claims.Subject + " request=" + request
}

func status(err error) int {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return http.StatusBadRequest
}

func requestID(err error) string {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return shortened(response.ServiceRequestID())
	}
	return ""
}

// shortened is a text of outside origin on one line of bounded length.
func shortened(text string) string {
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ".")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
