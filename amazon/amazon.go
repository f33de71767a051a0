// Package amazon calls AWS services in the name of a role, with requests that the
// SDK's signer signs. The SDK's own clients of these services would double the time
// of a start, used or not.
package amazon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/daypass/daypass/secret"
)

// The services that are called, as their hosts and signatures name them.
const (
	SecretsManager = "secretsmanager"
	ParameterStore = "ssm"
	Cognito        = "cognito-identity"
)

const tries = 3

// Client calls services with the credentials of one role.
type Client struct {
	// Ask sends a request and returns the answer with its body. It follows no redirect,
	// and bounds time and answers.
	Ask                     func(*http.Request) (*http.Response, []byte, error)
	AccessKeyID             string
	SecretKey, SessionToken secret.String
	// Endpoint returns the URL under which a service is called in a region.
	Endpoint func(service, region string) (string, error)
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error // waits for d or until ctx ends
}

// refused is an error with which a service answers.
type refused struct {
	code, message string // of outside origin
	status        int
}

func (e *refused) Error() string { return e.code }

// passing reports a fault of AWS that says nothing about the request.
func (e *refused) passing() bool {
	_, throttled := retry.DefaultThrottleErrorCodes[e.code]
	return throttled || e.status >= 500 || e.status == http.StatusTooManyRequests
}

// call makes one call in the AWS JSON 1.1 protocol. What may pass is tried again.
//
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func (c Client) call(ctx context.Context, service, region, target string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	address, err := c.Endpoint(service, region)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		var answer []byte
		answer, err = c.post(ctx, service, region, address, target, body)
		if err == nil {
			if json.Unmarshal(answer, output) != nil {
				return errors.New("its answer is not one of AWS's") // what it says may be secret
			}
			return nil
		}
		var r *refused
		if try == tries || ctx.Err() != nil || errors.As(err, &r) && !r.passing() {
			return err
		}
		if c.Sleep(ctx, time.Duration(try)*500*time.Millisecond) != nil {
			return err
		}
	}
}

// post sends one signed request and returns the body of a good answer.
func (c Client) post(ctx context.Context, service, region, address, target string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", target)
	digest := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretKey.Reveal(), SessionToken: c.SessionToken.Reveal()}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(digest[:]), service, region, c.Now()); err != nil {
		return nil, err
	}
	response, answer, err := c.Ask(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, asRefused(response.StatusCode, answer)
	}
	return answer, nil
}

// asRefused reads an error answer; one that does not come from AWS has no code.
func asRefused(status int, answer []byte) *refused {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // or "Message": field names are matched without case
	}
	_ = json.Unmarshal(answer, &body)
	code := body.Type[strings.LastIndexByte(body.Type, '#')+1:]
	return &refused{code: code, message: body.Message, status: status}
}

// said is what a service has said, for people.
func (c Client) said(r *refused) string {
	sent := []secret.String{c.SecretKey, c.SessionToken}
	code, message := secret.Foreign(r.code, sent...), secret.Foreign(r.message, sent...)
	if code == "" && message == "" {
		return fmt.Sprintf("status %d", r.status)
	}
	return strings.Trim(code+": "+message, ": ")
}
