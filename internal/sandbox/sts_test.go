package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/daypass/daypass/internal/sandbox"
)

// stsClient is AWS's own client, so that form and XML are judged by it.
func stsClient(t *testing.T, s *sandbox.Sandbox, credentials aws.CredentialsProvider) *sts.Client {
	t.Helper()
	return sts.New(sts.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(s.STSEndpoint),
		Credentials:  credentials,
		HTTPClient:   client(t),
		Retryer:      aws.NopRetryer{},
	})
}

func assume(t *testing.T, s *sandbox.Sandbox, input sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	return stsClient(t, s, aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(t.Context(), &input)
}

// checkError compares an error's code and status; an empty code wants none.
func checkError(t *testing.T, err error, code string, status int, message string) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var apiError smithy.APIError
	if !errors.As(err, &apiError) {
		t.Fatalf("error = %v, want %s", err, code)
	}
	if apiError.ErrorCode() != code || !strings.Contains(apiError.ErrorMessage(), message) {
		t.Errorf("error = %s %q, want %s with %q", apiError.ErrorCode(), apiError.ErrorMessage(), code, message)
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		t.Fatalf("error has no response: %v", err)
	}
	if response.HTTPStatusCode() != status {
		t.Errorf("status = %d, want %d", response.HTTPStatusCode(), status)
	}
	if len(response.ServiceRequestID()) != 36 {
		t.Errorf("request id = %q", response.ServiceRequestID())
	}
}

func TestAssumeRole(t *testing.T) {
	s, clock := start(t, sandbox.Options{SessionTokenSize: 4000})
	got, err := assume(t, s, sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro@example.com"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
		DurationSeconds:  aws.Int32(900),
	})
	if err != nil {
		t.Fatal(err)
	}
	if arn := aws.ToString(got.AssumedRoleUser.Arn); arn != "arn:aws:sts::111122223333:assumed-role/Developer/taro@example.com" {
		t.Errorf("ARN = %q", arn)
	}
	if want := clock.Now().Add(15 * time.Minute); !got.Credentials.Expiration.Equal(want) {
		t.Errorf("expiration = %v, want %v", got.Credentials.Expiration, want)
	}
	if n := len(*got.Credentials.SessionToken); n != 4000 {
		t.Errorf("session token has %d bytes, want 4000", n)
	}
	if !strings.HasPrefix(*got.Credentials.AccessKeyId, "ASIA") || len(*got.Credentials.AccessKeyId) != 20 || len(*got.Credentials.SecretAccessKey) != 40 {
		t.Error("keys do not have AWS's form")
	}
	if *got.SubjectFromWebIdentityToken != "sandbox|taro" || *got.Audience != s.ClientID || *got.Provider != s.Issuer {
		t.Errorf("subject %q, audience %q, provider %q", *got.SubjectFromWebIdentityToken, *got.Audience, *got.Provider)
	}
}

// TestSTSRefuses asks for one thing too many each time.
func TestSTSRefuses(t *testing.T) {
	longPolicy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + strings.Repeat("s", 1900) + `","Resource":"*"}]}`
	tags := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"Team": []string{"core"}}}}
	tests := map[string]struct {
		options sandbox.Options
		before  func(t *testing.T, s *sandbox.Sandbox, c *clock) // between login and call
		ask     func(in *sts.AssumeRoleWithWebIdentityInput)
		code    string
		status  int
		message string
	}{
		"nothing": {},
		"expired token": {
			before: func(_ *testing.T, _ *sandbox.Sandbox, c *clock) { c.pass(10 * time.Hour) },
			code:   "ExpiredTokenException", status: 400, message: "Token expired",
		},
		"last second of the token": {
			before: func(_ *testing.T, _ *sandbox.Sandbox, c *clock) { c.pass(10*time.Hour - time.Second) },
		},
		"not a token": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.WebIdentityToken = aws.String("at-opaque") },
			code: "InvalidIdentityToken", status: 400, message: "not a valid JWT",
		},
		"changed claims": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				parts := strings.Split(*in.WebIdentityToken, ".")
				parts[1] = strings.Replace(parts[1], parts[1][20:24], "AAAA", 1)
				in.WebIdentityToken = aws.String(strings.Join(parts, "."))
			},
			code: "InvalidIdentityToken", status: 400,
		},
		"changed signature": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				at := strings.LastIndex(*in.WebIdentityToken, ".") + 1
				in.WebIdentityToken = aws.String((*in.WebIdentityToken)[:at] + strings.Repeat("A", 342))
			},
			code: "InvalidIdentityToken", status: 400, message: "signature",
		},
		"HS256": {
			options: sandbox.Options{Algorithm: "HS256"},
			code:    "InvalidIdentityToken", status: 400,
		},
		"another issuer": {
			options: sandbox.Options{Claims: map[string]any{"iss": "https://elsewhere.example/"}},
			code:    "InvalidIdentityToken", status: 400, message: "No OpenIDConnect provider found in your account for https://elsewhere.example/",
		},
		"provider registered with a slash too many": {
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) {
				s.RegisterProvider(s.Issuer)
				s.RegisterProvider(s.Issuer+"/", s.ClientID)
			},
			code: "InvalidIdentityToken", status: 400, message: "No OpenIDConnect provider found",
		},
		"issuer whose keys are out of reach": {
			options: sandbox.Options{Claims: map[string]any{"iss": "https://elsewhere.example/"}},
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) {
				s.RegisterProvider("https://elsewhere.example/", s.ClientID)
			},
			code: "InvalidIdentityToken", status: 400, message: "Couldn't retrieve verification key",
		},
		"audience not registered": {
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) { s.RegisterProvider(s.Issuer, "other") },
			code:   "InvalidIdentityToken", status: 400, message: "Incorrect token audience",
		},
		"azp goes before aud": {
			options: sandbox.Options{Claims: map[string]any{"azp": "other"}},
			code:    "InvalidIdentityToken", status: 400, message: "Incorrect token audience",
		},
		"azp alone is registered": {
			options: sandbox.Options{Claims: map[string]any{"azp": "daypass-sandbox", "aud": []string{"a", "b"}}},
		},
		"no sub": {
			options: sandbox.Options{Claims: map[string]any{"sub": nil}},
			code:    "InvalidIdentityToken", status: 400, message: "Missing a required claim: sub",
		},
		"exp with a fraction": {
			options: sandbox.Options{Claims: map[string]any{"exp": 4102444800.5}},
			code:    "InvalidIdentityToken", status: 400,
		},
		"no such role": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String("arn:aws:iam::111122223333:role/Nobody")
			},
			code: "AccessDenied", status: 403, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity",
		},
		"not a role": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.RoleArn = aws.String("arn:aws:iam::111122223333:user/taro")
			},
			code: "ValidationError", status: 400, message: "is invalid",
		},
		"tags without sts:TagSession": {
			options: sandbox.Options{Claims: tags},
			code:    "AccessDenied", status: 403,
		},
		"flat tags without sts:TagSession": {
			options: sandbox.Options{Claims: map[string]any{"https://aws.amazon.com/tags/principal_tags/Team": "core"}},
			code:    "AccessDenied", status: 403,
		},
		"tags with all actions": {
			options: sandbox.Options{Claims: tags},
			before:  func(t *testing.T, s *sandbox.Sandbox, _ *clock) { trust(t, s, `["sts:*"]`, "") },
		},
		"source identity without sts:SetSourceIdentity": {
			options: sandbox.Options{Claims: map[string]any{"https://aws.amazon.com/source_identity": "taro"}},
			code:    "AccessDenied", status: 403,
		},
		"source identity with it": {
			options: sandbox.Options{Claims: map[string]any{"https://aws.amazon.com/source_identity": "taro"}},
			before: func(t *testing.T, s *sandbox.Sandbox, _ *clock) {
				trust(t, s, `["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"]`, "")
			},
		},
		"longer than the role allows": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(3601) },
			code: "ValidationError", status: 400, message: "exceeds the MaxSessionDuration",
		},
		"as long as the role allows": {
			options: sandbox.Options{RoleMaxDuration: 12 * time.Hour},
			ask:     func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(43200) },
		},
		"too short": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = aws.Int32(899) },
			code: "ValidationError", status: 400, message: "durationSeconds",
		},
		"session name with a blank": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String("ta ro") },
			code: "ValidationError", status: 400, message: "roleSessionName",
		},
		"session name beyond ASCII": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String("tar\u014d") },
			code: "ValidationError", status: 400, message: "roleSessionName",
		},
		"session name too long": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String(strings.Repeat("t", 65)) },
			code: "ValidationError", status: 400, message: "roleSessionName",
		},
		"session name too short": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.RoleSessionName = aws.String("t") },
			code: "ValidationError", status: 400, message: "roleSessionName",
		},
		"token of more than 20000 bytes": {
			options: sandbox.Options{TokenPadding: 20000},
			code:    "ValidationError", status: 400, message: "webIdentityToken",
		},
		"session policy that is no policy": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String(`{"Version":`) },
			code: "MalformedPolicyDocument", status: 400,
		},
		"session policy too long": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				in.Policy = aws.String(longPolicy + strings.Repeat(" ", 200))
			},
			code: "ValidationError", status: 400, message: "policy",
		},
		"session policy and tags too large together": {
			options: sandbox.Options{Claims: map[string]any{"https://aws.amazon.com/tags": strings.Repeat("t", 300)}},
			before:  func(t *testing.T, s *sandbox.Sandbox, _ *clock) { trust(t, s, `"sts:*"`, "") },
			ask:     func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = aws.String(longPolicy) },
			code:    "PackedPolicyTooLarge", status: 400,
		},
		"eleven session policies": {
			ask: func(in *sts.AssumeRoleWithWebIdentityInput) {
				for range 11 {
					in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")})
				}
			},
			code: "ValidationError", status: 400, message: "policyArns",
		},
		"a ProviderId": {
			ask:  func(in *sts.AssumeRoleWithWebIdentityInput) { in.ProviderId = aws.String("graph.facebook.com") },
			code: "ValidationError", status: 400, message: "ProviderId",
		},
		"provider out of reach": {
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) {
				s.FailSTS(sandbox.STSError{Code: "IDPCommunicationError"})
			},
			code: "IDPCommunicationError", status: 400,
		},
		"claim rejected": {
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) {
				s.FailSTS(sandbox.STSError{Code: "IDPRejectedClaim"})
			},
			code: "IDPRejectedClaim", status: 403,
		},
		"region not activated": {
			before: func(_ *testing.T, s *sandbox.Sandbox, _ *clock) {
				s.FailSTS(sandbox.STSError{Code: "RegionDisabledException"})
			},
			code: "RegionDisabledException", status: 403,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, clock := start(t, test.options)
			input := sts.AssumeRoleWithWebIdentityInput{
				RoleArn:          aws.String(s.RoleARN),
				RoleSessionName:  aws.String("taro"),
				WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
			}
			if test.before != nil {
				test.before(t, s, clock)
			}
			if test.ask != nil {
				test.ask(&input)
			}
			_, err := assume(t, s, input)
			checkError(t, err, test.code, test.status, test.message)
			requests := s.Requests()
			if last := requests[len(requests)-1]; last.Error != test.code {
				t.Errorf("recorded error = %q, want %q", last.Error, test.code)
			}
		})
	}
}

func TestFailSTSFailsOnce(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	s.FailSTS(sandbox.STSError{Code: "IDPCommunicationError"}, sandbox.STSError{Code: "InternalFailure"})
	input := sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
	}
	for i, want := range []struct {
		code   string
		status int
	}{{"IDPCommunicationError", 400}, {"InternalFailure", 500}, {}} {
		t.Logf("call %d", i+1)
		_, err := assume(t, s, input)
		checkError(t, err, want.code, want.status, "")
	}
}

func TestTokenBelongsInTheBody(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	token := logIn(t, s).string("id_token")
	if got := get(t, s.STSEndpoint+"?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken="+token); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET = %d, want 405", got.status)
	}
	if n := len(s.SecretsInURLs()); n != 1 {
		t.Errorf("%d requests with a secret in the URL, want 1", n)
	}
}

// TestCallerIdentity has AWS's own signer sign, right and wrong.
func TestCallerIdentity(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	assumed, err := assume(t, s, sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
	})
	if err != nil {
		t.Fatal(err)
	}
	good := aws.Credentials{
		AccessKeyID:     *assumed.Credentials.AccessKeyId,
		SecretAccessKey: *assumed.Credentials.SecretAccessKey,
		SessionToken:    *assumed.Credentials.SessionToken,
	}
	call := func(credentials aws.Credentials) (*sts.GetCallerIdentityOutput, error) {
		provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })
		return stsClient(t, s, provider).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	}
	identity, err := call(good)
	if err != nil {
		t.Fatal(err)
	}
	if *identity.Arn != "arn:aws:sts::111122223333:assumed-role/Developer/taro" || *identity.Account != "111122223333" || *identity.UserId != *assumed.AssumedRoleUser.AssumedRoleId {
		t.Errorf("identity = %q %q %q", *identity.Arn, *identity.Account, *identity.UserId)
	}

	wrong := good
	wrong.SecretAccessKey = strings.Repeat("s", 40)
	_, err = call(wrong)
	checkError(t, err, "SignatureDoesNotMatch", 403, "")
	wrong = good
	wrong.SessionToken = "other"
	_, err = call(wrong)
	checkError(t, err, "InvalidClientTokenId", 403, "")
	wrong = good
	wrong.AccessKeyID = "ASIAIOSFODNN7EXAMPLE"
	_, err = call(wrong)
	checkError(t, err, "InvalidClientTokenId", 403, "")
	if got := post(t, s.STSEndpoint, fields("Action", "GetCallerIdentity", "Version", "2011-06-15")); got.status != 403 || !strings.Contains(got.text, "<Code>MissingAuthenticationToken</Code>") {
		t.Errorf("unsigned: %d", got.status)
	}
	clock.pass(time.Hour)
	_, err = call(good)
	checkError(t, err, "ExpiredToken", 403, "")
}
