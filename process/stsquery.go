package process

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// AssumeRoleWithWebIdentity is one unsigned form and one XML document. Linking the
// AWS SDK for it would cost every start of daypass a quarter of its instructions
// and a megabyte of memory, and most starts do not ask STS; docs/performance.md.

// stsAnswer is what is used of the answer.
type stsAnswer struct {
	AccessKeyID     string    `xml:"AssumeRoleWithWebIdentityResult>Credentials>AccessKeyId"`
	SecretAccessKey kept      `xml:"AssumeRoleWithWebIdentityResult>Credentials>SecretAccessKey"`
	SessionToken    kept      `xml:"AssumeRoleWithWebIdentityResult>Credentials>SessionToken"`
	Expiration      time.Time `xml:"AssumeRoleWithWebIdentityResult>Credentials>Expiration"`
	AssumedRole     string    `xml:"AssumeRoleWithWebIdentityResult>AssumedRoleUser>Arn"` // of the session
}

// stsError is an error that STS answers with.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
type stsError struct {
	Code      string `xml:"Error>Code"`
	Message   string `xml:"Error>Message"`
	RequestID string `xml:"RequestId"` // "" if there is none
	Status    int    `xml:"-"`         // of HTTP
}

func (e *stsError) Error() string {
	return fmt.Sprintf("STS answers %s: %s (status %d)", e.Code, e.Message, e.Status)
}

// askSTS sends one request. Its error is a [*stsError], a [*badAnswer], or one of
// the transport.
func askSTS(ctx context.Context, client *http.Client, endpoint string, form url.Values) (*stsAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	request.Header.Set("Accept", "application/xml")
	request.Header.Set("User-Agent", "daypass") // CloudTrail shows it to the account's admins
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if errors.Is(err, errTooLarge) {
		return nil, &badAnswer{what: "it is larger than any of AWS's"}
	}
	if err != nil {
		return nil, err
	}
	return readSTSAnswer(response.StatusCode, body)
}

// readSTSAnswer reads an answer with a status of HTTP. Its error is a [*stsError]
// or a [*badAnswer].
func readSTSAnswer(status int, body []byte) (*stsAnswer, error) {
	// What is not AWS's own form is of a proxy, or a page to log in to the network.
	foreign := &badAnswer{what: fmt.Sprintf("it is none of AWS's (status %d)", status), passing: status >= 500}
	if status == http.StatusOK {
		var answer stsAnswer
		if xml.Unmarshal(body, &answer) != nil {
			return nil, foreign
		}
		return &answer, nil
	}
	refusal := &stsError{Status: status}
	if xml.Unmarshal(body, refusal) != nil || refusal.Code == "" {
		return nil, foreign
	}
	return nil, refusal
}

// passing reports a fault of the network or of AWS that says nothing about this
// login, and may be over with the next request.
func passing(err error) bool {
	var (
		api *stsError
		bad *badAnswer
		dns *net.DNSError
		tls *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &api):
		switch api.Code {
		case "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
			"RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "PriorRequestNotComplete",
			"RequestTimeout", "RequestTimeoutException":
			return true
		}
		return api.Status >= 500
	case errors.As(err, &bad):
		return bad.passing
	case errors.As(err, &tls):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}
