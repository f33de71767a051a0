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

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// handOverTime is how long a browser has to start and fetch the address.
const handOverTime = 30 * time.Second

// HandOver gives a secret URL to a browser without writing it into an argument
// list, which every user of the machine can read. It calls open with a one-time
// address on loopback that leads to the URL, and returns when a browser has
// fetched it. The address works once, for 30 seconds, and only for a program of
// our own user, see checkPeer: if another user's fetches it, nobody gets the URL
// and HandOver fails.
//
// Not a file that only we can read: browsers in a sandbox (snap, Flatpak) may not
// read it, and nobody sees when it may go.
//
// The error is open's own or a [*failure.Error].
func HandOver(ctx context.Context, to secret.String, open func(address string) error, sleep func(context.Context, time.Duration) error) error {
	const instead = "For the URL instead, run: daypass console --print{flag}"
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("the sign-in cannot be handed to a browser: %v.", err), instead)
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	h := &handover{host: listener.Addr().String(), path: "/" + rand.Text(), to: to, fetched: make(chan error, 1), stop: stop}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // stderr stays empty on success
	}
	go func() { _ = server.Serve(listener) }()                           // until Close
	defer func() { _ = errors.Join(server.Close(), listener.Close()) }() // also if it has not begun

	if err := open("http://" + h.host + h.path); err != nil && h.take() { // unless it was fetched all the same
		return err
	}
	_ = sleep(waiting, handOverTime) // until it is fetched, at the longest
	switch {
	case !h.take(): // a browser has been answered, or is this moment
		err = <-h.fetched
	case ctx.Err() != nil:
		return failure.Interrupted(ctx.Err())
	default:
		return failure.New(failure.ExitNetwork, nil, "no browser opened the sign-in link within 30 s.", instead)
	}
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("%v, so nobody was signed in.", err), instead)
	}
	return nil
}

// handover answers the one request that may have the URL. Whoever else asks on
// loopback learns nothing and uses nothing up.
type handover struct {
	host    string // of the address, with port
	path    string // 128 bits that nobody can guess
	to      secret.String
	taken   atomic.Bool
	fetched chan error // gets nil when the answer has been sent, else why nobody gets it
	stop    func()     // ends the wait for that
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
	if r.Host != h.host || r.Method != http.MethodGet || subtle.ConstantTimeCompare([]byte(r.RequestURI), []byte(h.path)) != 1 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	// Whoever knows the path has read it in an argument list.
	if err := checkPeer(r.RemoteAddr, h.host); err != nil {
		w.WriteHeader(http.StatusForbidden)
		if h.take() {
			h.fetched <- err
			h.stop()
		}
		return
	}
	// A browser that only looks ahead would use the sign-in up with a page that nobody
	// sees.
	purpose := strings.ToLower(fmt.Sprint(r.Header["Sec-Purpose"], r.Header["Purpose"], r.Header["X-Moz"]))
	if strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview") {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !h.take() {
		w.WriteHeader(http.StatusGone)
		return
	}
	header.Set("Location", h.to.Reveal())
	w.WriteHeader(http.StatusFound)
	_ = http.NewResponseController(w).Flush() // sent, before the server is closed
	h.fetched <- nil
	h.stop()
}
