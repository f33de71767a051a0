// Package metadata asks the services that tell a workload who it is: the metadata
// servers of Azure and Google Cloud, and the token endpoint of a GitHub job. They
// have the same rules: one GET with a header that no web page can make a browser
// send, no redirect, and another try where the services' documentation asks for it.
package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const (
	// maxBody bounds what is read of an answer, in bytes: it holds one token.
	maxBody = 256 << 10
	// requestTime bounds one try.
	requestTime = 10 * time.Second
)

// Client asks metadata services. It follows no redirect.
type Client struct {
	// Transport carries the requests. To a metadata server it must use no proxy: the
	// address means another machine to the proxy.
	Transport http.RoundTripper
	// Patience is how long a service that cannot answer yet is asked again.
	Patience time.Duration
	Getenv   func(string) string
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error // waits for d or until ctx ends
}

// Request is one question to a service.
type Request struct {
	Service string // for people, as the beginning of a sentence
	URL     string
	// Header is the name of the one header that the service insists on.
	Header string
	Value  secret.String
	Advice string // the line below what went wrong, or ""
}

// Get returns the body of the answer, which has status 200. Every error is a
// [*failure.Error], with the service's own words if it has said any.
func (c Client) Get(ctx context.Context, r Request) ([]byte, error) {
	started := c.Now()
	for try := 1; ; try++ {
		status, body, err := c.try(ctx, r)
		if status == http.StatusOK {
			return body, nil
		}
		wait := time.Second << min(try-1, 4)
		ended := try >= tries(status) || c.Now().Add(wait).Sub(started) > c.Patience || c.Sleep(ctx, wait) != nil
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return nil, failure.Interrupted(ctx.Err())
		case ended:
			return nil, r.explain(status, body, err)
		}
	}
}

// tries is how often a service is asked that answers with this status, or not at
// all (0). With pauses of 1, 2, 4, 8 and then 16 s, that is 31 s, and more than the
// 70 s that Azure's service may take to come back after an update (410).
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
// https://cloud.google.com/compute/docs/troubleshooting/troubleshoot-metadata-server
func tries(status int) int {
	switch {
	case status == 0:
		return 3
	case status == http.StatusGone:
		return 9
	case status == http.StatusNotFound, status == http.StatusTooManyRequests, status >= 500:
		return 6
	}
	return 1
}

// try asks once. It does not use an http.Client: that would follow redirects, and
// puts the URL into its errors. The status is 0 if there was no answer.
func (c Client) try(ctx context.Context, r Request) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return 0, nil, errors.New("its address is not a URL")
	}
	request.Header.Set(r.Header, r.Value.Reveal())
	response, err := c.Transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(response.Body, maxBody)); err != nil {
		return 0, nil, err
	}
	return response.StatusCode, body, nil
}

// explain says why there is no token: with exit code 5 what the service refuses,
// with 6 what may pass.
func (r Request) explain(status int, body []byte, err error) *failure.Error {
	said := fmt.Sprintf("status %d", status)
	if words := words(body, r.Value); words != "" {
		said += ": " + words
	}
	var known *failure.Error
	switch {
	case errors.As(err, &known): // of the proxy
		return known
	case status == 0:
		why := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			why = "no answer in time"
		}
		return failure.New(failure.ExitNetwork, err, r.Service+" does not answer ("+why+").", r.Advice)
	case status == http.StatusTooManyRequests, status == http.StatusGone, status >= 500:
		return failure.New(failure.ExitNetwork, nil, r.Service+" cannot give a token now ("+said+").", "Try again later.")
	case status < 400:
		return r.Unreadable(said)
	}
	return failure.New(failure.ExitAWS, nil, r.Service+" refuses to give a token ("+said+").", r.Advice)
}

// Unreadable is the error for an answer that is not what the service sends.
func (r Request) Unreadable(why string) *failure.Error {
	return failure.New(failure.ExitNetwork, nil, r.Service+" does not answer as it should ("+why+").", r.Advice)
}

// words is what a service says about a refusal, on one line of bounded length: the
// code and the text of JSON, or the body. What repeats the secret that was sent is
// dropped.
func words(body []byte, sent secret.String) string {
	text := string(body)
	var e struct {
		Error, Message string
		Description    string `json:"error_description"`
	}
	if json.Unmarshal(body, &e) == nil {
		text = strings.Trim(e.Error+": "+e.Description+e.Message, ": ")
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text[:min(len(text), 4<<10)], "")), " ")
	if repeats(strings.ReplaceAll(text, " ", ""), sent) {
		return ""
	}
	text = strings.TrimRight(text, ".")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}

// repeats reports whether a text holds a piece of a secret.
func repeats(text string, sent secret.String) bool {
	const piece = 16
	value := sent.Reveal()
	for i := range max(len(value)-piece+1, 0) {
		if strings.Contains(text, value[i:i+piece]) {
			return true
		}
	}
	return false
}

// Base returns the address of a metadata server: the first of its own, unless the
// environment names another one. That is for emulators and tests, on this machine
// alone: the answer decides whose token is sent to AWS.
func (c Client) Base(variable string, own ...string) (string, error) {
	named := c.Getenv(variable)
	with := named
	if with != "" && !strings.Contains(with, "://") {
		with = "http://" + with
	}
	with = strings.TrimSuffix(with, "/")
	switch {
	case named == "":
		return own[0], nil
	case slices.Contains(own, with):
		return with, nil
	case address.Check(with, true) == nil && address.OnLoopback(with) && !strings.ContainsAny(with, "?#"):
		return with, nil
	}
	return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("%s %q: want an address on this machine (loopback).", variable, named), "Unset it: the metadata server's own address is then used.")
}
