package amazon

import (
	"context"
	"fmt"

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
	err := c.call(ctx, SecretsManager, region, "secretsmanager.GetSecretValue", map[string]any{"SecretId": id}, &output)
	of := question{"the secret " + id, region, "secretsmanager:GetSecretValue" + decrypt}
	switch {
	case err != nil:
		return secret.String{}, c.explain(ctx, err, of)
	case output.SecretString == nil:
		return secret.String{}, failure.New(failure.ExitAWS, nil, of.name+" in "+region+" holds binary data, not text.",
			"An environment holds text: keep it as text (SecretString) in Secrets Manager.")
	}
	return secret.New(*output.SecretString), nil
}

// Parameter returns the value of a parameter of SSM's Parameter Store, decrypted.
// Every error is a [*failure.Error].
//
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
func (c Client) Parameter(ctx context.Context, name, region string) (secret.String, error) {
	var output struct{ Parameter struct{ Value *string } }
	err := c.call(ctx, ParameterStore, region, "AmazonSSM.GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &output)
	of := question{"the parameter " + name, region, "ssm:GetParameter" + decrypt}
	if err == nil && output.Parameter.Value == nil {
		err = fmt.Errorf("its answer holds no value")
	}
	if err != nil {
		return secret.String{}, c.explain(ctx, err, of)
	}
	return secret.New(*output.Parameter.Value), nil
}

// DeveloperIdentity names a user of a Cognito identity pool's own provider.
type DeveloperIdentity struct {
	Pool           string // REGION:GUID
	Region         string // that of Pool
	Provider, User string
}

// developerTokenLife is that of a token of [Client.DeveloperToken], in seconds.
const developerTokenLife = 3600

// DeveloperToken returns a token that Cognito signs for a developer identity. Every
// error is a [*failure.Error].
//
// https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html
func (c Client) DeveloperToken(ctx context.Context, d DeveloperIdentity) (secret.String, error) {
	var output struct{ Token string }
	err := c.call(ctx, Cognito, d.Region, "AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity", map[string]any{
		"IdentityPoolId": d.Pool, "Logins": map[string]string{d.Provider: d.User}, "TokenDuration": developerTokenLife,
	}, &output)
	if err == nil && output.Token == "" {
		err = fmt.Errorf("its answer holds no token")
	}
	if err != nil {
		return secret.String{}, c.explain(ctx, err, question{"a token of the identity pool " + d.Pool, d.Region, "cognito-identity:GetOpenIdTokenForDeveloperIdentity"})
	}
	return secret.New(output.Token), nil
}
