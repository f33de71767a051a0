package amazon_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daypass/daypass/amazon"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

const secretKey = "secret-key-of-the-role-4711-0815-0000-1111"

// answering is a client that gets one answer to whatever it asks.
func answering(status int, body string) amazon.Client {
	clock := sandbox.NewClock(time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC))
	return amazon.Client{
		Client: cloud.Client{
			Ask: func(r *http.Request) (*http.Response, []byte, error) {
				return &http.Response{StatusCode: status, Header: http.Header{}}, []byte(body), nil
			},
			Patience: time.Minute, Now: clock.Now, Sleep: clock.Sleep, Getenv: func(string) string { return "" },
		},
		Credentials: aws.Credentials{AccessKeyID: "ASIAX", SecretAccessKey: secretKey, SessionToken: "session-token-of-the-role-4711-0815-0000-1111"},
		Profile:     profile.Profile{Partition: "aws"},
	}
}

// Whatever comes back is a value or a failure of three lines at most, in which
// nothing secret is.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"SecretString":"x","Parameter":{"Value":"y"},"Token":"z"}`, `{"SecretBinary":"AA=="}`, `{}`, ``, `null`, `[]`, `<html>`, `{"SecretString":null}`,
		`{"__type":"com.amazonaws#AccessDeniedException","Message":"User is not authorized"}`, `{"__type":"ResourceNotFoundException","message":"x"}`, `{"__type":"#"}`,
		`{"__type":"ThrottlingException"}`, `{"__type":"Echo","message":"` + secretKey + `"}`, `{"__type":"` + secretKey + `"}`, `{"SecretString":7}`, `{"__type":{}}`,
	} {
		f.Add(200, body)
		f.Add(400, body)
		f.Add(500, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		c := answering(status, body)
		one, err1 := c.Secret(context.Background(), "dev/db", "eu-west-1")
		two, err2 := c.Parameter(context.Background(), "/dev/db", "eu-west-1")
		three, err3 := c.DeveloperToken(context.Background(), "eu-west-1:x", "p", "u")
		for i, err := range []error{err1, err2, err3} {
			value := []secret.String{one, two, three}[i]
			if err == nil {
				continue
			}
			var failed *failure.Error
			if !errors.As(err, &failed) || !value.Empty() || len(failed.Lines) > 3 || failed.Exit != failure.ExitAWS && failed.Exit != failure.ExitNetwork {
				t.Fatalf("%d %q: %v", status, body, err)
			}
			for _, line := range failed.Lines {
				if len(line) > 1000 || strings.Contains(line, secretKey) || strings.Contains(line, "{what}") || strings.Contains(line, "{said}") && !strings.Contains(body, "{said}") {
					t.Errorf("%d %q: %q", status, body, line)
				}
			}
		}
	})
}

// An endpoint that cannot be called is told as it is.
func TestEndpoint(t *testing.T) {
	c := answering(200, "")
	c.Getenv = func(string) string { return "http://127.0.0.1:1" }
	if _, err := c.Secret(t.Context(), "dev/db", "eu-west-1"); failure.From(err).Exit != failure.ExitUsage {
		t.Errorf("%v", err)
	}
}
