package process

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/daypass/daypass/secret"
)

const (
	stsTries = 3
	// stsRequestTime bounds one request to STS.
	stsRequestTime = 10 * time.Second
	// stsAnswerMax bounds the body of an answer, in bytes; a real one is below 8 kB.
	stsAnswerMax = 1 << 20
)

// assumeRole trades the login's ID token for role credentials.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (p *Provider) assumeRole(ctx context.Context, l *login) (*role, error) {
	input, err := p.stsInput(l)
	if err != nil {
		return nil, err
	}
	client, err := p.stsClient()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, stsRequestTime)
		output, err := client.AssumeRoleWithWebIdentity(bounded, input)
		silent := bounded.Err() != nil
		cancel()
		if err == nil {
			return p.role(l, output)
		}
		if try == stsTries || !silent && !worthRetrying(err) || ctx.Err() != nil {
			return nil, err
		}
		if err := p.Sleep(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (p *Provider) stsInput(l *login) (*sts.AssumeRoleWithWebIdentityInput, error) {
	name, err := sessionName(p.Profile.SessionName, l.IDToken.String)
	if err != nil {
		return nil, fail(ExitUsage, err, "profile "+p.name()+": "+err.Error()+".", "See which claims the token has: daypass doctor"+p.profileFlag())
	}
	input := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(p.Profile.RoleARN),
		RoleSessionName:  aws.String(name),
		WebIdentityToken: aws.String(l.IDToken.Reveal()),
		DurationSeconds:  aws.Int32(int32(p.Profile.Duration / time.Second)),
	}
	if p.Profile.Policy != "" {
		input.Policy = aws.String(p.Profile.Policy)
	}
	for _, arn := range p.Profile.PolicyARNs {
		input.PolicyArns = append(input.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(arn)})
	}
	return input, nil
}

// stsClient is built from the profile alone. The SDK's own configuration would
// read the very profile that runs daypass, and need credentials to get them.
func (p *Provider) stsClient() (*sts.Client, error) {
	transport, err := newTransport(p.Profile.AWSCABundle)
	if err != nil {
		return nil, fail(ExitUsage, err, "AWS_CA_BUNDLE: "+reason(err)+".", "Point it at a PEM file, or unset it.")
	}
	options := sts.Options{
		Region:      p.Profile.Region,
		Credentials: aws.AnonymousCredentials{},
		HTTPClient:  newClient(p.noted(transport), stsAnswerMax),
		Retryer:     aws.NopRetryer{}, // the tries are made above, on our clock
	}
	if p.Profile.STSEndpoint != "" {
		options.BaseEndpoint = aws.String(p.Profile.STSEndpoint)
	}
	if p.Profile.UseFIPS {
		options.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if p.Profile.UseDualStack {
		options.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return sts.New(options), nil
}

// role checks what STS answered: nothing of it is stored or printed unless it is
// whole.
func (p *Provider) role(l *login, output *sts.AssumeRoleWithWebIdentityOutput) (*role, error) {
	c, user := output.Credentials, output.AssumedRoleUser
	now := p.Now()
	switch {
	case c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "":
		return nil, &badAnswer{"it holds no credentials"}
	case c.Expiration == nil || !c.Expiration.After(now):
		return nil, &badAnswer{"its credentials have already expired by this machine's clock"}
	case c.Expiration.Sub(now) > 13*time.Hour:
		return nil, &badAnswer{"its credentials live longer than AWS gives any"}
	case user != nil && len(aws.ToString(user.Arn)) > 2048:
		return nil, &badAnswer{"its ARN is longer than AWS makes any"}
	case len(*c.AccessKeyId) > 128 || len(*c.SecretAccessKey) > 1024 || len(*c.SessionToken) > 16<<10:
		return nil, &badAnswer{"its credentials are larger than AWS gives any"}
	}
	for _, text := range []string{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken} {
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, &badAnswer{"its credentials hold characters that AWS's do not"}
		}
	}
	r := &role{
		Version: formVersion, LoginID: l.ID,
		Issued: wall(now), Expires: wall(*c.Expiration).Truncate(time.Second),
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: keep(secret.New(*c.SecretAccessKey)), SessionToken: keep(secret.New(*c.SessionToken)),
	}
	if user != nil {
		r.AssumedRole = aws.ToString(user.Arn)
	}
	return r, nil
}

// badAnswer is an answer with status 200 that is not what STS sends.
type badAnswer struct{ what string }

func (e *badAnswer) Error() string { return "the answer of STS cannot be used: " + e.what }

// worthRetrying tells a fault that may pass from a refusal.
func worthRetrying(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "IDPCommunicationError":
			return true
		case "InvalidIdentityToken":
			// Transient where STS could not fetch the provider's keys, and only there.
			return strings.Contains(api.ErrorMessage(), "retrieve verification key")
		}
	}
	return retry.NewStandard().IsErrorRetryable(err)
}

// isBadToken reports that STS found fault with the ID token itself, and not with
// what the account knows of the provider.
func isBadToken(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "InvalidIdentityToken" {
		return false
	}
	for _, account := range []string{"Incorrect token audience", "No OpenIDConnect provider", "verification key", "thumbprint"} {
		if strings.Contains(api.ErrorMessage(), account) {
			return false
		}
	}
	return true
}

// isExpiredToken reports that STS called the ID token expired.
func isExpiredToken(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "ExpiredToken")
}
