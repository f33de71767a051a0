package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/daypass/daypass/internal/sandbox"
)

// assume logs in and assumes the role, after ask has changed the request. AWS's
// own client judges the answer.
func assume(t *testing.T, s *sandbox.Sandbox, ask func(*sts.AssumeRoleWithWebIdentityInput)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	input := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
	}
	if ask != nil {
		ask(input)
	}
	client := sts.New(sts.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(s.STSEndpoint),
		Credentials:  aws.AnonymousCredentials{},
		HTTPClient:   client(t),
		Retryer:      aws.NopRetryer{},
	})
	return client.AssumeRoleWithWebIdentity(t.Context(), input)
}

// checkError compares an error's code and message; an empty code wants none.
func checkError(t *testing.T, err error, code, message string) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var refusal smithy.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode() != code || !strings.Contains(refusal.ErrorMessage(), message) {
		t.Errorf("error = %v, want %s with %q", err, code, message)
	}
}

// TestSTSRefuses asks for one thing too many each time.
func TestSTSRefuses(t *testing.T) {
	type input = sts.AssumeRoleWithWebIdentityInput
	claim := func(name string, value any) sandbox.Options {
		return sandbox.Options{Claims: map[string]any{name: value}}
	}
	name := func(name string) func(*input) { return func(in *input) { in.RoleSessionName = &name } }
	role := func(arn string) func(*input) { return func(in *input) { in.RoleArn = &arn } }
	seconds := func(n int32) func(*input) { return func(in *input) { in.DurationSeconds = &n } }
	const invalid, rule, denied = "InvalidIdentityToken", "ValidationError", "AccessDenied"
	tests := map[string]struct {
		options sandbox.Options
		actions string // what the role allows; "": AssumeRoleWithWebIdentity
		ask     func(*input)
		code    string
		message string
	}{
		"nothing":              {},
		"expired token":        {options: sandbox.Options{IDTokenLife: -time.Second}, code: "ExpiredTokenException", message: "Token expired"},
		"not a token":          {ask: func(in *input) { in.WebIdentityToken = aws.String("at-opaque") }, code: invalid, message: "not a valid JWT"},
		"token too long":       {options: sandbox.Options{TokenPadding: 20000}, code: rule, message: "webIdentityToken"},
		"HS256":                {options: sandbox.Options{Algorithm: "HS256"}, code: invalid},
		"another issuer":       {options: claim("iss", "https://elsewhere.example/"), code: invalid, message: "No OpenIDConnect provider found in your account for https://elsewhere.example/"},
		"another audience":     {options: claim("aud", "other"), code: invalid, message: "Incorrect token audience"},
		"azp goes before aud":  {options: claim("azp", "other"), code: invalid, message: "Incorrect token audience"},
		"no sub":               {options: claim("sub", nil), code: invalid, message: "Missing a required claim: sub"},
		"exp with a fraction":  {options: claim("exp", 4102444800.5), code: invalid},
		"no such role":         {ask: role("arn:aws:iam::111122223333:role/Nobody"), code: denied, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		"not a role":           {ask: role("arn:aws:iam::111122223333:user/taro"), code: rule, message: "is invalid"},
		"tags":                 {options: claim("https://aws.amazon.com/tags", map[string]any{}), code: denied},
		"tags allowed":         {options: claim("https://aws.amazon.com/tags", map[string]any{}), actions: `"sts:*"`},
		"source identity":      {options: claim("https://aws.amazon.com/source_identity", "taro"), code: denied},
		"the same, allowed":    {options: claim("https://aws.amazon.com/source_identity", "taro"), actions: `["sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"]`},
		"longer than the role": {ask: seconds(3601), code: rule, message: "exceeds the MaxSessionDuration"},
		"too short":            {ask: seconds(899), code: rule, message: "durationSeconds"},
		"name with a blank":    {ask: name("ta ro"), code: rule, message: "roleSessionName"},
		"name too long":        {ask: name(strings.Repeat("t", 65)), code: rule, message: "roleSessionName"},
		"eleven policies": {ask: func(in *input) {
			in.PolicyArns = slices.Repeat([]types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/X")}}, 11)
		}, code: rule, message: "policyArns"},
		"a policy that is not": {ask: func(in *input) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:role/X")}}
		}, code: rule, message: "is not valid"},
		"a ProviderId": {ask: func(in *input) { in.ProviderId = aws.String("graph.facebook.com") }, code: rule, message: "ProviderId"},
		"changed claims": {
			ask: func(in *input) {
				parts := strings.Split(*in.WebIdentityToken, ".")
				claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
				parts[1] = base64.RawURLEncoding.EncodeToString(bytes.Replace(claims, []byte("|taro"), []byte("|jiro"), 1))
				in.WebIdentityToken = aws.String(strings.Join(parts, "."))
			},
			code: invalid, message: "signature",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, test.options)
			if test.actions != "" {
				policy := `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": ` + test.actions + `}}`
				if err := s.Trust(s.RoleARN, policy); err != nil {
					t.Fatal(err)
				}
			}
			_, err := assume(t, s, test.ask)
			checkError(t, err, test.code, test.message)
			requests := s.Requests()
			if last := requests[len(requests)-1]; last.Error != test.code {
				t.Errorf("recorded error = %q, want %q", last.Error, test.code)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	const own = `"Federated": "arn:aws:iam::111122223333:oidc-provider/ISS"`
	statement := func(effect, principal, action, condition string) string {
		return fmt.Sprintf(`{"Effect": %q, "Principal": {%s}, "Action": %q, "Condition": {%s}}`, effect, principal, action, condition)
	}
	condition := func(text string) string { return statement("Allow", own, "sts:AssumeRoleWithWebIdentity", text) }
	allow := statement("Allow", own, "sts:*", "")
	tests := map[string]struct{ statements, code string }{ // ISS is the provider's name
		"right audience":               {condition(`"StringEquals": {"ISS:aud": "daypass-sandbox"}`), ""},
		"wrong audience":               {condition(`"StringEquals": {"ISS:aud": "other"}`), "AccessDenied"},
		"subject like":                 {condition(`"StringLike": {"ISS:sub": "*|tar?"}`), ""},
		"subject not like":             {condition(`"StringLike": {"ISS:sub": "auth0|*"}`), "AccessDenied"},
		"wildcards are text to equals": {condition(`"StringEquals": {"ISS:sub": "sandbox|*"}`), "AccessDenied"},
		"both operators must hold":     {condition(`"StringEquals": {"ISS:aud": "other"}, "StringLike": {"ISS:sub": "*"}`), "AccessDenied"},
		"another provider's key":       {condition(`"StringEquals": {"127.0.0.1/idp:aud": "daypass-sandbox"}`), "AccessDenied"},
		"session name, without case":   {condition(`"StringLike": {"sts:rolesessionNAME": "ta*"}`), ""},
		"a denial wins":                {allow + "," + statement("Deny", own, "sts:*", ""), "AccessDenied"},
		"another action":               {statement("Allow", own, "sts:AssumeRole", ""), "AccessDenied"},
		"an AWS principal":             {statement("Allow", `"AWS": "*"`, "sts:*", ""), "AccessDenied"},
		"no statement":                 {``, "malformed"},
		"no action":                    {`{"Effect": "Allow", "Principal": "*"}`, "malformed"},
		"no such effect":               {statement("allow", own, "sts:*", ""), "malformed"},
		"unknown operator":             {condition(`"Bool": {"ISS:aud": "*"}`), "malformed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, sandbox.Options{})
			issuer := strings.TrimPrefix(s.Issuer, "http://")
			err := s.Trust(s.RoleARN, `{"Statement": [`+strings.ReplaceAll(test.statements, "ISS", issuer)+`]}`)
			if (err != nil) != (test.code == "malformed") {
				t.Fatalf("error = %v", err)
			}
			if err == nil {
				_, err = assume(t, s, nil)
				checkError(t, err, test.code, "")
			}
		})
	}
}

// TestSignatures has AWS's own signer sign, and something changed.
func TestSignatures(t *testing.T) {
	s, clock := start(t, sandbox.Options{})
	assumed, err := assume(t, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	const form = "Action=GetCallerIdentity&Version=2011-06-15"
	tests := []struct {
		name   string
		sign   func(*aws.Credentials) // before it is signed
		change func(*http.Request)    // after
		pass   time.Duration
		code   string
	}{
		{name: "as issued", code: "assumed-role/Developer/taro"},
		{name: "another secret", sign: func(c *aws.Credentials) { c.SecretAccessKey = "s" }, code: "SignatureDoesNotMatch"},
		{name: "another key", sign: func(c *aws.Credentials) { c.AccessKeyID = "ASIAIOSFODNN7EXAMPLE" }, code: "InvalidClientTokenId"},
		{name: "unsigned", change: func(r *http.Request) { r.Header.Del("Authorization") }, code: "MissingAuthenticationToken"},
		{name: "another date", change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260314T092654Z") }, code: "SignatureDoesNotMatch"},
		{name: "another header", change: func(r *http.Request) { r.Header.Add("Content-Type", "x") }, code: "SignatureDoesNotMatch"},
		{name: "another body", change: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(form[:len(form)-1] + "6")) }, code: "SignatureDoesNotMatch"},
		{name: "expired", pass: time.Hour, code: "ExpiredToken"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clock.Advance(test.pass)
			given := assumed.Credentials
			credentials := aws.Credentials{AccessKeyID: *given.AccessKeyId, SecretAccessKey: *given.SecretAccessKey, SessionToken: *given.SessionToken}
			if test.sign != nil {
				test.sign(&credentials)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.STSEndpoint, strings.NewReader(form))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			digest := sha256.Sum256([]byte(form))
			if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(digest[:]), "sts", "eu-west-1", clock.Now()); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(r)
			}
			if got := send(t, r); !strings.Contains(got.text, test.code) {
				t.Errorf("answer lacks %s:\n%s", test.code, got.text)
			}
		})
	}
}
