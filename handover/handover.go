// Package handover gives a secret URL to a browser by a one-time address on
// loopback. Only that address is in the argument list of the program that opens it,
// because every user of the machine can read those. It works once, and only for a
// program of our own user.
package handover

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/daypass/daypass/secret"
)

// Link answers the one request that may have the URL. Whoever else asks on loopback
// learns nothing and uses nothing up.
type Link struct {
	// Fetched is called once: with nil when the answer has been sent, else with why
	// nobody gets it.
	Fetched func(error)

	host  string // of the address, with port
	path  string // 128 bits that nobody can guess
	to    secret.String
	taken atomic.Bool
}

// New returns the link to a URL for a server that listens on host, an IP address
// with port.
func New(host string, to secret.String, fetched func(error)) *Link {
	return &Link{Fetched: fetched, host: host, path: "/" + rand.Text(), to: to}
}

// Server returns a server for programs of this machine, which may be slow and hostile,
// and of which nothing is logged: their requests hold secrets.
func Server(handler http.Handler) *http.Server {
	s := &http.Server{
		Handler:                      handler,
		ReadTimeout:                  5 * time.Second,
		WriteTimeout:                 2 * time.Minute, // an answer may wait for a login to be stored
		MaxHeaderBytes:               64 << 10,        // cookies of other servers on this host among them
		ErrorLog:                     log.New(io.Discard, "", 0),
		DisableGeneralOptionsHandler: true,
	}
	s.SetKeepAlivesEnabled(false)
	return s
}

// Address is what a browser opens.
func (h *Link) Address() string { return "http://" + h.host + h.path }

// Take claims the one use. It is false if a request has.
func (h *Link) Take() bool { return h.taken.CompareAndSwap(false, true) }

// ServeHTTP implements [http.Handler].
func (h *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Length", "0")
	// Browsers leave the usual port out of Host. RequestURI is the path as it was sent,
	// undecoded, with the query.
	if r.Host != strings.TrimSuffix(h.host, ":80") || r.Method != http.MethodGet || subtle.ConstantTimeCompare([]byte(r.RequestURI), []byte(h.path)) != 1 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	// Whoever knows the path has read it in an argument list.
	if err := checkPeer(r.RemoteAddr, h.host); err != nil {
		w.WriteHeader(http.StatusForbidden)
		if h.Take() {
			h.Fetched(err)
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
	if !h.Take() {
		w.WriteHeader(http.StatusGone)
		return
	}
	header.Set("Location", h.to.Reveal())
	w.WriteHeader(http.StatusFound)
	_ = http.NewResponseController(w).Flush() // sent, before the server is closed
	h.Fetched(nil)
}
