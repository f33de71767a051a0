package deviceflow

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const deviceAnswer = `{"device_code":"dev1ce-c0de","user_code":"LBJX-WZVT","verification_uri":"https://corp.example/activate",
	"verification_uri_complete":"https://corp.example/activate?user_code=LBJX-WZVT","expires_in":900,"interval":5}`

// answerWith is a good device authorization answer with one field changed; value
// is JSON, "" takes the field away.
func answerWith(field, value string) string {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(deviceAnswer), &fields)
	if fields[field] = json.RawMessage(value); value == "" {
		delete(fields, field)
	} else if !json.Valid(fields[field]) {
		panic(value)
	}
	data, _ := json.Marshal(fields)
	return string(data)
}

func TestAuthorizeReadsEveryDialect(t *testing.T) {
	const interval, life, link = 5 * time.Second, 15 * time.Minute, "https://corp.example/activate?user_code=LBJX-WZVT"
	google := strings.Replace(answerWith("verification_uri_complete", ""), "verification_uri", "verification_url", 1)
	for _, test := range []struct {
		name, answer   string
		interval, life time.Duration
		link           string
	}{
		{"RFC 8628", deviceAnswer, interval, life, link},
		{"Google: verification_url, none complete", google, interval, life, ""},
		{"Entra: none complete", answerWith("verification_uri_complete", ""), interval, life, ""},
		{"complete link to this machine", answerWith("verification_uri_complete", `"http://localhost/x"`), interval, life, ""},
		{"no interval", answerWith("interval", ""), 5 * time.Second, life, link},
		{"interval is text", answerWith("interval", `"7"`), 7 * time.Second, life, link},
		{"interval is negative", answerWith("interval", "-5"), time.Second, life, link},
		{"interval overflows a float", answerWith("interval", "1e999"), time.Minute, life, link},
		{"no expires_in", answerWith("expires_in", ""), interval, 10 * time.Minute, link},
		{"expires_in is a year", answerWith("expires_in", "31536000"), interval, time.Hour, link},
	} {
		p := newFake(t)
		p.Will("/device", ok(test.answer))
		got, err := p.flow().Authorize(t.Context())
		want := Authorization{
			DeviceCode: secret.Keep(secret.New("dev1ce-c0de")), UserCode: "LBJX-WZVT",
			VerificationURI: "https://corp.example/activate", VerificationURIComplete: test.link,
			Interval: test.interval, NextPoll: noon.Add(test.interval), Issued: noon, Expires: noon.Add(test.life),
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", test.name, err, diff)
		}
	}
}

func TestAuthorizeSends(t *testing.T) {
	const scope = "openid email offline_access"
	tests := []struct {
		name  string
		setup func(*fake, *Flow)
		want  url.Values // besides client_id
	}{
		{"the default", func(*fake, *Flow) {}, url.Values{"scope": {scope}}},
		{"without offline_access", func(p *fake, _ *Flow) { p.Document["scopes_supported"] = []string{"openid"} }, url.Values{"scope": {"openid email"}}},
		{"Keycloak", func(p *fake, f *Flow) { f.Issuer += "/realms/demo"; p.Document["issuer"] = f.Issuer }, url.Values{"scope": {"openid email"}}},
		{"scopes as written, without openid", func(_ *fake, f *Flow) { f.Scopes = "groups" }, url.Values{"scope": {"openid groups"}}},
		{"audience", func(_ *fake, f *Flow) { f.Audience = "api" }, url.Values{"scope": {scope}, "audience": {"api"}}},
		{"extra_params", func(_ *fake, f *Flow) { f.ExtraParams = "organization=org%201&scope=x&client_id=x" }, url.Values{"scope": {scope}, "organization": {"org 1"}}},
		{"client_secret", func(_ *fake, f *Flow) { f.ClientSecret = secret.New("s3cret") }, url.Values{"scope": {scope}, "client_secret": {"s3cret"}}},
		{"PKCE not with S256", func(p *fake, _ *Flow) { p.Document["code_challenge_methods_supported"] = []string{"plain"} }, url.Values{"scope": {scope}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			f := p.flow()
			test.setup(p, f)
			p.Will("/device", ok(deviceAnswer))
			if _, err := f.Authorize(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.want.Set("client_id", clientID)
			if diff := cmp.Diff(test.want, p.Last()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAuthorizeRetries(t *testing.T) {
	badScope, badRequest := refusal(400, "invalid_scope"), refusal(400, "invalid_request")
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
		{"at once", "", []reply{ok(deviceAnswer)}, 1, "openid email offline_access", true, false},
		{"another error", "", []reply{refusal(400, "invalid_client")}, 1, "openid email offline_access", true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newFake(t)
			p.Document["code_challenge_methods_supported"] = []string{"plain", "S256"}
			p.Will("/device", test.replies...)
			f := p.flow()
			f.Scopes = test.scopes
			a, err := f.Authorize(t.Context())
			if (err != nil) != test.wantErr {
				t.Fatal(err)
			}
			if got := strings.Count(p.Paths(), "device"); got != test.requests {
				t.Errorf("%d requests, want %d", got, test.requests)
			}
			sent := p.Last()
			if sent.Get("scope") != test.scope || sent.Has("code_challenge") != test.pkce || test.pkce != (sent.Get("code_challenge_method") == "S256") {
				t.Errorf("sent %v", sent)
			}
			if err != nil {
				return
			}
			if a.CodeVerifier.Empty() == test.pkce || test.pkce && sent.Get("code_challenge") != oauth2.S256ChallengeFromVerifier(a.CodeVerifier.Reveal()) {
				t.Error("the authorization and the request differ about PKCE")
			}
			p.Will("/token", refusal(400, "authorization_pending"))
			if _, pending, err := f.poll(t.Context(), &a); !pending || p.Last().Get("code_verifier") != a.CodeVerifier.Reveal() {
				t.Errorf("the poll: %v, sent %v", err, p.Last())
			}
		})
	}
}

func TestDeviceEndpoint(t *testing.T) {
	p := newFake(t)
	device := p.Document["device_authorization_endpoint"]
	delete(p.Document, "device_authorization_endpoint")
	_, err := p.remembering().Authorize(t.Context())
	if failure.From(err).Exit != failure.ExitUsage || !strings.Contains(err.Error(), "Enable this first: the device grant") {
		t.Errorf("error %v", err)
	}

	// What is remembered may be from before the device grant was switched on.
	p.Document["device_authorization_endpoint"] = device
	p.Will("/device", ok(deviceAnswer))
	if _, err := p.remembering().Authorize(t.Context()); err != nil {
		t.Error(err)
	}
	delete(p.Document, "device_authorization_endpoint")

	p.Will("/oauth/authorize_device", ok(deviceAnswer))
	f := p.flow()
	f.Endpoint = issuer + "/oauth/authorize_device"
	if _, err := f.Authorize(t.Context()); err != nil {
		t.Error(err)
	}

	f.Endpoint = "http://corp.example/device?x=s3cret"
	_, err = f.Authorize(t.Context())
	if failure.From(err).Exit != failure.ExitUsage || !strings.Contains(err.Error(), "is not https") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}

	// gitlab.com leaves it out.
	p.Document["issuer"] = "https://gitlab.com"
	if _, err := p.flow().Authorize(t.Context()); err != nil {
		t.Error(err)
	}
}
