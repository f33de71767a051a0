package process

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const (
	stsTries = 3
	// afterLoginTime is what is left for STS if a person answered at the last moment: a
	// Go SDK waits for 60 s, of which 45 s are for the person and 10 s for the poll.
	afterLoginTime = 5 * time.Second
	// roleMax bounds role credentials, in bytes. AWS sets no limit for session tokens, and
	// asks others to assume none; but they must fit into a record, as JSON.
	roleMax = cache.MaxRecord / 2
)

// assumeRole trades the login's ID token for role credentials. There is nothing to
// sign with: whoever has the token is the person.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (p *Pipeline) assumeRole(ctx context.Context, started time.Time, l *login) (*role, error) {
	ctx, cancel := p.timeForSTS(ctx, l.Obtained, started)
	defer cancel()
	name, err := sessionName(p.Profile.SessionName, l.token())
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, "profile {profile}: "+err.Error()+".", "Name one that it has, such as {sub}, in daypass_session_name of profile {profile}.")
	}
	input := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &p.Profile.RoleARN, RoleSessionName: &name,
		WebIdentityToken: aws.String(l.IDToken.Reveal()),
		DurationSeconds:  aws.Int32(int32(p.Profile.Duration / time.Second)),
	}
	input.Policy, input.PolicyArns = p.sessionPolicies()
	client, err := p.stsClient(ctx, aws.AnonymousCredentials{})
	if err != nil {
		return nil, err
	}
	output, err := client.AssumeRoleWithWebIdentity(ctx, input)
	p.debug("assume role", "role", p.Profile.RoleARN, "ok", err == nil)
	if err != nil {
		return nil, asBadAnswer(err)
	}
	return p.role(output.Credentials, output.AssumedRoleUser)
}

// timeForSTS is ctx, with at least [afterLoginTime] to its deadline if this process has
// obtained what is sent to STS: that may have been at the last moment. An interruption
// of ctx still ends it.
func (p *Pipeline) timeForSTS(ctx context.Context, obtained, started time.Time) (context.Context, context.CancelFunc) {
	if obtained.Before(started) || p.timeFor(ctx, afterLoginTime) {
		return ctx, func() {}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterLoginTime)
	context.AfterFunc(ctx, func() {
		if interrupted(ctx) {
			cancel()
		}
	})
	return bounded, cancel
}

// sessionPolicies are those that narrow the role, nil for none.
func (p *Pipeline) sessionPolicies() (inline *string, managed []types.PolicyDescriptorType) {
	if p.Profile.Policy != "" {
		inline = &p.Profile.Policy
	}
	for _, arn := range p.Profile.PolicyARNs {
		managed = append(managed, types.PolicyDescriptorType{Arn: &arn})
	}
	return inline, managed
}

// stsClient is the SDK's client without its configuration, which would read the
// profile that has started us.
func (p *Pipeline) stsClient(ctx context.Context, signer aws.CredentialsProvider) (*sts.Client, error) {
	transport, err := p.stsTransport()
	if err != nil {
		return nil, err
	}
	address, err := p.STSURL(ctx)
	if err != nil {
		return nil, err
	}
	return sts.New(sts.Options{
		Region: p.Profile.STSRegion(), BaseEndpoint: &address, Credentials: signer,
		HTTPClient: newClient(p.noted(transport)),
		Retryer:    p.stsRetryer(ctx),
		AppID:      "daypass", // CloudTrail shows it to the account's admins
	}), nil
}

// STSURL is where the profile's role is assumed, by the endpoint rules of the SDK.
func (p *Pipeline) STSURL(ctx context.Context) (string, error) {
	parameters := sts.EndpointParameters{
		Region: aws.String(p.Profile.STSRegion()), UseFIPS: &p.Profile.UseFIPS, UseDualStack: &p.Profile.UseDualStack, UseGlobalEndpoint: aws.Bool(false),
	}
	if p.Profile.STSEndpoint != "" {
		parameters.Endpoint = &p.Profile.STSEndpoint
	}
	endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, parameters)
	if err != nil {
		return "", p.Fill(failure.New(failure.ExitUsage, err, "AWS STS has no endpoint for profile {profile}: "+reason(err)+".", "Check region, use_fips_endpoint and use_dualstack_endpoint in profile {profile}."))
	}
	return endpoint.URI.String(), nil
}

// stsTransport is the transport to STS, made once.
func (p *Pipeline) stsTransport() (http.RoundTripper, error) {
	if p.toSTS == nil {
		t, err := awsTransport(p.Profile)
		if err != nil {
			return nil, err
		}
		p.toSTS = t
	}
	return p.toSTS, nil
}

// connectToSTS opens the connection to STS while the provider is asked for the ID
// token, which is two round trips less to wait for. If that fails, the request itself
// fails in the same way, and says why.
func (p *Pipeline) connectToSTS(ctx context.Context) {
	if !p.forRole || p.toSTS != nil {
		return
	}
	address, err := p.STSURL(ctx)
	u, wrong := url.Parse(address)
	if t, missing := awsTransport(p.Profile); cmp.Or(err, wrong, missing) == nil {
		p.toSTS = connectAhead(ctx, t, u)
	}
}

// stsRetryer is the SDK's standard one: it knows AWS's throttling codes, server
// errors and broken connections. What it cannot know is added here. It waits by
// the Pipeline's clock, and not beyond ctx.
func (p *Pipeline) stsRetryer(ctx context.Context) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = stsTries
		o.RateLimiter = ratelimit.None // three tries are bounded as they are
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(stsRetryable)}, retry.DefaultRetryables...)
		o.Backoff = retry.BackoffDelayerFunc(func(try int, _ error) (time.Duration, error) {
			wait := time.Duration(try) * 500 * time.Millisecond
			if !p.timeFor(ctx, wait+time.Second) {
				return 0, context.DeadlineExceeded
			}
			return 0, p.Sleep(ctx, wait)
		})
	})
}

// stsRetryable decides what is special about STS and this machine's network.
func stsRetryable(err error) aws.Ternary {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		silent      net.Error
		tooLarge    *http.MaxBytesError
		proxy       *failure.Error
	)
	switch api := asSTSError(err); {
	case errors.As(err, &certificate), errors.As(err, &dns) && dns.IsNotFound, errors.As(err, &tooLarge), errors.As(err, &proxy):
		return aws.FalseTernary
	case api == nil:
		if errors.As(err, &silent) {
			return aws.TrueTernary
		}
	case api.Code == "IDPCommunicationError":
		return aws.TrueTernary
	case api.Code == "InvalidIdentityToken":
		// It passes if STS could not fetch the provider's keys, and only then.
		return aws.BoolTernary(strings.Contains(strings.ToLower(api.Message), "retrieve verification key"))
	}
	return aws.UnknownTernary
}

// role checks what STS answered: nothing of it is stored or printed unless it is
// whole.
func (p *Pipeline) role(got *types.Credentials, user *types.AssumedRoleUser) (*role, error) {
	now := p.Now()
	got, user = cmp.Or(got, new(types.Credentials)), cmp.Or(user, new(types.AssumedRoleUser))
	r := &role{
		Profile: p.Profile.Name, Mark: p.workloadMark(),
		Issued: wall(now), Expires: wall(aws.ToTime(got.Expiration)).Truncate(time.Second),
		AccessKeyID:     aws.ToString(got.AccessKeyId),
		SecretAccessKey: secret.Keep(secret.New(aws.ToString(got.SecretAccessKey))),
		SessionToken:    secret.Keep(secret.New(aws.ToString(got.SessionToken))),
		AssumedRole:     aws.ToString(user.Arn),
	}
	all := r.AccessKeyID + r.SecretAccessKey.Reveal() + r.SessionToken.Reveal() + r.AssumedRole
	strange := func(c rune) bool { return c <= ' ' || c > '~' } // in JSON, environments and headers
	switch {
	case r.AccessKeyID == "" || r.SecretAccessKey.Empty() || r.SessionToken.Empty():
		return nil, badAnswer("it holds no credentials")
	case !r.Expires.After(now):
		return nil, badAnswer("its credentials have already expired by this machine's clock")
	case r.Expires.Sub(now) > 13*time.Hour, len(all) > roleMax, strings.ContainsFunc(all, strange):
		return nil, badAnswer("its credentials are not like any of AWS's")
	}
	return r, nil
}

// badAnswer is the failure for an answer that is not what STS sends.
func badAnswer(what string) *failure.Error {
	return failure.New(failure.ExitNetwork, nil, "the answer of STS cannot be used: "+what+".",
		"Is there a proxy or a login page in between? And is this machine's clock right?")
}

// asBadAnswer recognizes an answer that is not from AWS, but from a proxy, or a page to
// log in to the network. Any other error is returned as it is.
func asBadAnswer(err error) error {
	var unread *smithy.DeserializationError
	var response *awshttp.ResponseError
	var tooLarge *http.MaxBytesError
	api := asSTSError(err)
	switch {
	case errors.As(err, &tooLarge):
		return badAnswer("it is larger than any of AWS's")
	case !errors.As(err, &response) || response.HTTPStatusCode() == 0: // there was no answer
		return err
	case errors.As(err, &unread), api == nil, api.Code == "", api.Code == "UnknownError":
		return badAnswer(fmt.Sprintf("it does not come from AWS (status %d)", response.HTTPStatusCode()))
	}
	return err
}

// stsError is an error that STS answers with.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
type stsError struct {
	Code, Message string
	RequestID     string // "" if there is none
	Status        int    // of HTTP
}

// asSTSError returns the answer of STS in err, or nil.
func asSTSError(err error) *stsError {
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) {
		return nil
	}
	return &stsError{Code: api.ErrorCode(), Message: api.ErrorMessage(), RequestID: response.ServiceRequestID(), Status: response.HTTPStatusCode()}
}

// passing reports a fault of AWS that says nothing about this login.
func (e *stsError) passing() bool {
	_, throttled := retry.DefaultThrottleErrorCodes[e.Code]
	return throttled || e.Code == "RequestTimeout" || e.Code == "RequestTimeoutException" || e.Status >= 500 && e.Code != "IDPCommunicationError"
}

// isBadToken reports that STS found fault with the ID token itself, and not with
// what the account knows of the provider.
func isBadToken(err error) bool {
	api := asSTSError(err)
	if api == nil || api.Code != "InvalidIdentityToken" {
		return false
	}
	return !slices.ContainsFunc(stsRefusals(), func(account failure.Refusal) bool {
		return account.Codes == api.Code && account.Message != "" && strings.Contains(strings.ToLower(api.Message), account.Message)
	})
}

// stsSays reports that STS answered with a code that begins so.
func stsSays(err error, codes ...string) bool {
	api := asSTSError(err)
	return api != nil && slices.ContainsFunc(codes, func(code string) bool { return strings.HasPrefix(api.Code, code) })
}
