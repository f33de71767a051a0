//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// providerOptions are the knobs of provider/server.mjs.
type providerOptions struct {
	Log         string `json:"log"`
	IDTokenLife int    `json:"idTokenLife,omitempty"` // seconds; 0: an hour
	Padding     int    `json:"padding,omitempty"`     // bytes added to the ID token
	Slash       bool   `json:"slash,omitempty"`       // the issuer ends in "/"

	NoDeviceCodes bool `json:"noDeviceCodes,omitempty"` // there is only the browser flow
}

// provider is a running provider.
type provider struct {
	t      *testing.T
	issuer string
	log    string // "" if it keeps none
	stop   func()
}

// providerRequest is one line of its log.
type providerRequest struct {
	Path             string   `json:"path"`
	SentRefreshToken string   `json:"sentRefreshToken"` // digest
	GotRefreshToken  string   `json:"gotRefreshToken"`  // digest
	Status           int      `json:"status"`
	Error            string   `json:"error"`
	Issued           []string `json:"issued"` // the secrets of the answer
}

// startProvider starts an oidc-provider that ends with the test.
func startProvider(t *testing.T, o providerOptions) *provider {
	t.Helper()
	o.Log = filepath.Join(t.TempDir(), "requests")
	write(t, o.Log, "")
	options, err := json.Marshal(o)
	must(t, err)
	p := runProvider(t, installed.node, installed.in("provider/server.mjs"), string(options))
	p.log = o.Log
	return p
}

// startZitadel starts the example provider of github.com/zitadel/oidc.
func startZitadel(t *testing.T) *provider {
	t.Helper()
	return runProvider(t, installed.module("zitadel"))
}

func runProvider(t *testing.T, argv ...string) *provider {
	t.Helper()
	var issuer string
	d := startDaemon(t, part{
		command: func() *exec.Cmd {
			cmd := exec.Command(argv[0], argv[1:]...)
			if _, err := cmd.StdinPipe(); err != nil { // open until the test binary ends
				t.Fatal(err)
			}
			return cmd
		},
		ready: func(d *daemon) (named bool) {
			issuer, _, named = strings.Cut(d.stdout.String(), "\n")
			return named
		},
		what: "it named its issuer",
	})
	return &provider{t: t, issuer: issuer, stop: d.stop}
}

// requests returns what the provider was asked by daypass so far. What the
// person's browser asks is left out.
func (p *provider) requests() []providerRequest {
	p.t.Helper()
	if p.log == "" {
		return nil
	}
	var requests []providerRequest
	for line := range strings.Lines(read(p.t, p.log)) {
		var r providerRequest
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			p.t.Fatalf("log of the provider: %v", err)
		}
		switch r.Path {
		case "/.well-known/openid-configuration", "/device/auth", "/auth", "/token", "/jwks", "/token/revocation":
			requests = append(requests, r)
		}
	}
	return requests
}

// count returns how many requests to a path were made.
func (p *provider) count(path string) int {
	p.t.Helper()
	n := 0
	for _, r := range p.requests() {
		if r.Path == path {
			n++
		}
	}
	return n
}

// issued returns every secret that the provider handed out.
func (p *provider) issued() []string {
	p.t.Helper()
	var secrets []string
	for _, r := range p.requests() {
		secrets = append(secrets, r.Issued...)
	}
	return secrets
}
