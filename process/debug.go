package process

import (
	"net/http"
	"time"
)

// debug notes a step for DAYPASS_DEBUG. What is noted are names, times and
// outcomes: no body, no query, no header.
func (p *Pipeline) debug(step string, args ...any) {
	if p.Debug != nil {
		p.Debug.Info(step, args...)
	}
}

// noted is transport with its requests noted.
func (p *Pipeline) noted(transport http.RoundTripper) http.RoundTripper {
	if p.Debug == nil {
		return transport
	}
	return notedTransport{p, transport}
}

type notedTransport struct {
	p *Pipeline
	http.RoundTripper
}

func (t notedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	started := time.Now()
	response, err := t.RoundTripper.RoundTrip(r)
	args := []any{"method", r.Method, "host", r.URL.Host, "path", r.URL.Path, "took", time.Since(started).Round(time.Millisecond)}
	if err != nil {
		t.p.debug("request", append(args, "error", reason(err))...)
		return nil, err
	}
	t.p.debug("request", append(args, "status", response.StatusCode)...)
	return response, nil
}
