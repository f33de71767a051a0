package amazon

import (
	"context"
	"errors"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// decrypt is what AWS asks for besides, unless the key is its own.
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
