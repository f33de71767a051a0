package idp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// The requests, as errors name them.
const (
	OpDevice     = "device authorization"
	OpAuthorize  = "authorization" // in a browser
	OpPoll       = "token"
	OpRefresh    = "refresh"
	OpRevocation = "revocation"
	OpDiscovery  = "discovery"
	OpKeys       = "keys"
)

const formType = "application/x-www-form-urlencoded"

// maxBody bounds an answer, in bytes.
const maxBody = 1 << 20

// ask sends a request to an endpoint of the provider. If that answers 404, the provider
// may have moved: the discovery document is fetched anew, and the new endpoint asked if
// there is one.
func (c *Client) ask(ctx context.Context, endpoint func(Metadata) string, send func(to string) (Answer, error)) (Answer, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return Answer{}, err
	}
	got, err := send(endpoint(m))
	if got.Status == http.StatusNotFound {
		if moved, failed := c.Rediscover(ctx); failed == nil && endpoint(moved) != endpoint(m) {
			return send(endpoint(moved))
		}
	}
	return got, err
}

// Post sends one form, with the client's id and secret added, to an endpoint of the
// provider, and reads the answer whole, whatever its status. It follows no redirect.
func (c *Client) Post(ctx context.Context, op string, endpoint func(Metadata) string, form url.Values) (Answer, error) {
	return c.ask(ctx, endpoint, func(to string) (Answer, error) { return c.post(ctx, op, to, form) })
}

func (c *Client) post(ctx context.Context, op, endpoint string, form url.Values) (Answer, error) {
	// Discovery's endpoints were checked; the others come from the configuration.
	if err := c.CheckAddress(endpoint); err != nil {
		return Answer{}, failure.New(failure.ExitUsage, err, "the endpoint for "+op+" cannot be used: "+err.Error()+".", "Check {section}.")
	}
	form.Set("client_id", c.ClientID)
	if !c.ClientSecret.Empty() {
		form.Set("client_secret", c.ClientSecret.Reveal())
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", formType)
	// A connection kept from poll to poll may be closed by the provider (Node does
	// it after 5 s, the usual interval) at the very moment the next request goes
	// out, and then it is not known whether that arrived.
	request.Close = true
	return c.send(request, op, secretsIn(form))
}

// secretsIn are the values of a form that no error may repeat.
func secretsIn(form url.Values) []string {
	var secrets []string
	for _, name := range []string{"client_secret", "device_code", "code", "code_verifier", "refresh_token", "token"} {
		if value := form.Get(name); value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// get fetches one JSON object that the provider publishes. It follows three
// redirects on the same host. No secret goes through it.
func (c *Client) get(ctx context.Context, op, endpoint string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTime)
	defer cancel()
	for redirects := 0; ; redirects++ {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
		if err != nil {
			return Answer{}, err
		}
		got, err := c.send(request, op, nil)
		switch {
		case err != nil, got.OK():
			return got, err
		case got.location == nil, redirects == 3, !strings.EqualFold(got.location.Host, request.URL.Host), c.CheckAddress(got.location.String()) != nil:
			return got, got.Err()
		}
		endpoint = got.location.String()
	}
}

// send sends one request, measures the provider's clock and reads the answer.
//
// It does not use an http.Client: that would follow redirects, with the secret in
// the request, and puts the URL into its errors.
func (c *Client) send(request *http.Request, op string, secrets []string) (Answer, error) {
	e := ProviderError{Op: op, Host: clean(request.URL.Host, 100)}
	var connected atomic.Bool // hooks run on goroutines of the transport
	trace := &httptrace.ClientTrace{
		// A transport that finds a kept connection dead before it wrote anything
		// starts again.
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	request.Header.Set("Accept", "application/json")
	// Answers are short, and some servers compress in ways that net/http does not know.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.Transport.RoundTrip(request)
	var body []byte
	if err == nil {
		defer response.Body.Close()
		c.measureSkew(response.Header)
		body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	}
	if err != nil && secret.Repeats(err.Error(), secrets...) { // net/http quotes what is not HTTP
		err = errors.New("no HTTP answer")
	}
	if err != nil {
		// After a connection was there, the provider may have read the request.
		e.Lost, e.Cause = connected.Load() && request.Method == http.MethodPost, err
		return Answer{}, c.explain(&e)
	}
	return c.readAnswer(e, response, body, secrets), nil
}

// measureSkew compares clocks by the Date header, which has a resolution of one
// second. An answer out of a cache says by Age how old it is.
func (c *Client) measureSkew(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil && age > 0 && age < 1e6 {
		date = date.Add(time.Duration(age) * time.Second)
	}
	skew := date.Sub(c.Clock()).Round(time.Second)
	c.skew = &skew
}
