// Package sandbox is a pretend identity provider, AWS and Azure on loopback, for
// tests and for the demo: of AWS it has STS, the sign-in endpoint, Secrets Manager,
// SSM's Parameter Store and Cognito's identity pools; of Azure, Entra ID's token
// endpoint and Key Vault.
//
// The pretend parts are as strict as the real ones: tokens are signed and
// verified, device codes are redeemed once, used refresh tokens end the login,
// and STS looks at signature, expiry, issuer, audience and trust policy before
// it hands out credentials. What deviates from one real provider to the next is
// in [Options].
//
// Paths: /idp (the provider), /sts, /signin, /secretsmanager, /ssm,
// /cognito-identity, and those of metadata services. By their real names the clouds
// are reached through [Sandbox.Transport] and [StartInternet].
package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are the knobs. The zero value is a plain provider that behaves well.
// All but IssuerSlash and IssuerPath can be changed later, with [Sandbox.Set].
type Options struct {
	// Now is the clock of all three parts; nil is the real one. It also dates
	// the answers, in their Date headers.
	Now func() time.Time

	IssuerSlash bool   // the issuer ends in "/", as at Auth0
	IssuerPath  string // follows /idp in the issuer, such as "/realms/demo"

	ClientSecret string // demanded, in the form or as basic authentication, if not empty

	// Redirects are the redirect addresses that the client has registered; nil: only
	// http://127.0.0.1/callback. Of an IP address on loopback, one without a port stands
	// for every port (RFC 8252, section 7.3).
	Redirects []string

	// Discovery.
	Scopes             []string // scopes supported; nil: openid, profile, email, offline_access
	OmitDeviceEndpoint bool     // discovery does not name the device endpoint, as at GitLab
	OmitAuthorization  bool     // there is no authorization endpoint
	OmitRevocation     bool     // there is no revocation endpoint, as at Entra

	// NoDeviceCodes is the OAuth error with which every request for a device code is
	// refused, as at a provider where the client may have none.
	NoDeviceCodes string

	// Device authorization.
	CodeLife     time.Duration // of a device code; 0: 15 minutes
	Interval     time.Duration // between polls; 0: 1 second
	OmitComplete bool          // the answer has no verification_uri_complete

	// Tokens.
	IDTokenLife        time.Duration  // 0: 10 hours
	Algorithm          string         // of the ID token's signature: "RS256" (also ""), "ES256" or "HS256"
	Claims             map[string]any // put into the ID token over the usual ones; a nil value removes the claim
	TokenPadding       int            // bytes added to the ID token's claims
	NoRefreshToken     bool           // never hands one out
	Rotate             bool           // a refresh token is used once; without, the answer to a refresh has none
	ReuseGrace         time.Duration  // how long a used refresh token is still taken; later it ends the login
	NoIDTokenOnRefresh bool           // the answer to a refresh has no ID token

	// AWS.
	SessionTokenSize      int           // bytes; 0: 900
	RoleMaxDuration       time.Duration // MaxSessionDuration of every role; 0: 1 hour, as in IAM
	RefuseSessionDuration bool          // getSigninToken answers 400 where SessionDuration is given, as for chained roles
	NoOutboundFederation  bool          // the account has not enabled GetWebIdentityToken
	OutboundTokenLife     time.Duration // of its tokens, whatever is asked for; 0: what is asked for
}

// Sandbox is one running set of pretend parts. All methods can be called by
// several goroutines.
type Sandbox struct {
	URL             string // http://127.0.0.1:PORT
	Issuer          string // byte for byte as in discovery and tokens
	ClientID        string
	DeviceEndpoint  string // also where discovery does not name it
	VerificationURI string
	RoleARN         string // a role that trusts the provider's client
	STSEndpoint     string
	SigninEndpoint  string

	base   string // path under which the provider's endpoints are
	server *http.Server
	done   chan struct{}
	pages  *template.Template

	mu        sync.Mutex // guards everything below
	options   Options
	intercept func(http.ResponseWriter, *http.Request) bool
	requests  []Request
	issued    []string

	keys        []signingKey // the last one signs
	codes       map[string]*deviceCode
	autoApprove string
	grants      map[string]*grant // by code
	refresh     map[string]*refreshToken
	reused      int

	providers      map[string]iamProvider // by issuer
	roles          map[string]trustPolicy
	sessions       map[string]session // by access key id
	stsErrors      []STSError
	signins        map[string]signin // by sign-in token
	consoles       map[string]signin // by console cookie
	workloadSecret string            // with which a workload asks GitHub's or App Service's endpoint

	secrets     map[secretKey]string
	failures    map[string][]STSError // by service, see FailCall
	federated   []FederatedCredential // Entra ID's
	azureTokens map[string]azureToken // by access token
	vaults      map[string]string     // tenants by vault
}

// Start starts a sandbox. IAM knows its provider with the one client, and the
// role RoleARN trusts that client.
func Start(o Options) (*Sandbox, error) {
	if o.IssuerPath != "" && (!strings.HasPrefix(o.IssuerPath, "/") || strings.HasSuffix(o.IssuerPath, "/")) {
		return nil, fmt.Errorf("issuer path %q: must start with a slash and not end with one", o.IssuerPath)
	}
	pages, err := template.New("pages").Parse(pagesHTML)
	if err != nil {
		return nil, fmt.Errorf("parse pages: %w", err)
	}
	key, err := sharedKey()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	s := &Sandbox{
		URL:       "http://" + listener.Addr().String(),
		ClientID:  "daypass-sandbox",
		RoleARN:   "arn:aws:iam::111122223333:role/Developer",
		base:      "/idp" + o.IssuerPath,
		done:      make(chan struct{}),
		pages:     pages,
		options:   o,
		keys:      []signingKey{key},
		codes:     map[string]*deviceCode{},
		grants:    map[string]*grant{},
		refresh:   map[string]*refreshToken{},
		providers: map[string]iamProvider{},
		roles:     map[string]trustPolicy{},
		sessions:  map[string]session{},
		signins:   map[string]signin{},
		consoles:  map[string]signin{},

		secrets: map[secretKey]string{}, failures: map[string][]STSError{},
		azureTokens: map[string]azureToken{}, vaults: map[string]string{},
	}
	s.Issuer = s.URL + s.base
	if o.IssuerSlash {
		s.Issuer += "/"
	}
	s.DeviceEndpoint = s.URL + s.base + "/device_authorization"
	s.VerificationURI = s.URL + s.base + "/device"
	s.STSEndpoint = s.URL + "/sts"
	s.SigninEndpoint = s.URL + "/signin"
	s.providers[s.Issuer] = iamProvider{audiences: []string{s.ClientID}, key: s.verificationKey}
	s.providers[IssuerGitHub] = iamProvider{audiences: []string{"sts.amazonaws.com"}, key: s.verificationKey}
	s.providers[IssuerAzure] = iamProvider{audiences: []string{AppIDURI}, key: s.verificationKey}
	s.providers[IssuerGoogle] = iamProvider{builtIn: true, key: s.verificationKey}
	s.workloadSecret = s.issue("job-", 60)
	if err := s.Trust(s.RoleARN, ""); err != nil {
		_ = listener.Close()
		return nil, err
	}
	s.server = &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // interceptors abort connections on purpose
	}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // returns when Close closes the listener
	}()
	return s, nil
}

// Handler answers and records requests as the sandbox does, for other servers.
func (s *Sandbox) Handler() http.Handler { return http.HandlerFunc(s.handle) }

// Close ends the sandbox and its connections.
func (s *Sandbox) Close() {
	_ = s.server.Close()
	<-s.done
}

// Set changes knobs while the sandbox runs.
func (s *Sandbox) Set(change func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.options)
}

// Issued returns every secret value handed out so far: device codes, ID tokens,
// access tokens, refresh tokens, secret keys, session tokens, sign-in tokens.
// None of them may be found in an output.
func (s *Sandbox) Issued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.issued)
}

// now reads the clock; s.mu is held.
func (s *Sandbox) now() time.Time {
	if s.options.Now != nil {
		return s.options.Now()
	}
	return time.Now()
}

// issue makes a random secret of size bytes and remembers it; s.mu is held.
func (s *Sandbox) issue(prefix string, size int) string {
	random := make([]byte, size)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	value := (prefix + base64.RawURLEncoding.EncodeToString(random))[:size]
	s.issued = append(s.issued, value)
	return value
}

// orDefault returns d, or fallback if d is zero.
func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// withoutScheme is the issuer as IAM writes it in ARNs and condition keys.
func withoutScheme(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return rest
}
