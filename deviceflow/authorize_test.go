package deviceflow

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/daypass/daypass/secret"
)

const deviceAnswer = `{"device_code":"dev1ce-c0de","user_code":"LBJX-WZVT","verification_uri":"https://corp.example/activate",
	"verification_uri_complete":"https://corp.example/activate?user_code=LBJX-WZVT","expires_in":900,"interval":5}`

// answerWith is a good device authorization answer with one field changed; value
// is JSON, "" takes the field away.
func answerWith(field, value string) string {
	fields := map[string]string{
		"device_code": `"dev1ce-c0de"`, "user_code": `"LBJX-WZVT"`, "verification_uri": `"https://corp.example/activate"`,
		"verification_uri_complete": `"https://corp.example/activate?user_code=LBJX-WZVT"`, "expires_in": "900", "interval": "5",
	}
	fields[field] = value
	var all []string
	for name, value := range fields {
		if value != "" {
			all = append(all, `"`+name+`":`+value)
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestAuthorizeReadsEveryDialect(t *testing.T) {
	good := func(change func(*Authorization)) Authorization {
		a := Authorization{
			DeviceCode: secret.New("dev1ce-c0de"), UserCode: "LBJX-WZVT",
			VerificationURI:         "https://corp.example/activate",
			VerificationURIComplete: "https://corp.example/activate?user_code=LBJX-WZVT",
			Interval:                5 * time.Second, NextPoll: noon.Add(5 * time.Second),
			Issued: noon, Expires: noon.Add(15 * time.Minute), TokenEndpoint: issuer + "/token",
		}
		if change != nil {
			change(&a)
		}
		return a
	}
	interval := func(d time.Duration) func(*Authorization) {
		return func(a *Authorization) { a.Interval, a.NextPoll = d, noon.Add(d) }
	}
	life := func(d time.Duration) func(*Authorization) {
		return func(a *Authorization) { a.Expires = noon.Add(d) }
	}
	google := strings.Replace(answerWith("verification_uri_complete", ""), "verification_uri", "verification_url", 1)
	tests := []struct {
		name   string
		answer string
		change func(*Authorization)
	}{
		{"RFC 8628", deviceAnswer, nil},
		{"Google: verification_url, none complete", google, func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"Entra: none complete", answerWith("verification_uri_complete", ""), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"complete link is null", answerWith("verification_uri_complete", "null"), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"complete link is javascript", answerWith("verification_uri_complete", `"javascript:alert(1)"`), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"complete link without TLS", answerWith("verification_uri_complete", `"http://corp.example/x"`), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"complete link rings the bell", answerWith("verification_uri_complete", `"https://corp.example/\u0007"`), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"complete link of 8 kB", answerWith("verification_uri_complete", `"https://corp.example/`+strings.Repeat("a", 8192)+`"`), func(a *Authorization) { a.VerificationURIComplete = "" }},
		{"GitLab: no dash in the code", answerWith("user_code", `"0A44L90H"`), func(a *Authorization) { a.UserCode = "0A44L90H" }},
		{"http on loopback", answerWith("verification_uri", `"http://127.0.0.1:8080/activate"`), func(a *Authorization) { a.VerificationURI = "http://127.0.0.1:8080/activate" }},
		{"no interval", answerWith("interval", ""), interval(5 * time.Second)},
		{"interval is null", answerWith("interval", "null"), interval(5 * time.Second)},
		{"interval is text", answerWith("interval", `"7"`), interval(7 * time.Second)},
		{"interval is a fraction", answerWith("interval", "1.5"), interval(1500 * time.Millisecond)},
		{"interval is zero", answerWith("interval", "0"), interval(time.Second)},
		{"interval is negative", answerWith("interval", "-5"), interval(time.Second)},
		{"interval is huge", answerWith("interval", "1e300"), interval(time.Minute)},
		{"interval overflows a float", answerWith("interval", "1e999"), interval(time.Minute)},
		{"interval is no number", answerWith("interval", `"soon"`), interval(5 * time.Second)},
		{"interval is NaN", answerWith("interval", `"NaN"`), interval(5 * time.Second)},
		{"interval is an object", answerWith("interval", `{"s":5}`), interval(5 * time.Second)},
		{"no expires_in", answerWith("expires_in", ""), life(10 * time.Minute)},
		{"expires_in is text", answerWith("expires_in", `"300"`), life(5 * time.Minute)},
		{"expires_in is zero", answerWith("expires_in", "0"), life(time.Second)},
		{"expires_in is negative", answerWith("expires_in", "-1"), life(time.Second)},
		{"expires_in is a year", answerWith("expires_in", "31536000"), life(time.Hour)},
		{"expires_in is a list", answerWith("expires_in", "[1]"), life(10 * time.Minute)},
		{"a field twice: the last counts", `{"interval":1,` + deviceAnswer[1:], nil},
		{"unknown fields", `{"message":"To sign in ...","deep":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `,` + deviceAnswer[1:], nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/device", ok(test.answer))
			got, err := p.flow().Authorize(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(good(test.change), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAuthorizeRefusesBadAnswers(t *testing.T) {
	tests := []struct {
		name string
		got  reply
		want string
	}{
		{"no device_code", ok(answerWith("device_code", "")), "no device_code"},
		{"empty device_code", ok(answerWith("device_code", `""`)), "no device_code"},
		{"device_code is a number", ok(answerWith("device_code", "17")), "no device_code"},
		{"device_code of 9 kB", ok(answerWith("device_code", `"`+strings.Repeat("x", 9000)+`"`)), "more than 8192 bytes"},
		{"no user_code", ok(answerWith("user_code", "")), "no user_code"},
		{"empty user_code", ok(answerWith("user_code", `""`)), "no user_code"},
		{"user_code too long to type", ok(answerWith("user_code", `"`+strings.Repeat("A", 65)+`"`)), "more than 64 bytes"},
		{"user_code with an escape sequence", ok(answerWith("user_code", `"\u001b[2JAB"`)), "do not print"},
		{"user_code that changes direction", ok(answerWith("user_code", `"AB\u202eCD"`)), "do not print"},
		{"user_code that nobody sees", ok(answerWith("user_code", `"\u3164\u115f"`)), "do not print"},
		{"user_code of 8 MB", ok(answerWith("user_code", `"`+strings.Repeat("A", 8<<20)+`"`)), "more than 1 MiB"},
		{"no verification_uri", ok(answerWith("verification_uri", "")), "verification_uri is not shown: the address is empty"},
		{"verification_uri without TLS", ok(answerWith("verification_uri", `"http://corp.example/"`)), "is not https"},
		{"verification_uri is javascript", ok(answerWith("verification_uri", `"javascript:alert(1)"`)), "names no host"},
		{"verification_uri is a file", ok(answerWith("verification_uri", `"file:///etc/passwd"`)), "names no host"},
		{"verification_uri is a command's", ok(answerWith("verification_uri", `"ms-calculator://x/"`)), "is not https"},
		{"verification_uri with control characters", ok(answerWith("verification_uri", `"https://corp.example/\r\n"`)), "no URL may hold"},
		{"verification_uri with look-alikes", ok(answerWith("verification_uri", `"https://c\u043erp.example/"`)), "no URL may hold"},
		{"verification_uri that is a template", ok(answerWith("verification_uri", `"https://corp.example/{tenant}"`)), "no URL may hold"},
		{"verification_uri with an address zone", ok(answerWith("verification_uri", `"https://[fe80::1%25eth0]/"`)), "names no host"},
		{"verification_uri with a user name", ok(answerWith("verification_uri", `"https://corp.example@evil.example/"`)), "names a user"},
		{"verification_uri of 3 kB", ok(answerWith("verification_uri", `"https://corp.example/`+strings.Repeat("a", 3000)+`"`)), "more than 2048"},
		{"an HTML page with status 200", page(200), "a web page instead of JSON"},
		{"an HTML page with status 503", page(503), "HTTP status 503"},
		{"an empty answer", ok(""), "an empty answer instead of JSON"},
		{"a list", ok("[]"), "JSON that is no object"},
		{"null", ok("null"), "JSON that is no object"},
		{"half an answer", ok(deviceAnswer[:60]), "not JSON"},
		{"depth without end", ok(strings.Repeat(`{"a":`, 100000)), "not JSON"},
		{"a redirect", withHeader(status(307, ""), "Location", "https://evil.example/"), "redirect, which is not followed"},
		{"an error with status 200", ok(`{"error":"unauthorized_client"}`), "unauthorized_client; is the client id right"},
		{"an error that is an object", status(400, `{"error":{"code":400,"message":"x"}}`), "HTTP status 400"},
		{"an error with a description", status(400, `{"error":"invalid_client","error_description":"Device grant\n\u001b[31mis off"}`), "invalid_client: Device grant;"},
		{"Authentik's rate limit", withHeader(status(429, `{"error":"slow_down"}`), "Retry-After", "60"), "slow_down; try again in 1m0s"},
		{"a rate limit without a time", status(429, `{"error":"slow_down"}`), "wait a few minutes"},
		{"the connection breaks", reply{err: errors.New("unexpected EOF")}, "was lost: unexpected EOF"},
		{"no connection", reply{err: errors.New("connection refused"), unsent: true}, "cannot reach corp.example: connection refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.will("/device", test.got)
			a, err := p.flow().Authorize(t.Context())
			if err == nil {
				t.Fatalf("accepted: %+v", a)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q lacks %q", err, test.want)
			}
			checkErrorText(t, err)
			if got := strings.Count(p.paths(), "device"); got > 1 {
				t.Errorf("%d requests", got)
			}
		})
	}
}

func TestRateLimitBeforeACode(t *testing.T) {
	p := newIDP(t)
	p.will("/device", withHeader(status(429, `{"error":"slow_down"}`), "Retry-After", noon.Add(90*time.Second).Format(http.TimeFormat)))
	_, err := p.flow().Authorize(t.Context())
	var refused *ProviderError
	if !errors.As(err, &refused) || refused.Status != 429 || refused.RetryAfter != 90*time.Second || errors.Is(err, ErrPending) {
		t.Errorf("error %#v", err)
	}
}

func TestAuthorizeSends(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*idp, *Flow)
		want  url.Values // besides client_id
	}{
		{"the default", nil, url.Values{"scope": {"openid email offline_access"}}},
		{"scopes_supported without offline_access", func(p *idp, _ *Flow) { p.document["scopes_supported"] = []string{"openid"} },
			url.Values{"scope": {"openid email"}}},
		{"no scopes_supported", func(p *idp, _ *Flow) { delete(p.document, "scopes_supported") },
			url.Values{"scope": {"openid email offline_access"}}},
		{"Keycloak", func(p *idp, f *Flow) {
			p.document["issuer"], f.Issuer = issuer+"/realms/demo", issuer+"/realms/demo"
		}, url.Values{"scope": {"openid email"}}},
		{"scopes as written, with openid", func(_ *idp, f *Flow) { f.Scopes = "groups  openid" }, url.Values{"scope": {"groups openid"}}},
		{"scopes as written, without openid", func(_ *idp, f *Flow) { f.Scopes = "groups" }, url.Values{"scope": {"openid groups"}}},
		{"audience", func(_ *idp, f *Flow) { f.Audience = "https://api.example" },
			url.Values{"scope": {"openid email offline_access"}, "audience": {"https://api.example"}}},
		{"extra_params", func(_ *idp, f *Flow) { f.ExtraParams = "organization=org%201&prompt=login" },
			url.Values{"scope": {"openid email offline_access"}, "organization": {"org 1"}, "prompt": {"login"}}},
		{"client_secret", func(_ *idp, f *Flow) { f.ClientSecret = secret.New("s3cret") },
			url.Values{"scope": {"openid email offline_access"}, "client_secret": {"s3cret"}}},
		{"no PKCE where discovery has plain only", func(p *idp, _ *Flow) { p.document["code_challenge_methods_supported"] = []string{"plain"} },
			url.Values{"scope": {"openid email offline_access"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			f := p.flow()
			if test.setup != nil {
				test.setup(p, f)
			}
			p.will("/device", ok(deviceAnswer))
			if _, err := f.Authorize(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.want.Set("client_id", clientID)
			if diff := cmp.Diff(test.want, p.last("/device")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExtraParamsMayNotNameProtocolParameters(t *testing.T) {
	for _, params := range []string{"scope=openid", "a=b&client_id=x", "code_challenge=x", "grant_type=password", "client%5Fsecret=x", "a=b;c=d", "a=%zz"} {
		p := newIDP(t)
		f := p.flow()
		f.ExtraParams = params
		if _, err := f.Authorize(t.Context()); err == nil || !strings.Contains(err.Error(), "extra_params") {
			t.Errorf("%q: error %v", params, err)
		}
		if strings.Contains(p.paths(), "device") {
			t.Errorf("%q was sent", params)
		}
	}
}

func TestPKCE(t *testing.T) {
	p := newIDP(t)
	p.document["code_challenge_methods_supported"] = []string{"plain", "S256"}
	p.will("/device", ok(deviceAnswer))
	f := p.flow()
	a, err := f.Authorize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := p.last("/device")
	if sent.Get("code_challenge_method") != "S256" || sent.Get("code_challenge") != oauth2.S256ChallengeFromVerifier(a.CodeVerifier.Reveal()) || a.CodeVerifier.Empty() {
		t.Errorf("sent %v", sent)
	}
	p.will("/token", status(400, `{"error":"authorization_pending"}`))
	if _, err := f.Poll(t.Context(), &a); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	if got := p.last("/token").Get("code_verifier"); got != a.CodeVerifier.Reveal() {
		t.Error("the poll lacks the code_verifier")
	}
}

func TestAuthorizeRetries(t *testing.T) {
	badScope, badRequest := status(400, `{"error":"invalid_scope"}`), status(400, `{"error":"invalid_request"}`)
	tests := []struct {
		name     string
		scopes   string
		replies  []reply
		requests int
		scope    string
		pkce     bool
		wantErr  bool
	}{
		{"invalid_scope: once without offline_access", "", []reply{badScope, ok(deviceAnswer)}, 2, "openid email", true, false},
		{"invalid_scope again", "", []reply{badScope, badScope}, 2, "openid email", true, true},
		{"invalid_scope of scopes as written", "openid offline_access", []reply{badScope}, 1, "openid offline_access", true, true},
		{"invalid_request: once without PKCE", "", []reply{badRequest, ok(deviceAnswer)}, 2, "openid email offline_access", false, false},
		{"invalid_request again", "", []reply{badRequest, badRequest}, 2, "openid email offline_access", false, true},
		{"both", "", []reply{badRequest, badScope, ok(deviceAnswer)}, 3, "openid email", false, false},
		{"another error", "", []reply{status(400, `{"error":"invalid_client"}`)}, 1, "openid email offline_access", true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newIDP(t)
			p.document["code_challenge_methods_supported"] = []string{"S256"}
			p.will("/device", test.replies...)
			f := p.flow()
			f.Scopes = test.scopes
			a, err := f.Authorize(t.Context())
			if (err != nil) != test.wantErr {
				t.Fatal(err)
			}
			if got := strings.Count(p.paths(), "device"); got != test.requests {
				t.Errorf("%d requests, want %d", got, test.requests)
			}
			sent := p.last("/device")
			if sent.Get("scope") != test.scope || sent.Has("code_challenge") != test.pkce {
				t.Errorf("sent %v", sent)
			}
			if err == nil && a.CodeVerifier.Empty() == test.pkce {
				t.Error("the authorization and the request differ about PKCE")
			}
		})
	}
}

func TestDeviceEndpoint(t *testing.T) {
	p := newIDP(t)
	delete(p.document, "device_authorization_endpoint")
	_, err := p.flow().Authorize(t.Context())
	var bad *DiscoveryError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "switch the device grant (device code) on") ||
		!strings.Contains(err.Error(), "https://corp.example/oauth/authorize_device") {
		t.Errorf("error %v", err)
	}

	p.will("/oauth/authorize_device", ok(deviceAnswer))
	f := p.flow()
	f.DeviceAuthorizationEndpoint = issuer + "/oauth/authorize_device"
	if _, err := f.Authorize(t.Context()); err != nil {
		t.Error(err)
	}

	f.DeviceAuthorizationEndpoint = "http://corp.example/device?x=s3cret"
	_, err = f.Authorize(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not https") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}

func TestDeviceGrantSwitchedOnAfterItWasRemembered(t *testing.T) {
	p := newIDP(t)
	device := p.document["device_authorization_endpoint"]
	delete(p.document, "device_authorization_endpoint")
	if err := p.remembering().Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.document["device_authorization_endpoint"] = device
	p.will("/device", ok(deviceAnswer))
	if _, err := p.remembering().Authorize(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDeviceEndpointMoves(t *testing.T) {
	p := newIDP(t)
	if err := p.remembering().Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.document["device_authorization_endpoint"] = issuer + "/v2/device"
	p.document["token_endpoint"] = issuer + "/v2/token"
	p.will("/v2/device", ok(deviceAnswer))
	a, err := p.remembering().Authorize(t.Context())
	if err != nil || a.TokenEndpoint != issuer+"/v2/token" {
		t.Errorf("%v, %v", a.TokenEndpoint, err)
	}
	if got, want := p.paths(), "configuration device configuration v2/device"; got != want {
		t.Errorf("requests %q, want %q", got, want)
	}

	// Where nothing moved, the 404 stands, after one look.
	p.will("/v2/device", status(404, "gone"))
	p.requests = nil
	if _, err := p.remembering().Authorize(t.Context()); err == nil {
		t.Error("a 404 was accepted")
	}
	if got, want := p.paths(), "v2/device configuration"; got != want {
		t.Errorf("requests %q, want %q", got, want)
	}
}

func TestAuthorizeCanBeCancelled(t *testing.T) {
	p := newIDP(t)
	p.will("/device", ok(deviceAnswer))
	f := p.flow()
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Authorize(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
