// Package cloud asks a cloud's service for one thing, a token or a secret: with
// another try where a fault may pass, and with a failure of the service's words
// where there is none.
package cloud

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// Client asks services.
type Client struct {
	// Ask sends a request and returns the answer with its body. It follows no redirect,
	// bounds time and answers, and shows no address in its errors. To a metadata server
	// it must use no proxy: the address means another machine to the proxy.
	Ask func(*http.Request) (*http.Response, []byte, error)
	// Patience is how long a service that cannot answer yet is asked again.
	Patience time.Duration
	Getenv   func(string) string
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error // waits for d or until ctx ends
}

// Question is what a service is asked for.
type Question struct {
	Who, What string // as in "AWS cannot give the secret dev/db in eu-west-1 now"
	Advice    string // the line below, if there is no answer
	URL       string
	Header    http.Header
	Body      string                    // of a POST; without one it is a GET
	Sign      func(*http.Request) error // changes each request before it is sent; nil: nothing does
	Sent      []secret.String
	// Read takes from an answer without status 200 what it says.
	Read func(*Refused)
	// Pause is how long to wait before another try, 0 for none; r is nil if there was no
	// answer. nil is [Pause].
	Pause func(r *Refused, try int) time.Duration
	// Refusals are tried in order; the first that matches counts. Besides those of Fill
	// they may hold {who}, {what}, {code} and {said}, which is the code with the
	// service's own words.
	Refusals []failure.Refusal
	Fill     []string // pairs of a placeholder and what it is
}

// Refused is an answer without status 200.
type Refused struct {
	Status int
	Header http.Header
	Body   []byte

	Code, Message string   // of outside origin; without a code it does not come from the service
	Codes         []string // others that a row of [Question.Refusals] may have
	Passing       bool     // a fault that says nothing about the request
	Fill          []string // as in [Question]
}

func (r *Refused) Error() string { return fmt.Sprintf("status %d", r.Status) }

// Text is the first of these values that the body has, see [reference.Value], or "".
func (r *Refused) Text(names ...string) string {
	for _, name := range names {
		if value, err := reference.Value(string(r.Body), name); err == nil {
			return value.Reveal()
		}
	}
	return ""
}

// Pause allows three tries for what may pass.
func Pause(r *Refused, try int) time.Duration {
	if try >= 3 || r != nil && !r.Passing {
		return 0
	}
	return time.Duration(try) * time.Second
}

// Ask asks until there is an answer with status 200, and returns what read makes of its
// body. The error of read says what is wrong with it. Every error is a [*failure.Error].
func Ask[T any](ctx context.Context, c Client, q Question, read func(body []byte) (T, error)) (found T, err error) {
	if q.Pause == nil {
		q.Pause = Pause
	}
	started := c.Now()
	for try := 1; ; try++ {
		var known *failure.Error // of the proxy, for example
		var r *Refused
		body, err := c.send(ctx, q)
		if err == nil {
			found, err = read(body)
			if err != nil && !errors.As(err, &known) {
				err = failure.New(failure.ExitNetwork, err, q.Who+" does not answer as it should ("+err.Error()+").", q.Advice)
			}
			return found, err
		}
		if errors.As(err, &known) {
			return found, known
		}
		errors.As(err, &r)
		pause := q.Pause(r, try)
		if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
			pause = 0 // the next try would find the same one
		}
		if pause == 0 || ctx.Err() != nil || c.Now().Add(pause).Sub(started) > c.Patience || c.Sleep(ctx, pause) != nil {
			return found, q.explain(ctx, err, r)
		}
	}
}

// send sends the question once. The error is a [*Refused] if there is an answer.
func (c Client) send(ctx context.Context, q Question) ([]byte, error) {
	method := http.MethodGet
	if q.Body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, q.URL, strings.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	request.Header = q.Header.Clone()
	if q.Sign != nil {
		if err := q.Sign(request); err != nil {
			return nil, err
		}
	}
	response, body, err := c.Ask(request)
	if err != nil || response.StatusCode == http.StatusOK {
		return body, err
	}
	r := &Refused{
		Status: response.StatusCode, Header: response.Header, Body: body,
		Passing: response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests,
	}
	q.Read(r)
	return nil, r
}

// explain says why a question has no answer.
func (q Question) explain(ctx context.Context, err error, r *Refused) *failure.Error {
	switch why := cmp.Or(q.shown(err.Error()), "no HTTP answer"); {
	case errors.Is(ctx.Err(), context.Canceled):
		return failure.Interrupted(err)
	case r == nil:
		return failure.New(failure.ExitNetwork, err, "cannot ask "+q.Who+" for "+q.What+": "+why+".", q.Advice)
	}
	code := q.shown(r.Code)
	said := cmp.Or(strings.Trim(code+": "+q.shown(r.Message), ": "), r.Error())
	if r.Passing || r.Code == "" {
		return failure.New(failure.ExitNetwork, err, q.Who+" cannot give "+q.What+" now ("+said+").", "Try again later. Is there a proxy or a login page in between?")
	}
	return failure.Refused(err, q.Refusals, append(r.Codes, r.Code), r.Message, append(append(q.Fill, r.Fill...), "{who}", q.Who, "{what}", q.What, "{code}", code, "{said}", said)...)
}

// shown is a text of the service's for people; "" if it repeats what was sent.
func (q Question) shown(text string) string {
	if text = secret.Foreign(text, q.Sent...); text == "..." {
		return ""
	}
	return text
}
