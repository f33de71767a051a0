// Package deviceflow logs a person in at an OpenID Connect provider with the
// device authorization grant (RFC 8628).
//
//	flow := &deviceflow.Flow{Client: client}
//	a, err := flow.Authorize(ctx)            // a code, to be shown to the person
//	tokens, err := flow.Await(ctx, &a, nil)  // polls
//
// An open [Authorization] can be stored and taken up by another process.
//
// Every error that leaves the package is or wraps a [failure.Error] with the exit
// code and the lines for the person, except [ErrExpired] and [ErrOutOfTime] if no
// poll failed, and the error of a context that was cancelled.
package deviceflow

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// Flow is the device grant of one client, for one goroutine.
type Flow struct {
	*idp.Client
	// Endpoint is the device authorization endpoint for providers whose discovery
	// document lacks it, "" for discovery's.
	Endpoint string
}

// Authorization is one open device authorization (RFC 8628 section 3.2). All of
// its fields are checked. Its JSON is for a place that only its owner can read: it
// holds the secrets.
type Authorization struct {
	DeviceCode      secret.Kept `json:"device_code"`
	UserCode        string      `json:"user_code"`        // printable, at most 64 bytes
	VerificationURI string      `json:"verification_uri"` // https, or http on loopback for a provider that is there too
	// VerificationURIComplete is the same with the user code in it, "" if the
	// provider sent none or a bad one.
	VerificationURIComplete string `json:"verification_uri_complete,omitempty"`
	// Interval is the least time between two polls, 1 to 60 s. It grows for good
	// when the provider says slow_down.
	Interval time.Duration `json:"interval"`
	// Backoff is added to Interval while the provider does not answer as it should.
	// The next good answer clears it, so it is not stored.
	Backoff time.Duration `json:"-"`
	// NextPoll is the time before which the provider is not polled. All times are
	// wall time.
	NextPoll time.Time `json:"next_poll"`
	// Unanswered is true if the answer to the last poll was lost: it may have held the
	// tokens, and then the code is spent.
	Unanswered   bool        `json:"unanswered,omitempty"`
	Issued       time.Time   `json:"issued"`
	Expires      time.Time   `json:"expires"`
	CodeVerifier secret.Kept `json:"code_verifier"` // of PKCE (RFC 7636), empty if none was used
}

// Bounds and defaults of a device authorization (RFC 8628 section 3.2). Providers
// were seen to send neither number, both as strings, and none that fits.
const (
	defaultInterval = 5 * time.Second // RFC 8628
	minInterval     = time.Second
	maxInterval     = time.Minute
	defaultLifetime = 10 * time.Minute // expires_in is required, but may be missing
	minLifetime     = time.Second
	maxLifetime     = time.Hour
	maxUserCode     = 64      // bytes; a person types it
	maxDeviceCode   = 8 << 10 // bytes; it is stored
)

// Authorize starts a login: it asks the provider for a code to show to a person
// (RFC 8628 section 3.1).
func (f *Flow) Authorize(ctx context.Context) (Authorization, error) {
	m, err := f.Metadata(ctx)
	if err == nil && f.DeviceEndpoint(m) == "" {
		// What is remembered may be from before the device grant was switched on.
		m, err = f.Rediscover(ctx)
	}
	if err == nil {
		_, err = f.NeedEndpoint(m)
	}
	if err != nil {
		return Authorization{}, err
	}
	scopes, verifier := f.RequestScopes(m), ""
	if slices.Contains(m.CodeChallengeMethods, "S256") {
		verifier = oauth2.GenerateVerifier()
	}
	for {
		form := f.AuthorizationParams(scopes)
		if verifier != "" {
			form.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
			form.Set("code_challenge_method", "S256")
		}
		got, err := f.Post(ctx, idp.OpDevice, f.DeviceEndpoint, form)
		if err != nil {
			return Authorization{}, err
		}
		switch i := slices.Index(scopes, idp.OfflineAccess); {
		case got.OK():
			return f.read(got, secret.New(verifier))
		case got.Code == "invalid_scope" && i >= 0 && f.Scopes == "":
			// The provider lists offline_access, or no scopes at all, and then this client
			// may not have it.
			scopes = slices.Delete(scopes, i, i+1)
		case got.Code == "invalid_request" && verifier != "":
			// PKCE is required by some for the device grant too (Keycloak, by client
			// setting) and unknown there to others.
			verifier = ""
		default:
			return Authorization{}, got.Err()
		}
	}
}

// DeviceEndpoint returns the device authorization endpoint: the configured one,
// else discovery's, else the one that is known of the provider; "" if there is
// none.
func (f *Flow) DeviceEndpoint(m idp.Metadata) string {
	known := ""
	if path := idp.ProviderOf(f.Issuer).DevicePath; path != "" {
		known = strings.TrimSuffix(f.Issuer, "/") + path
	}
	return cmp.Or(f.Endpoint, m.DeviceAuthorizationEndpoint, known)
}

// NeedEndpoint is DeviceEndpoint, with an error if there is none.
func (f *Flow) NeedEndpoint(m idp.Metadata) (string, error) {
	endpoint := f.DeviceEndpoint(m)
	if endpoint == "" {
		return "", failure.New(failure.ExitUsage, nil,
			"{host} names no device_authorization_endpoint, so nobody can log in with a code there.",
			"Enable this first: "+idp.ProviderOf(f.Issuer).SwitchOn+".",
			"Or set device_authorization_endpoint in {section} (GitLab: .../oauth/authorize_device).")
	}
	return endpoint, nil
}

// read reads and checks a device authorization answer.
func (f *Flow) read(got idp.Answer, verifier secret.String) (Authorization, error) {
	now := f.Clock()
	a := Authorization{
		DeviceCode:      secret.Keep(secret.New(got.Text("device_code"))),
		UserCode:        got.Text("user_code"),
		VerificationURI: cmp.Or(got.Text("verification_uri"), got.Text("verification_url")), // the latter: Google
		Interval:        got.Seconds("interval", minInterval, maxInterval, defaultInterval),
		Issued:          now,
		Expires:         now.Add(got.Seconds("expires_in", minLifetime, maxLifetime, defaultLifetime)),
		CodeVerifier:    secret.Keep(verifier),
	}
	a.NextPoll = now.Add(a.Interval)
	bad := func(reason string) (Authorization, error) {
		return Authorization{}, failure.New(failure.ExitRefused, &got.ProviderError,
			"{host} does not answer as it should: "+reason+" ("+got.Op+").", "Tell whoever runs {host}.")
	}
	switch {
	case a.DeviceCode.Empty() || len(a.DeviceCode.Reveal()) > maxDeviceCode:
		return bad("the device_code is missing or too long")
	case a.UserCode == "" || len(a.UserCode) > maxUserCode || strings.ContainsFunc(a.UserCode, failure.Unseen):
		return bad("the user_code is missing, too long or does not print")
	}
	if err := f.CheckAddress(a.VerificationURI); err != nil {
		return bad("the verification_uri is not shown: " + err.Error())
	}
	// Entra and Google send none; a bad one is as good as none.
	if complete := got.Text("verification_uri_complete"); f.CheckAddress(complete) == nil {
		a.VerificationURIComplete = complete
	}
	return a, nil
}
