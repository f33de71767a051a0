package cloud_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

const jobToken = "job-token-3f9a71c0d2e84b55"

// answering is a client whose service answers with these statuses in turn, and then
// with the last; 0 is no answer.
func answering(body string, statuses ...int) (c cloud.Client, clock *sandbox.Clock, asked *int) {
	clock, asked = sandbox.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)), new(int)
	return cloud.Client{
		Ask: func(r *http.Request) (*http.Response, []byte, error) {
			status := statuses[min(*asked, len(statuses)-1)]
			*asked++
			if err := r.Context().Err(); err != nil || status == 0 || r.Header.Get("Metadata") != jobToken {
				return nil, nil, cmp.Or(err, errors.New("no answer: "+jobToken))
			}
			return &http.Response{StatusCode: status, Header: http.Header{}}, []byte(body), nil
		},
		Patience: 10 * time.Minute, Now: clock.Now, Sleep: clock.Sleep, Getenv: func(string) string { return "" },
	}, clock, asked
}

func get(ctx context.Context, c cloud.Client) (string, error) {
	q := cloud.Question{
		Who: "The service", URL: "http://127.0.0.1/token?audience=x", Advice: "Do something.",
		Header: http.Header{"Metadata": {jobToken}}, Sent: []secret.String{secret.New(jobToken)},
	}
	return cloud.AskMetadata(ctx, c, q, func(body []byte) (string, error) { return string(body), nil })
}

// What passes is asked for again, as long as the services' documentation says, but
// not beyond the caller's patience; what does not is told at once.
func TestTries(t *testing.T) {
	const long = 10 * time.Minute
	for _, c := range []struct {
		statuses []int
		patience time.Duration
		tries    int
		waited   time.Duration
		exit     int // 0: there is a token
	}{
		{[]int{200}, long, 1, 0, 0},
		{[]int{404, 429, 500, 503, 200}, long, 5, 15 * time.Second, 0},
		{[]int{0, 200}, long, 2, time.Second, 0},
		{[]int{410, 410, 410, 410, 410, 410, 410, 410, 200}, long, 9, 79 * time.Second, 0},
		{[]int{0}, long, 3, 3 * time.Second, failure.ExitNetwork},
		{[]int{503}, long, 6, 31 * time.Second, failure.ExitNetwork},
		{[]int{429}, long, 6, 31 * time.Second, failure.ExitNetwork},
		{[]int{404}, long, 6, 31 * time.Second, failure.ExitAWS},
		{[]int{410}, long, 9, 79 * time.Second, failure.ExitNetwork},
		{[]int{410}, 45 * time.Second, 6, 31 * time.Second, failure.ExitNetwork},
		{[]int{503}, 2 * time.Second, 2, time.Second, failure.ExitNetwork},
		{[]int{400}, long, 1, 0, failure.ExitAWS},
		{[]int{401}, long, 1, 0, failure.ExitAWS},
		{[]int{403}, long, 1, 0, failure.ExitAWS},
		{[]int{302}, long, 1, 0, failure.ExitNetwork},
		{[]int{204}, long, 1, 0, failure.ExitNetwork},
	} {
		m, clock, asked := answering("words", c.statuses...)
		m.Patience = c.patience
		started := clock.Now()
		body, err := get(t.Context(), m)
		exit := 0
		if err != nil {
			exit = failure.From(err).Exit
		} else if body != "words" {
			t.Errorf("%v: %q", c.statuses, body)
		}
		if waited := clock.Now().Sub(started); exit != c.exit || *asked != c.tries || waited != c.waited {
			t.Errorf("%v: exit %d after %d tries and %v, want %d, %d, %v (%v)", c.statuses, exit, *asked, waited, c.exit, c.tries, c.waited, err)
		}
	}
}

// A wait and a request end with the command.
func TestInterruptedWait(t *testing.T) {
	m, _, _ := answering("", http.StatusServiceUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	m.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if _, err := get(ctx, m); failure.From(err).Exit != failure.ExitInterrupt {
		t.Errorf("a wait that was ended: %v", err)
	}
	if _, err := get(ctx, m); failure.From(err).Exit != failure.ExitInterrupt {
		t.Errorf("a request that was ended: %v", err)
	}
}

// A refusal is told in the service's words, on one line, without the secret that
// was sent.
func TestWords(t *testing.T) {
	long := strings.Repeat("word ", 200)
	for body, want := range map[string]string{
		"plain\n words.": "(status 400: plain words)",
		`{"error":"invalid_request","error_description":"Identity not found."}`: "(status 400: invalid_request: Identity not found)",
		`{"error":{"code":"Bad","message":"no"}}`:                               `(status 400: {"error":{"code":"Bad","message":"no"}})`,
		`{"statusCode":400,"message":"no"}`:                                     "(status 400: no)",
		"":                                                                      "(status 400)",
		"you sent " + jobToken:                                                  "(status 400)",
		"you sent " + jobToken[:12] + " " + jobToken[12:]:                       "(status 400)",
		"you sent ..." + jobToken[:24]:                                          "(status 400)",
		long:                                                                    "...)",
	} {
		m, _, _ := answering(body, http.StatusBadRequest)
		_, err := get(t.Context(), m)
		f := failure.From(err)
		if line := f.Lines[0]; !strings.HasSuffix(line, want+".") || len(line) > 400 || f.Lines[1] != "Do something." {
			t.Errorf("%.40q: %q, want %q", body, f.Lines, want)
		}
	}
}

// The environment moves a metadata server to this machine, and nowhere else.
func TestBase(t *testing.T) {
	own := []string{"http://metadata.example", "http://192.0.2.1"}
	for value, want := range map[string]string{
		"": own[0], "metadata.example": own[0], "192.0.2.1": own[1], "http://192.0.2.1/": own[1],
		"127.0.0.1:8080": "http://127.0.0.1:8080", "http://localhost:1": "http://localhost:1", "[::1]:80": "http://[::1]:80", "https://127.0.0.1": "https://127.0.0.1",
		"evil.example": "", "https://evil.localhost": "", "127.0.0.1.evil.example": "", "http://a@127.0.0.1": "", "127.0.0.1?": "", "127.0.0.1#": "", "10.0.0.1": "", "file:///x": "", "metadata.example:8080": "",
	} {
		m, _, _ := answering("", 200)
		m.Getenv = func(name string) string { return map[string]string{"SERVER": value}[name] }
		got, err := m.Base("SERVER", own...)
		if got != want || (err == nil) != (want != "") || err != nil && failure.From(err).Exit != failure.ExitUsage {
			t.Errorf("%q: %q, %v, want %q", value, got, err, want)
		}
	}
}

// What the transport knows of its proxy is told as it is, and what it says of a broken
// answer is not if that repeats the secret. A certificate that does not serve now will
// not serve at the next try.
func TestTransportErrors(t *testing.T) {
	m, _, _ := answering("", 0)
	if _, err := get(t.Context(), m); err == nil || failure.From(err).Lines[0] != "cannot ask The service for a token: no HTTP answer." {
		t.Error(err)
	}
	m, clock, _ := answering("", 200)
	m.Ask = func(*http.Request) (*http.Response, []byte, error) {
		return nil, nil, &tls.CertificateVerificationError{Err: errors.New("x509: not trusted")}
	}
	began := clock.Now()
	if _, err := get(t.Context(), m); err == nil || !strings.HasSuffix(failure.From(err).Lines[0], "x509: not trusted.") || clock.Now() != began {
		t.Error(err)
	}
	m.Ask = func(*http.Request) (*http.Response, []byte, error) {
		return nil, nil, fmt.Errorf("no connection: %w", failure.New(failure.ExitNetwork, nil, "no proxy."))
	}
	if _, err := get(t.Context(), m); err == nil || err.Error() != "no proxy." {
		t.Error(err)
	}
}
