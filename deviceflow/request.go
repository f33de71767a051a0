package deviceflow

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
)

// The requests, as errors name them.
const (
	opDevice     = "device authorization"
	opToken      = "token"
	opRefresh    = "refresh"
	opDiscovery  = "discovery"
	opKeys       = "keys"
	opRevocation = "revocation"
)

// maxBody bounds an answer, in bytes after decompression.
const maxBody = 1 << 20

// maxRetryAfter bounds what a Retry-After header can ask for.
const maxRetryAfter = time.Hour

// post sends one form and reads the answer whole, whatever its status. The error
// is an *UnreachableError or a *LostError.
func (f *Flow) post(ctx context.Context, op, endpoint string, form url.Values) (answer, error) {
	host := hostOf(endpoint)
	if err := checkURL(endpoint); err != nil {
		return answer{}, &UnreachableError{Op: op, Host: host, Err: err}
	}
	form.Set("client_id", f.ClientID)
	if !f.ClientSecret.Empty() {
		form.Set("client_secret", f.ClientSecret.Reveal())
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, &UnreachableError{Op: op, Host: host, Err: err}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	// A connection kept from poll to poll may be closed by the provider (Node does
	// it after 5 s, the usual interval) at the very moment the next request goes
	// out, and then it is not known whether that arrived.
	request.Close = true

	response, sent, err := f.roundTrip(request)
	if err != nil && !sent {
		return answer{}, &UnreachableError{Op: op, Host: host, Err: err}
	}
	if err != nil {
		return answer{}, &LostError{Op: op, Host: host, Err: err}
	}
	defer response.Body.Close()
	body, err := readBody(response.Body)
	if err != nil && !errors.Is(err, errTooLarge) {
		return answer{}, &LostError{Op: op, Host: host, Err: err}
	}
	return readAnswer(op, host, response, body, err, secretsIn(form), f.now()), nil
}

// roundTrip sends one request and measures the provider's clock. sent reports
// whether an error came after a connection was there, so that the provider may
// have read the request.
//
// It is not an http.Client: that would follow redirects, with the secret in the
// request, and puts the URL into its errors.
func (f *Flow) roundTrip(request *http.Request) (response *http.Response, sent bool, err error) {
	var connected atomic.Bool // hooks run on goroutines of the transport
	trace := &httptrace.ClientTrace{
		// A transport that finds a kept connection dead before it wrote anything
		// starts again.
		GetConn: func(string) { connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	response, err = f.transport().RoundTrip(request)
	if err != nil {
		if strings.Contains(err.Error(), "invalid proxy address") {
			// net/http quotes the variable, and there may be a password in it.
			err = errors.New("the proxy variables of the environment hold no valid address")
		}
		return nil, connected.Load(), err
	}
	f.measureSkew(response.Header)
	return response, true, nil
}

var errTooLarge = errors.New("the answer has more than 1 MiB")

func readBody(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	return body, nil
}

// measureSkew compares clocks by the Date header, which has a resolution of one
// second. An answer out of a cache says by Age how old it is.
func (f *Flow) measureSkew(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	if age, err := strconv.Atoi(header.Get("Age")); err == nil && age > 0 && age < 1e6 {
		date = date.Add(time.Duration(age) * time.Second)
	}
	skew := date.Sub(f.now()).Round(time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skew = skew
}

// secretsIn are the values of a form that no error may repeat.
func secretsIn(form url.Values) []string {
	var secrets []string
	for _, name := range []string{"client_secret", "device_code", "code_verifier", "refresh_token", "token"} {
		if value := form.Get(name); value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// retryAfter reads the Retry-After header: seconds or a date (RFC 9110 section
// 10.2.3). It returns 0 if there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(date.Sub(now).Round(time.Second), 0), maxRetryAfter)
	}
	return 0
}
