package deviceflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/daypass/daypass/secret"
)

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
	maxDeviceCode   = 8 << 10 // bytes; it is kept in the keyring
)

// Authorize starts a login: it asks the provider for a code to show to a person
// (RFC 8628 section 3.1).
//
// A provider that limits logins answers with a *[ProviderError] whose Status is
// 429; RetryAfter is how long to wait, where it says.
func (f *Flow) Authorize(ctx context.Context) (Authorization, error) {
	p, err := f.provider(ctx)
	if err != nil {
		return Authorization{}, err
	}
	if f.DeviceAuthorizationEndpoint == "" && p.DeviceAuthorizationEndpoint == "" {
		// What is remembered may be from before the device grant was switched on.
		if p, err = f.rediscover(ctx); err != nil {
			return Authorization{}, err
		}
	}
	form, err := f.extraParams()
	if err != nil {
		return Authorization{}, err
	}
	scopes := f.scopes(p)
	verifier := ""
	if slices.Contains(p.CodeChallengeMethods, "S256") {
		verifier = oauth2.GenerateVerifier()
	}
	searched := false
	for {
		endpoint, err := f.deviceEndpoint(p)
		if err != nil {
			return Authorization{}, err
		}
		f.fillDeviceForm(form, scopes, verifier)
		got, err := f.post(ctx, opDevice, endpoint, form)
		if err != nil {
			return Authorization{}, err
		}
		switch {
		case got.success():
			return readAuthorization(got, f.now(), secret.New(verifier), p.TokenEndpoint)
		case got.code == "invalid_scope" && f.Scopes == "" && slices.Contains(scopes, offlineAccess):
			// The provider lists offline_access, or no scopes at all, and then this client
			// may not have it. Scopes that the user wrote are not touched.
			scopes = slices.DeleteFunc(scopes, func(s string) bool { return s == offlineAccess })
		case got.code == "invalid_request" && verifier != "":
			// PKCE is required by some for the device grant too (Keycloak, by client
			// setting) and unknown there to others.
			verifier = ""
		case got.status == http.StatusNotFound && !searched:
			searched = true
			moved, err := f.rediscover(ctx)
			if err != nil || moved.DeviceAuthorizationEndpoint == p.DeviceAuthorizationEndpoint {
				return Authorization{}, got.err()
			}
			p = moved
		default:
			return Authorization{}, got.err()
		}
	}
}

// offlineAccess asks for a refresh token (OpenID Connect Core section 11).
const offlineAccess = "offline_access"

// scopes are those a login asks for.
func (f *Flow) scopes(p *provider) []string {
	scopes := strings.Fields(f.Scopes)
	if len(scopes) > 0 {
		if !slices.Contains(scopes, "openid") {
			scopes = append([]string{"openid"}, scopes...)
		}
		return scopes
	}
	scopes = []string{"openid", "email"}
	// Keycloak gives a refresh token anyway. With offline_access it would open an
	// offline session, which outlives the logout.
	keycloak := strings.Contains(f.Issuer, "/realms/")
	if !keycloak && (p.Scopes == nil || slices.Contains(p.Scopes, offlineAccess)) {
		scopes = append(scopes, offlineAccess)
	}
	return scopes
}

func (f *Flow) deviceEndpoint(p *provider) (string, error) {
	if f.DeviceAuthorizationEndpoint != "" {
		return f.DeviceAuthorizationEndpoint, nil
	}
	if p.DeviceAuthorizationEndpoint == "" {
		return "", &DiscoveryError{Issuer: f.Issuer, Reason: fmt.Sprintf("its discovery document names no device_authorization_endpoint: "+
			"switch the device grant (device code) on at the provider, or set device_authorization_endpoint (GitLab: %s/oauth/authorize_device)",
			strings.TrimSuffix(withoutQuery(f.Issuer), "/"))}
	}
	return p.DeviceAuthorizationEndpoint, nil
}

// extraParams reads ExtraParams.
func (f *Flow) extraParams() (url.Values, error) {
	form, err := url.ParseQuery(f.ExtraParams)
	if err != nil {
		return nil, errors.New("extra_params: want the form k=v&k=v")
	}
	for name := range form {
		switch name {
		case "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "audience",
			"code_challenge", "code_challenge_method", "code_verifier", "grant_type", "device_code",
			"refresh_token", "code", "redirect_uri", "response_type", "token":
			return nil, fmt.Errorf("extra_params may not name %q: it is a parameter of the protocol", name)
		}
	}
	return form, nil
}

func (f *Flow) fillDeviceForm(form url.Values, scopes []string, verifier string) {
	form.Set("scope", strings.Join(scopes, " "))
	if f.Audience != "" {
		form.Set("audience", f.Audience)
	}
	form.Del("code_challenge")
	form.Del("code_challenge_method")
	if verifier != "" {
		form.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
		form.Set("code_challenge_method", "S256")
	}
}

// readAuthorization reads and checks a device authorization answer.
func readAuthorization(got answer, now time.Time, verifier secret.String, tokenEndpoint string) (Authorization, error) {
	bad := func(reason string) (Authorization, error) {
		e := got.err()
		e.Description = reason
		return Authorization{}, e
	}
	a := Authorization{
		DeviceCode:      got.secret("device_code"),
		UserCode:        got.text("user_code"),
		VerificationURI: got.text("verification_uri"),
		Interval:        got.duration("interval", minInterval, maxInterval, defaultInterval),
		Issued:          now,
		CodeVerifier:    verifier,
		TokenEndpoint:   tokenEndpoint,
	}
	a.Expires = now.Add(got.duration("expires_in", minLifetime, maxLifetime, defaultLifetime))
	a.NextPoll = now.Add(a.Interval)
	if a.VerificationURI == "" {
		a.VerificationURI = got.text("verification_url") // Google
	}
	switch {
	case a.DeviceCode.Empty():
		return bad("the answer has no device_code")
	case len(a.DeviceCode.Reveal()) > maxDeviceCode:
		return bad(fmt.Sprintf("the device_code has more than %d bytes", maxDeviceCode))
	case a.UserCode == "":
		return bad("the answer has no user_code")
	case len(a.UserCode) > maxUserCode:
		return bad(fmt.Sprintf("the user_code has more than %d bytes", maxUserCode))
	case strings.ContainsFunc(a.UserCode, drawsNothing):
		return bad("the user_code holds characters that do not print")
	}
	if err := checkURL(a.VerificationURI); err != nil {
		return bad("the verification_uri is not shown: " + err.Error())
	}
	// Entra and Google send none; a bad one is as good as none.
	if complete := got.text("verification_uri_complete"); checkURL(complete) == nil {
		a.VerificationURIComplete = complete
	}
	return a, nil
}

// drawsNothing tells the characters that no person can see, and so not type: those
// that do not print, and those that count as printing all the same, such as the
// Hangul fillers.
func drawsNothing(r rune) bool {
	return !unicode.IsPrint(r) || r == unicode.ReplacementChar ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
