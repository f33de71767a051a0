package console

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

const (
	// tries is how often a request is made that finds nobody or a server in trouble.
	tries = 3
	// requestTime bounds one request with its answer.
	requestTime = 10 * time.Second
	// answerMax bounds the body of an answer, in bytes; a real one is of a few kB.
	answerMax = 64 << 10
)

// Session are role credentials from one of the AssumeRole calls; the endpoint
// takes no others.
type Session struct {
	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String
}

// Options are what is asked for besides the sign-in itself.
type Options struct {
	// Destination is where the browser ends, see [Place.Destination].
	Destination string
	// Issuer is where AWS sends a person whose console session has ended.
	Issuer string
	// Duration of the console session, whole seconds, 15 min to 12 h. Zero: the
	// session ends with the credentials.
	Duration time.Duration
	// SignOutFirst leads the browser through AWS's sign-out on its way; the
	// endpoint has to be [Place.SignOutEndpoint].
	SignOutFirst bool
}

// SignIn is a sign-in to the console, good for 15 minutes.
type SignIn struct {
	// URL signs in whoever opens it.
	URL secret.String
	// DurationRefused: AWS did not take the Duration, so the session ends with the
	// credentials.
	DurationRefused bool
}

// Client asks the federation endpoint of AWS sign-in.
type Client struct {
	// Endpoint is the address without "/federation", see [Place.Endpoint]. Both the
	// token request and the browser go there.
	Endpoint  string
	Transport http.RoundTripper // see [NewTransport]
	// Sleep waits for d or until ctx ends.
	Sleep func(ctx context.Context, d time.Duration) error
}

// RefusedError says that AWS sign-in did not accept the credentials.
type RefusedError struct {
	Host   string
	Status int
	Said   string // by AWS, on one line, without anything as long as a secret; or ""
}

func (e *RefusedError) Error() string {
	said := ""
	if e.Said != "" {
		said = ": " + e.Said
	}
	return fmt.Sprintf("%s refused the credentials (status %d%s)", e.Host, e.Status, said)
}

// UnavailableError says that nobody or only a server in trouble was found.
type UnavailableError struct {
	Host  string
	Tries int
	Err   error // of the last try
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s does not answer (%d tries): %v", e.Host, e.Tries, e.Err)
}

// Unwrap returns the error of the last try.
func (e *UnavailableError) Unwrap() error { return e.Err }

// AnswerError says that the answer is not one of AWS sign-in.
type AnswerError struct {
	Host    string
	Problem string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("%s does not answer as AWS sign-in does: %s", e.Host, e.Problem)
}

// SignIn gets a sign-in token for the credentials, and makes the URL of it. AWS
// refuses a duration for some credentials (those of chained roles among them)
// with the same status 400 as bad ones: so it is left out once.
//
// Errors are a [*RefusedError], [*UnavailableError] or [*AnswerError], or the
// context's.
func (c *Client) SignIn(ctx context.Context, s Session, o Options) (SignIn, error) {
	durationRefused := false
	token, err := c.token(ctx, s, o.Duration)
	var refused *RefusedError
	if o.Duration > 0 && errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		durationRefused = true
		token, err = c.token(ctx, s, 0)
	}
	if err != nil {
		return SignIn{}, err
	}
	address := c.Endpoint + "/federation?" + url.Values{
		"Action":      {"login"},
		"Issuer":      {o.Issuer},
		"Destination": {o.Destination},
		"SigninToken": {token.Reveal()},
	}.Encode()
	if o.SignOutFirst {
		address = c.Endpoint + "/oauth?" + url.Values{"Action": {"logout"}, "redirect_uri": {address}}.Encode()
	}
	return SignIn{URL: secret.New(address), DurationRefused: durationRefused}, nil
}

// token asks for a sign-in token, several times if it has to.
func (c *Client) token(ctx context.Context, s Session, duration time.Duration) (secret.String, error) {
	session, err := json.Marshal(map[string]string{
		"sessionId": s.AccessKeyID, "sessionKey": s.SecretAccessKey.Reveal(), "sessionToken": s.SessionToken.Reveal(),
	})
	if err != nil {
		return secret.String{}, err
	}
	form := url.Values{"Action": {"getSigninToken"}, "Session": {string(session)}}
	if duration > 0 {
		form.Set("SessionDuration", strconv.Itoa(int(duration/time.Second)))
	}
	for try := 1; ; try++ {
		token, err := c.ask(ctx, form)
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) {
			return token, err
		}
		if ctx.Err() != nil {
			return token, ctx.Err()
		}
		if try == tries {
			unavailable.Tries = try
			return token, unavailable
		}
		if err := c.Sleep(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return token, err
		}
	}
}

// ask makes one request. The form stands in the body alone: URLs are written down
// by proxies, and by net/http in its errors.
func (c *Client) ask(ctx context.Context, form url.Values) (secret.String, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint+"/federation", strings.NewReader(form.Encode()))
	if err != nil {
		return secret.String{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	// Not an http.Client: credentials follow no redirect.
	response, err := c.Transport.RoundTrip(request)
	if err != nil {
		return secret.String{}, &UnavailableError{Host: request.URL.Host, Err: cause(err)}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax+1))
	if err != nil {
		return secret.String{}, &UnavailableError{Host: request.URL.Host, Err: cause(err)}
	}
	switch status := response.StatusCode; {
	case status >= 500 || status == http.StatusTooManyRequests:
		return secret.String{}, &UnavailableError{Host: request.URL.Host, Err: fmt.Errorf("status %d", status)}
	case status >= 400:
		return secret.String{}, &RefusedError{Host: request.URL.Host, Status: status, Said: said(body)}
	case status != http.StatusOK:
		return secret.String{}, &AnswerError{request.URL.Host, fmt.Sprintf("status %d", status)}
	}
	token, err := readToken(body)
	if err != nil {
		return secret.String{}, &AnswerError{request.URL.Host, err.Error()}
	}
	return token, nil
}

// readToken reads the token from the body of an answer. No error holds a part of
// the body.
func readToken(body []byte) (secret.String, error) {
	if len(body) > answerMax {
		return secret.String{}, fmt.Errorf("more than %d bytes", answerMax)
	}
	if strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
		return secret.String{}, errors.New("a web page instead of a sign-in token")
	}
	var answer struct{ SigninToken string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return secret.String{}, errors.New("no JSON with a sign-in token")
	}
	if answer.SigninToken == "" {
		return secret.String{}, errors.New("no sign-in token")
	}
	for i := range len(answer.SigninToken) {
		if c := answer.SigninToken[i]; c <= ' ' || c >= 0x7f {
			return secret.String{}, errors.New("a sign-in token with characters that none has")
		}
	}
	return secret.New(answer.SigninToken), nil
}

// said is a short text from a refusal. What is as long as a secret key is left
// out, for a careless server repeats what it was sent; so are web pages.
func said(body []byte) string {
	text := string(body[:min(len(body), 200)])
	if strings.Contains(text, "<") {
		return ""
	}
	var words []string
	for word := range strings.FieldsSeq(text) {
		if len(word) > 24 {
			word = "..."
		}
		words = append(words, word)
	}
	return strings.TrimRight(strings.Join(words, " "), ".")
}

// cause says why there was no answer, in the words of the system where those
// cannot hold what was sent.
func cause(err error) error {
	var (
		timeout net.Error
		dns     *net.DNSError
		network *net.OpError
		trust   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.As(err, &dns):
		return errors.New(dns.Err)
	case errors.As(err, &network):
		return fmt.Errorf("%s: %w", network.Op, network.Err)
	case errors.As(err, &trust):
		return trust
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed")
	}
	// The words of a proxy, say, or of net/http about bytes that are no answer.
	if text := said([]byte(err.Error())); text != "" {
		return errors.New(text)
	}
	return errors.New("no HTTP answer")
}
