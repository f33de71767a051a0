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
	"net/url"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const (
	// maxBody bounds an answer, in bytes: it holds one token.
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
		if status == http.StatusOK && err == nil {
			return body, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, failure.Interrupted(ctx.Err())
		}
		wait := time.Second << min(try-1, 4)
		if try >= tries(status) || c.Now().Add(wait).Sub(started) > c.Patience || c.Sleep(ctx, wait) != nil {
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
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return 0, nil, err
	case len(body) > maxBody:
		return response.StatusCode, nil, fmt.Errorf("its answer has more than %d bytes", maxBody)
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
	switch {
	case status == 0:
		why := err.Error()
		if errors.Is(err, context.DeadlineExceeded) {
			why = "no answer in time"
		}
		return failure.New(failure.ExitNetwork, err, r.Service+" does not answer at "+r.host()+" ("+why+").", r.Advice)
	case err != nil:
		return r.Unreadable(err.Error())
	case status == http.StatusTooManyRequests, status == http.StatusGone, status >= 500:
		return failure.New(failure.ExitNetwork, nil, r.Service+" cannot give a token now ("+said+").", "Try again later.")
	case status < 400:
		return r.Unreadable(said)
	}
	return failure.New(failure.ExitAWS, nil, r.Service+" refuses to give a token ("+said+").", r.Advice)
}

// Unreadable is the error for an answer that is not what the service sends.
func (r Request) Unreadable(why string) *failure.Error {
	return failure.New(failure.ExitNetwork, nil, r.Service+" does not answer as it should at "+r.host()+" ("+why+").", r.Advice)
}

func (r Request) host() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "its address"
	}
	return u.Host
}

// words is what a service says about a refusal, on one line of bounded length: the
// code and the text of JSON, or the body. What repeats the secret that was sent is
// dropped.
func words(body []byte, sent secret.String) string {
	text := string(body)
	var fields map[string]any
	if json.Unmarshal(body, &fields) == nil {
		if inner, ok := fields["error"].(map[string]any); ok {
			fields = inner
		}
		var parts []string
		for _, name := range []string{"error", "code", "error_description", "message"} {
			if value, ok := fields[name].(string); ok && value != "" {
				parts = append(parts, value)
			}
		}
		text = strings.Join(parts, ": ")
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if value := sent.Reveal(); len(value) > 8 && strings.Contains(strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(value, " ", "")) {
		return ""
	}
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return strings.TrimRight(text, ".")
}

// Base returns the address of a metadata server: its own, unless the environment
// names another one. That is for the clouds' emulators and is on this machine: the
// server's answer decides whose token is sent to AWS.
func (c Client) Base(variable, own string) (string, error) {
	named := c.Getenv(variable)
	with := named
	if with != "" && !strings.Contains(with, "://") {
		with = "http://" + with
	}
	with = strings.TrimSuffix(with, "/")
	switch {
	case named == "", with == own:
		return own, nil
	case address.Check(with, true) == nil && address.OnLoopback(with) && !strings.ContainsAny(with, "?#"):
		return with, nil
	}
	return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("%s %q: want an address on this machine (loopback).", variable, named), "Unset it: the metadata server's own address is then used.")
}
