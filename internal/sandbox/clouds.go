package sandbox

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// hostRoute is who answers a request to one of the clouds' real names.
func (s *Sandbox) hostRoute(r *http.Request) (route, bool) {
	host := hostname(r.Host)
	switch service, _ := awsService(r); {
	case host == entraHost:
		return s.entraRoute(r), true
	case strings.HasSuffix(host, vaultSuffix):
		return route{"keyvault", http.MethodGet, s.vaultSecret}, true
	case !strings.HasSuffix(host, ".amazonaws.com"):
		return route{}, false
	case service == "sts":
		return s.stsRoute(r), true
	case service == secretsManager, service == parameterStore, service == cognito:
		return s.jsonRoute(r), true
	}
	return route{}, false
}

// isKnown reports whether the sandbox plays a host.
func (s *Sandbox) isKnown(host string) bool {
	if vault, inAzure := strings.CutSuffix(host, vaultSuffix); inAzure {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.vaults[vault] != ""
	}
	_, found := s.hostRoute(&http.Request{Host: host, URL: &url.URL{Path: "/"}})
	return found
}

// CloudHosts are the hosts of Azure and AWS that [Sandbox.Cloud] plays.
func CloudHosts() []string {
	return []string{entraHost, "*" + vaultSuffix, "*.eu-west-1.amazonaws.com"}
}

// Cloud plays Azure and AWS, for [StartInternet].
func (s *Sandbox) Cloud(w http.ResponseWriter, r *http.Request) {
	if !s.isKnown(hostname(r.Host)) {
		http.Error(w, "nobody plays "+r.Host, http.StatusMisdirectedRequest)
		return
	}
	s.handle(w, r)
}

// Transport leads requests to the clouds' real names into the sandbox, without TLS.
// Other hosts do not exist, as DNS says it.
func (s *Sandbox) Transport() http.RoundTripper { return leading{s} }

type leading struct{ s *Sandbox }

func (l leading) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	if r.URL.Scheme != "https" || !l.s.isKnown(host) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	led := r.Clone(r.Context())
	led.Host = host
	led.URL.Scheme, led.URL.Host = "http", strings.TrimPrefix(l.s.URL, "http://")
	return http.DefaultTransport.RoundTrip(led)
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// FailCall has the next calls of a service, in the words of [Sandbox.Count],
// answered with these errors, one each, whatever they ask for.
func (s *Sandbox) FailCall(service string, errors ...STSError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[service] = append(s.failures[service], errors...)
}

// failure takes the next error of [Sandbox.FailCall]; s.mu is held.
func (s *Sandbox) failure(service string) (STSError, bool) {
	all := s.failures[service]
	if len(all) == 0 {
		return STSError{}, false
	}
	s.failures[service] = all[1:]
	return all[0], true
}
