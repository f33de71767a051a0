package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Internet is a proxy on loopback that leads every connection to one server, which
// plays the hosts of the internet: clients that cannot be told other addresses reach
// a sandbox by the real names. It writes down every host that is asked for.
type Internet struct {
	Proxy       string // for HTTPS_PROXY
	Certificate []byte // of all hosts, in PEM, to be trusted

	server  string
	servers []*http.Server

	mu    sync.Mutex
	hosts map[string]int
}

// StartInternet starts a proxy. play answers for the hosts, whose names may begin
// with "*." as in certificates.
func StartInternet(play http.Handler, hosts ...string) (*Internet, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, DNSNames: hosts,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, err
	}
	n := &Internet{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), hosts: map[string]int{}}
	serve := func(handler http.Handler, config *tls.Config) (address string, err error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		address = listener.Addr().String()
		if config != nil {
			listener = tls.NewListener(listener, config)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)} // clients break connections off
		n.servers = append(n.servers, server)
		go func() { _ = server.Serve(listener) }() // returns when Close closes the listener
		return address, nil
	}
	if n.server, err = serve(play, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}); err != nil {
		return nil, err
	}
	proxy, err := serve(http.HandlerFunc(n.connect), nil)
	n.Proxy = "http://" + proxy
	return n, err
}

// Close ends the proxy and the server.
func (n *Internet) Close() {
	for _, server := range n.servers {
		_ = server.Close()
	}
}

// Asked returns the hosts that were asked for since the last call: "plain http: " is
// before those that were asked for without TLS, which get no answer.
func (n *Internet) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	hosts := slices.Sorted(maps.Keys(n.hosts))
	n.hosts = map[string]int{}
	return hosts
}

// connect is the proxy.
func (n *Internet) connect(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect {
		host = "plain http: " + r.URL.Host
	}
	n.mu.Lock()
	n.hosts[host]++
	n.mu.Unlock()
	if r.Method != http.MethodConnect {
		http.Error(w, "not without TLS", http.StatusForbidden)
		return
	}
	there, err := net.Dial("tcp", n.server)
	if err != nil {
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(here, there) }()
	_, _ = io.Copy(there, here)
}
