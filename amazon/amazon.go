// Package amazon calls AWS services in the name of a role, with requests that the
// SDK's signer signs. The SDK's own clients of these services would double the time
// of a start, used or not.
package amazon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
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
	AccessKeyID             string
	SecretKey, SessionToken secret.String
	// Endpoint returns the URL under which a service is called in a region.
	Endpoint func(service, region string) (string, error)
}

// decrypt is the permission that is needed too, unless the key is one of AWS's own.
const decrypt = ", and kms:Decrypt if a key of your own encrypts it"

// Secret returns the text of a secret in Secrets Manager: its current version. id is
// a name or an ARN. Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (c Client) Secret(ctx context.Context, id, region string) (secret.String, error) {
	var output struct{ SecretString *string }
	return c.do(ctx, call{
		service: SecretsManager, region: region, target: "secretsmanager.GetSecretValue", input: map[string]any{"SecretId": id},
		output: &output, value: func() *string { return output.SecretString },
		name: "the secret " + id, needs: decrypt,
		none: failure.New(failure.ExitAWS, nil, "the secret "+id+" in "+region+" holds binary data, not text.",
			"An environment holds text: keep it as text (SecretString) in Secrets Manager."),
	})
}

// Parameter returns the value of a parameter of SSM's Parameter Store, decrypted.
// Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (c Client) Parameter(ctx context.Context, name, region string) (secret.String, error) {
	var output struct{ Parameter struct{ Value *string } }
	return c.do(ctx, call{
		service: ParameterStore, region: region, target: "AmazonSSM.GetParameter", input: map[string]any{"Name": name, "WithDecryption": true},
		output: &output, value: func() *string { return output.Parameter.Value },
		name: "the parameter " + name, needs: decrypt, none: errors.New("it holds no value"),
	})
}

// developerTokenLife is that of a token of [Client.DeveloperToken], in seconds.
const developerTokenLife = 3600

// DeveloperToken returns a token that Cognito signs for a user of a developer
// provider. pool is REGION:GUID. Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html
func (c Client) DeveloperToken(ctx context.Context, pool, provider, user string) (secret.String, error) {
	region, _, _ := strings.Cut(pool, ":")
	var output struct{ Token *string }
	return c.do(ctx, call{
		service: Cognito, region: region, target: "AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity",
		input:  map[string]any{"IdentityPoolId": pool, "Logins": map[string]string{provider: user}, "TokenDuration": developerTokenLife},
		output: &output, value: func() *string { return output.Token },
		name: "a token of the identity pool " + pool, none: errors.New("it holds no token"),
	})
}

// call is one call of a service.
type call struct {
	service, region string
	target          string // the operation, as the protocol names it
	input, output   any
	value           func() *string // of the output
	none            error          // if that is nil
	name            string         // what is asked for: "the secret dev/db"
	needs           string         // what is needed beyond the permission for the operation
}

// do makes a call in the AWS JSON 1.1 protocol.
//
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func (c Client) do(ctx context.Context, one call) (value secret.String, err error) {
	body, err := json.Marshal(one.input)
	if err != nil {
		return value, err
	}
	digest := sha256.Sum256(body)
	_, operation, _ := strings.Cut(one.target, ".")
	q := cloud.Question{
		Who: "AWS", What: one.name + " in " + one.region, Sent: []secret.String{c.SecretKey, c.SessionToken}, Read: readError, Refusals: refusals(),
		Fill: []string{"{name}", one.name, "{region}", one.region, "{action}", one.service + ":" + operation + one.needs},
	}
	err = c.Do(ctx, q, func() (*http.Request, error) {
		address, err := c.Endpoint(one.service, one.region)
		if err != nil {
			return nil, err
		}
		request, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(address, "/")+"/", strings.NewReader(string(body)))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
		request.Header.Set("X-Amz-Target", one.target)
		credentials := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretKey.Reveal(), SessionToken: c.SessionToken.Reveal()}
		return request, v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(digest[:]), one.service, one.region, c.Now())
	}, func(answer []byte) error {
		if json.Unmarshal(answer, one.output) != nil {
			return errors.New("it is not JSON of AWS's") // what it says may be secret
		}
		text := one.value()
		if text == nil {
			return one.none
		}
		value = secret.New(*text)
		return nil
	})
	return value, err
}

func readError(r *cloud.Refused) {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // or "Message": field names are matched without case
	}
	_ = json.Unmarshal(r.Body, &body)
	r.Code, r.Message = body.Type[strings.LastIndexByte(body.Type, '#')+1:], body.Message
	_, throttled := retry.DefaultThrottleErrorCodes[r.Code]
	r.Passing = r.Passing || throttled
}

func refusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "AccessDenied NotAuthorized", Lines: []string{
			"the role of profile {profile} may not have {name} in {region} ({said}).", "Its policies must allow {action}."}},
		{Codes: "ResourceNotFound ParameterNotFound ParameterVersionNotFound", Lines: []string{
			"AWS knows nothing of {name} in {region} ({said}).",
			"Check the name, the region and the account of the role. For another region or account, write the ARN."}},
		{Codes: "DecryptionFailure InvalidKeyId", Lines: []string{
			"AWS cannot decrypt {name} in {region} ({said}).",
			"Its KMS key must be enabled, and the role needs kms:Decrypt for it."}},
		{Codes: "ExpiredToken UnrecognizedClient InvalidSignature IncompleteSignature RequestExpired RequestTimeTooSkewed", Lines: []string{
			"AWS does not accept the signature of the request for {name} in {region} ({said}).",
			"Is this machine's clock right, and the region enabled in the account? See: daypass doctor{flag}"}},
		{Lines: []string{"AWS refuses {name} in {region} ({said}).", "The text in brackets is AWS's."}},
	}
}
