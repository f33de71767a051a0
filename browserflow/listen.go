package browserflow

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/handover"
	"github.com/daypass/daypass/secret"
)

const (
	maxCode    = 16 << 10        // bytes
	headerTime = 5 * time.Second // for a request to come in
	replyTime  = 2 * time.Minute // for an answer, which waits for the login to be stored
	lingerTime = 5 * time.Second // for the last page to be fetched
)

// Listener is the end of an authorization on this machine: it leads a browser to the
// provider, takes the one answer, and shows the person what came of it.
type Listener struct {
	Authorization
	Answers chan Answer // gets the one answer that counts

	flow     *Flow
	host     string // of the redirect, as browsers send it
	path     string
	last     string // path of the last page
	needsIss bool   // the provider promises iss (RFC 9207)
	link     *handover.Link
	server   *http.Server
	taken    atomic.Bool
	page     Page
	finished chan struct{} // closed when page is there
	shown    chan struct{} // closed by showOnce
	showOnce func()
}

// Listen makes an authorization and waits for its answer until [Listener.Finish] or
// [Listener.Close] is called.
func (f *Flow) Listen(ctx context.Context) (*Listener, error) {
	redirect, sockets, err := f.bind()
	if err != nil {
		return nil, err
	}
	a, m, err := f.authorize(ctx, redirect.String())
	if err != nil {
		closeAll(sockets)
		return nil, err
	}
	l := &Listener{
		Authorization: a, Answers: make(chan Answer, 1), flow: f, needsIss: m.IssParameter,
		host: strings.TrimSuffix(redirect.Host, ":80"), path: cmp.Or(redirect.EscapedPath(), "/"), last: "/" + rand.Text(),
		link:     handover.New(sockets[0].Addr().String(), secret.New(a.Address)),
		finished: make(chan struct{}), shown: make(chan struct{}),
	}
	l.showOnce = sync.OnceFunc(func() { close(l.shown) })
	l.Start = l.link.Address()
	l.link.Stop = func() {
		if stolen := <-l.link.Fetched; stolen != nil && l.taken.CompareAndSwap(false, true) {
			l.Answers <- Answer{denied: failure.New(failure.ExitUnexpected, stolen,
				fmt.Sprintf("%v, so nobody was logged in.", stolen), "Run: daypass login --no-browser{flag}")}
		}
	}
	l.server = &http.Server{
		Handler: l, ReadTimeout: headerTime, WriteTimeout: replyTime,
		MaxHeaderBytes:               64 << 10,                   // cookies of other servers on this host among them
		ErrorLog:                     log.New(io.Discard, "", 0), // it names addresses
		DisableGeneralOptionsHandler: true,
	}
	l.server.SetKeepAlivesEnabled(false)
	for _, socket := range sockets {
		go func() { _ = l.server.Serve(socket) }() // until Close
	}
	return l, nil
}

// Finish shows the person a page, and ends the listener when it was read or nobody
// came for it.
func (l *Listener) Finish(p Page) {
	l.page = p
	close(l.finished)
	select {
	case <-l.shown:
	case <-time.After(lingerTime):
	}
	l.Close()
}

// Close ends the listener. Answers that are being written are finished.
func (l *Listener) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = errors.Join(l.server.Shutdown(ctx), l.server.Close())
}

// ServeHTTP implements [http.Handler].
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	if problem == "" && !l.taken.CompareAndSwap(false, true) {
		problem = "This login has been answered already."
	}
	if problem != "" {
		Page{Title: "Nothing was changed", Text: problem + " If your login does not go on, run in a terminal: daypass login", Failed: true}.write(w)
		return
	}
	l.Answers <- answer
	select {
	case <-l.finished:
	case <-r.Context().Done():
	}
	// The last page is at an address without code and state, which stay out of the
	// history of the browser.
	setHeaders(w.Header())
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
	case !l.State.Equal(secret.New(q.Get("state"))):
		return Answer{}, "This is not the answer to the login that is open."
	case q.Has("iss") && q.Get("iss") != l.flow.Issuer, l.needsIss && !q.Has("iss"): // RFC 9207 section 2.4
		return Answer{}, "The answer is from another provider."
	case (code == "") == (refusal == "") || len(code) > maxCode:
		return Answer{}, "The answer has no code."
	case refusal != "":
		return Answer{denied: l.flow.Refused(refusal, q.Get("error_description"))}, ""
	}
	return Answer{code: secret.New(code)}, ""
}

// CheckRedirect reports whether one of the redirect addresses can be listened on.
func (f *Flow) CheckRedirect() error {
	_, sockets, err := f.bind()
	closeAll(sockets)
	return err
}

// bind listens on the first of the redirect addresses that is free, and returns it
// with its port.
func (f *Flow) bind() (redirect *url.URL, sockets []net.Listener, err error) {
	var taken []string
	for _, uri := range f.RedirectURIs {
		u, err := url.Parse(uri)
		if err != nil {
			return nil, nil, err // package profile has checked them
		}
		if sockets, err = listen(u.Hostname(), cmp.Or(u.Port(), "0")); err == nil {
			_, port, _ := net.SplitHostPort(sockets[0].Addr().String())
			u.Host = net.JoinHostPort(u.Hostname(), port)
			return u, sockets, nil
		}
		taken = append(taken, u.Host)
	}
	return nil, nil, failure.New(failure.ExitUsage, nil, "nothing can listen on "+strings.Join(taken, ", ")+", the redirect_uri of {section}: other programs do.",
		"End one of them, or register a further address at the provider and add it there.")
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

func closeAll(sockets []net.Listener) {
	for _, socket := range sockets {
		_ = socket.Close()
	}
}

// Deliver brings a redirect to its listener that a browser on another machine ended
// on. The error says in a few words why it is not the answer.
func (a Authorization) Deliver(ctx context.Context, redirect secret.String) error {
	address, query, _ := strings.Cut(redirect.Reveal(), "?")
	if strings.TrimSuffix(address, "/") != strings.TrimSuffix(a.Redirect, "/") {
		return errors.New("it does not begin with " + a.Redirect + "?")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Redirect+"?"+query, nil)
	if err != nil {
		return errors.New("it is not an address")
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // no proxy, no redirect
	if err != nil {
		return errors.New("nobody waits for it any more")
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		return errors.New("it is not the answer to this login")
	}
	return nil
}
