// Package amazon calls AWS services in the name of a role, with requests that the
// SDK's signer signs. The SDK's own clients of these services would double the time
// of a start, used or not.
package amazon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// The services that are called, as their hosts and signatures name them.
const (
	SecretsManager = "secretsmanager"
	ParameterStore = "ssm"
	Cognito        = "cognito-identity"
)

// Client calls services with the credentials of one role.
type Client struct {
	cloud.Client
	Credentials aws.Credentials
	Profile     profile.Profile // says under which URL a service is called
}

// decrypt is the permission that is needed too, unless the key is one of AWS's own.
const decrypt = ", and kms:Decrypt if a key of your own encrypts it"

// Secret returns the text of a secret in Secrets Manager: its current version. id is
// a name or an ARN. Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (c Client) Secret(ctx context.Context, id, region string) (secret.String, error) {
	return c.do(ctx, call{
		service: SecretsManager, region: region, target: "secretsmanager.GetSecretValue", input: map[string]any{"SecretId": id},
		output: "SecretString", name: "the secret " + id, needs: decrypt,
	})
}

// Parameter returns the value of a parameter of SSM's Parameter Store, decrypted.
// Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (c Client) Parameter(ctx context.Context, name, region string) (secret.String, error) {
	return c.do(ctx, call{
		service: ParameterStore, region: region, target: "AmazonSSM.GetParameter", input: map[string]any{"Name": name, "WithDecryption": true},
		output: "/Parameter/Value", name: "the parameter " + name, needs: decrypt,
	})
}

// DeveloperToken returns a token that Cognito signs for a user of a developer
// provider, for an hour. pool is REGION:GUID. Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html
func (c Client) DeveloperToken(ctx context.Context, pool, provider, user string) (secret.String, error) {
	region, _, _ := strings.Cut(pool, ":")
	return c.do(ctx, call{
		service: Cognito, region: region, target: "AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity",
		input:  map[string]any{"IdentityPoolId": pool, "Logins": map[string]string{provider: user}, "TokenDuration": 3600},
		output: "Token", name: "a token of the identity pool " + pool,
	})
}

// call is one call of a service.
type call struct {
	service, region string
	target          string // the operation, as the protocol names it
	input           map[string]any
	output          string // where the answer has what is asked for, see [reference.Value]
	name            string // what is asked for: "the secret dev/db"
	needs           string // what is needed beyond the permission for the operation
}

// do makes a call in the AWS JSON 1.1 protocol.
//
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func (c Client) do(ctx context.Context, one call) (value secret.String, err error) {
	address, err := c.Profile.ServiceURL(c.Getenv, one.service, one.region)
	if err != nil {
		return value, err
	}
	body, _ := json.Marshal(one.input) // texts and truth values
	digest := sha256.Sum256(body)
	_, operation, _ := strings.Cut(one.target, ".")
	what := one.name + " in " + one.region
	q := cloud.Question{
		Who: "AWS", What: what, Advice: "Check the network. Behind a proxy, set HTTPS_PROXY; behind a company CA, AWS_CA_BUNDLE.",
		URL: strings.TrimSuffix(address, "/") + "/", Body: string(body),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {one.target}},
		Sign: func(request *http.Request) error {
			return v4.NewSigner().SignHTTP(ctx, c.Credentials, request, hex.EncodeToString(digest[:]), one.service, one.region, c.Now())
		},
		Sent: []secret.String{secret.New(c.Credentials.SecretAccessKey), secret.New(c.Credentials.SessionToken)}, Read: readError, Refusals: refusals(),
		Fill: []string{"{action}", one.service + ":" + operation + one.needs},
	}
	return cloud.Ask(ctx, c.Client, q, func(answer []byte) (secret.String, error) {
		value, err := reference.Value(string(answer), one.output)
		if _, none := reference.Value(string(answer), "SecretBinary"); err != nil && none == nil {
			err = failure.New(failure.ExitAWS, nil, what+" holds binary data, not text.", "An environment holds text: keep it as text (SecretString) in Secrets Manager.")
		}
		return value, err
	})
}

func readError(r *cloud.Refused) {
	kind := r.Text("__type") // perhaps NAMESPACE#CODE
	r.Code, r.Message = kind[strings.LastIndexByte(kind, '#')+1:], r.Text("message", "Message")
	_, throttled := retry.DefaultThrottleErrorCodes[r.Code]
	r.Passing = r.Passing || throttled
}

func refusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "AccessDenied NotAuthorized", Lines: []string{
			"the role of profile {profile} may not have {what} ({said}).", "Its policies must allow {action}."}},
		{Codes: "ResourceNotFound ParameterNotFound ParameterVersionNotFound", Lines: []string{
			"AWS knows nothing of {what} ({said}).",
			"Check the name, the region and the account of the role. For another region or account, write the ARN."}},
		{Codes: "DecryptionFailure InvalidKeyId", Lines: []string{
			"AWS cannot decrypt {what} ({said}).",
			"Its KMS key must be enabled, and the role needs kms:Decrypt for it."}},
		{Codes: "ExpiredToken UnrecognizedClient InvalidSignature IncompleteSignature RequestExpired RequestTimeTooSkewed", Lines: []string{
			"AWS does not accept the signature of the request for {what} ({said}).",
			"Is this machine's clock right, and the region enabled in the account? See: daypass doctor{flag}"}},
		{Lines: []string{"AWS refuses {what} ({said}).", "The text in brackets is AWS's."}},
	}
}
