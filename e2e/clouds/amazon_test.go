package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/daypass/daypass/amazon"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/profile"
)

// daypass calls each service in each partition where the SDK does, with FIPS and
// dual-stack endpoints or without.
func TestAddresses(t *testing.T) {
	regions := map[string][]string{
		"aws": {"us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "ca-central-1", "xx-new-7"}, "aws-cn": {"cn-north-1", "cn-northwest-1"},
		"aws-us-gov": {"us-gov-west-1", "us-gov-east-1"}, "aws-eusc": {"eusc-de-east-1"}, "aws-iso": {"us-iso-east-1"}, "aws-iso-b": {"us-isob-east-1"},
		"aws-iso-e": {"eu-isoe-west-1"}, "aws-iso-f": {"us-isof-south-1"},
	}
	for partition, names := range regions {
		for _, region := range names {
			for i := range 4 {
				fips, dual := i&1 != 0, i&2 != 0
				want := map[string]string{}
				one, err1 := secretsmanager.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), secretsmanager.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dual})
				two, err2 := ssm.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), ssm.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dual})
				three, err3 := cognitoidentity.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), cognitoidentity.EndpointParameters{Region: &region, UseFIPS: &fips, UseDualStack: &dual})
				if err1 != nil || err2 != nil || err3 != nil {
					t.Fatal(region, err1, err2, err3)
				}
				want[amazon.SecretsManager], want[amazon.ParameterStore], want[amazon.Cognito] = one.URI.String(), two.URI.String(), three.URI.String()
				p := profile.Profile{Partition: partition, UseFIPS: fips, UseDualStack: dual}
				for service, address := range want {
					got, err := p.ServiceURL(func(string) string { return "" }, service, region)
					if err != nil || got != address {
						t.Errorf("%s in %s, FIPS %v, dual-stack %v: %s, %v, want %s", service, region, fips, dual, got, err, address)
					}
				}
			}
		}
	}
}

// recorder keeps the last request.
type recorder struct {
	last *http.Request
	body map[string]any
}

func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	r.last, r.body = request, nil
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = json.Unmarshal(body, &r.body)
	}
	answer := `{"SecretString":"x","Token":"x","Parameter":{"Value":"x"}}`
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: request}, err
}

// ask is how daypass's client sends a request.
func (r *recorder) ask(request *http.Request) (*http.Response, []byte, error) {
	response, err := r.Do(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// seen is what of a request is the same, however it is made.
func (r *recorder) seen() map[string]any {
	credential, _, _ := strings.Cut(strings.TrimPrefix(r.last.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ",")
	parts := strings.Split(credential, "/")
	return map[string]any{
		"method": r.last.Method, "address": r.last.URL.String(), "body": r.body, "type": r.last.Header.Get("Content-Type"), "target": r.last.Header.Get("X-Amz-Target"),
		"token": r.last.Header.Get("X-Amz-Security-Token"), "key": parts[0], "scope": parts[2:], "date": r.last.Header.Get("X-Amz-Date") != "",
	}
}

// daypass's requests say what the SDK's say, and are signed for the same scope. (The
// sandbox signs them anew, and compares.)
func TestRequests(t *testing.T) {
	const region, id, pool = "eu-central-1", "dev/db", "eu-central-1:5c4d0000-0000-4000-8000-00000000000f"
	ctx := context.Background()
	record := &recorder{}
	keys := aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: "secret", SessionToken: "token"}
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
	own := amazon.Client{
		Client: cloud.Client{Ask: record.ask, Now: time.Now, Getenv: func(string) string { return "" }}, Credentials: keys, Profile: profile.Profile{Partition: "aws"},
	}
	for name, calls := range map[string][2]func() error{
		"secret": {
			func() error { _, err := own.Secret(ctx, id, region); return err },
			func() error {
				_, err := secretsmanager.New(secretsmanager.Options{Region: region, Credentials: credentials, HTTPClient: record}).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(id)})
				return err
			},
		},
		"parameter": {
			func() error { _, err := own.Parameter(ctx, id, region); return err },
			func() error {
				_, err := ssm.New(ssm.Options{Region: region, Credentials: credentials, HTTPClient: record}).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(id), WithDecryption: aws.Bool(true)})
				return err
			},
		},
		"identity": {
			func() error {
				_, err := own.DeveloperToken(ctx, pool, "p", "u")
				return err
			},
			func() error {
				_, err := cognitoidentity.New(cognitoidentity.Options{Region: region, Credentials: credentials, HTTPClient: record}).GetOpenIdTokenForDeveloperIdentity(ctx,
					&cognitoidentity.GetOpenIdTokenForDeveloperIdentityInput{IdentityPoolId: aws.String(pool), Logins: map[string]string{"p": "u"}, TokenDuration: aws.Int64(3600)})
				return err
			},
		},
	} {
		var seen [2]map[string]any
		for i, call := range calls {
			if err := call(); err != nil {
				t.Fatal(name, err)
			}
			seen[i] = record.seen()
		}
		if !reflect.DeepEqual(seen[0], seen[1]) {
			t.Errorf("%s:\n%v\nof the SDK:\n%v", name, seen[0], seen[1])
		}
	}
}
