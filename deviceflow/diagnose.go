package deviceflow

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Diagnosis is what a provider publishes, for somebody who looks for a fault.
type Diagnosis struct {
	Host     string
	Answered bool // the provider gave some answer
	// Skew is the provider's clock minus ours, to a second. It is known where
	// SkewKnown is set: the answer had a Date header.
	Skew      time.Duration
	SkewKnown bool

	// What follows is the discovery document's, and empty with an error.

	DeviceAuthorizationEndpoint string   // "" if it names none
	SigningAlgorithms           []string // of ID tokens; nil if it lists none
	STSAlgorithms               []string // those of them that AWS STS takes
	Scopes                      []string // supported; nil if it lists none
	RequestedScopes             []string // that a login asks for
}

// Diagnose fetches the discovery document, whatever is remembered of it. With an
// error, the diagnosis holds what is known of the host and its clock.
func (f *Flow) Diagnose(ctx context.Context) (Diagnosis, error) {
	seen := &firstAnswer{next: f.transport()}
	fresh := &Flow{Issuer: f.Issuer, Transport: seen, Memory: f.Memory, Now: f.Now}
	p, err := fresh.discover(ctx)
	d := Diagnosis{Host: hostOf(f.Issuer), Answered: seen.answered, Skew: fresh.skew, SkewKnown: seen.dated}
	if err != nil {
		return d, err
	}
	f.mu.Lock()
	f.known = p
	f.mu.Unlock()
	d.DeviceAuthorizationEndpoint = p.DeviceAuthorizationEndpoint
	for _, algorithm := range p.SigningAlgorithms {
		if slices.Contains(stsAlgorithms(), algorithm) {
			d.STSAlgorithms = append(d.STSAlgorithms, algorithm)
		}
	}
	for _, algorithm := range p.SigningAlgorithms[:min(len(p.SigningAlgorithms), 20)] { // RFC 7518 has 13
		d.SigningAlgorithms = append(d.SigningAlgorithms, clean(algorithm, 32))
	}
	d.Scopes, d.RequestedScopes = p.Scopes, f.scopes(p)
	return d, nil
}

// firstAnswer is a transport that notes whether there was an answer, and with a
// time in it.
type firstAnswer struct {
	next            http.RoundTripper
	answered, dated bool
}

// RoundTrip implements [http.RoundTripper].
func (a *firstAnswer) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if err == nil {
		_, invalid := http.ParseTime(response.Header.Get("Date"))
		a.answered, a.dated = true, invalid == nil
	}
	return response, err
}
