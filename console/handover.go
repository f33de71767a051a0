package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/daypass/daypass/secret"
)

// ErrNotFetched says that no browser came for the address in time.
var ErrNotFetched = errors.New("no browser fetched the sign-in in time")

// handOverTime is how long a browser has to start and fetch the address.
const handOverTime = 30 * time.Second

// HandOver gives a secret URL to a browser without writing it into an argument
// list, where every user of the machine can read it. It calls open with a
// one-time address on loopback that leads to the URL, and returns when a browser
// has fetched it. The address works once, for 30 seconds.
//
// The error is open's own, [ErrNotFetched], the context's, or that nothing can
// listen on loopback.
func HandOver(ctx context.Context, to secret.String, open func(address string) error, sleep func(context.Context, time.Duration) error) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	h := &handover{host: listener.Addr().String(), path: "/" + rand.Text(), to: to, fetched: make(chan struct{})}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // stderr stays empty on success
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends when Close closes the listener
	}()
	defer func() {
		_ = server.Close()
		<-ended
	}()

	if err := open("http://" + h.host + h.path); err != nil {
		return err
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- sleep(waiting, handOverTime) }()
	select {
	case <-h.fetched:
		return nil
	case err := <-over:
		if !h.take() {
			<-h.fetched // a browser is being answered this moment
			return nil
		}
		if err != nil {
			return err
		}
		return ErrNotFetched
	}
}

// handover answers the one request that may have the URL. Whoever else asks on
// loopback learns nothing and uses nothing up: a page that guesses ports, a name
// that was bound anew to 127.0.0.1, a browser that looks for an icon.
type handover struct {
	host    string // of the address, with port
	path    string // 128 bits that nobody can guess
	to      secret.String
	taken   atomic.Bool
	fetched chan struct{} // closed when the answer has been sent
}

// take claims the one use.
func (h *handover) take() bool { return h.taken.CompareAndSwap(false, true) }

func (h *handover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Length", "0")
	header.Set("Connection", "close")
	// RequestURI is the path as it was sent, undecoded, with the query.
	if r.Host != h.host || subtle.ConstantTimeCompare([]byte(r.RequestURI), []byte(h.path)) != 1 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet {
		header.Set("Allow", http.MethodGet)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if prefetch(r) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !h.take() {
		w.WriteHeader(http.StatusGone)
		return
	}
	defer close(h.fetched)
	header.Set("Location", h.to.Reveal())
	w.WriteHeader(http.StatusFound)
	_ = http.NewResponseController(w).Flush() // sent, before the server is closed
}

// prefetch reports whether the browser only looks ahead: the sign-in would be
// used up by a page that nobody sees.
func prefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if value := r.Header.Get(name); strings.Contains(strings.ToLower(value), "prefetch") || strings.EqualFold(value, "preview") {
			return true
		}
	}
	return false
}
