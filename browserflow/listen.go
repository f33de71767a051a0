package browserflow

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const (
	maxCode    = 16 << 10        // bytes
	lingerTime = 5 * time.Second // for the last page to be fetched
)

// ServeHTTP implements [http.Handler].
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	path, _, _ := strings.Cut(r.RequestURI, "?") // as it was sent, undecoded
	switch {
	case !strings.EqualFold(r.Host, l.host) || path != l.path && r.RequestURI != l.last:
		l.link.ServeHTTP(w, r) // to the provider, or 404
	case r.Method != http.MethodGet:
		http.Error(w, "GET only", http.StatusMethodNotAllowed)
	case path == l.path:
		l.answer(w, r)
	default:
		select {
		case <-l.finished:
			l.page.write(w)
			l.showOnce()
		default:
			http.NotFound(w, r)
		}
	}
}

// answer takes the redirect of the provider (RFC 6749 section 4.1.2). What is not the
// one answer changes nothing.
func (l *Listener) answer(w http.ResponseWriter, r *http.Request) {
	answer, problem := l.read(r.URL.RawQuery)
	if problem == "" && !l.take(answer) {
		problem = "This login has been answered already."
	}
	if problem != "" {
		Page{Title: "Nothing was changed", Text: problem + " If your login does not go on, run in a terminal: daypass login", Failed: true}.write(w)
		return
	}
	<-l.finished
	// The last page is at an address without code and state, which stay out of the
	// history of the browser.
	w.Header().Set("Location", l.last)
	w.WriteHeader(http.StatusSeeOther)
}

// read checks the query of a redirect. With a problem, which is a sentence for the
// page, it is not the answer.
func (l *Listener) read(query string) (answer Answer, problem string) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return Answer{}, "This is not the answer to a login."
	}
	for _, name := range []string{"state", "code", "iss", "error", "error_description"} {
		if len(q[name]) > 1 {
			return Answer{}, "The answer has more than one " + name + "."
		}
	}
	code, refusal := q.Get("code"), q.Get("error")
	switch {
	case !l.state.Equal(secret.New(q.Get("state"))):
		return Answer{}, "This is not the answer to the login that is open."
	case q.Has("iss") && q.Get("iss") != l.client.Issuer, l.needsIss && !q.Has("iss"): // RFC 9207 section 2.4
		return Answer{}, "The answer is from another provider."
	case (code == "") == (refusal == "") || len(code) > maxCode:
		return Answer{}, "The answer has no code."
	case refusal != "":
		return Answer{denied: l.client.Refused(refusal, q.Get("error_description"))}, ""
	}
	return Answer{code: secret.New(code)}, ""
}

// bind listens on the first of the redirect URIs that is free, and returns it with its
// port.
func bind(redirectURIs []string) (redirect *url.URL, sockets []net.Listener, err error) {
	var reasons []string
	for _, uri := range redirectURIs {
		u, _ := url.Parse(uri) // package profile has checked them
		if sockets, err = listen(u.Hostname(), cmp.Or(u.Port(), "0")); err == nil {
			_, port, _ := net.SplitHostPort(sockets[0].Addr().String())
			u.Host = net.JoinHostPort(u.Hostname(), port)
			return u, sockets, nil
		}
		reasons = append(reasons, err.Error())
	}
	return nil, nil, failure.New(failure.ExitUsage, nil, "nothing can listen on the redirect_uri of {section} ("+strings.Join(reasons, "; ")+").",
		"End the program that listens there, or register a further address at the provider and add it there.")
}

// listen listens on a host of this machine. A browser may take localhost for either
// family, and somebody else on one of them would get the answer.
func listen(host, port string) ([]net.Listener, error) {
	if !strings.EqualFold(host, "localhost") {
		socket, err := net.Listen("tcp", net.JoinHostPort(host, port))
		return []net.Listener{socket}, err
	}
	probe, noIPv6 := net.Listen("tcp6", "[::1]:0")
	if noIPv6 == nil {
		_ = probe.Close()
	}
	for try := 1; ; try++ {
		four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
		if err != nil || noIPv6 != nil {
			return []net.Listener{four}, err
		}
		_, same, _ := net.SplitHostPort(four.Addr().String())
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", same))
		if err == nil {
			return []net.Listener{four, six}, nil
		}
		_ = four.Close()
		if port != "0" || try == 10 {
			return nil, err
		}
	}
}

// Deliver brings what a browser on another machine ended up on to the listener of the
// redirect URI. The error says in a few words why it is not the answer.
func Deliver(ctx context.Context, redirectURI string, pasted secret.String) error {
	address, query, _ := strings.Cut(pasted.Reveal(), "?")
	if strings.TrimSuffix(address, "/") != strings.TrimSuffix(redirectURI, "/") {
		return errors.New("it does not begin with " + redirectURI + "?")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, redirectURI+"?"+query, nil)
	if err != nil {
		return errors.New("it is not an address")
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // no proxy, no redirect
	if err != nil {
		return errors.New("the login that it belongs to is not waiting for it")
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		return errors.New("it is not the answer to this login")
	}
	return nil
}
