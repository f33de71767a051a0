package process

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// lastSTS is the last request to STS.
func (w *world) lastSTS() sandbox.Request {
	w.t.Helper()
	requests := w.box.Requests()
	for i := len(requests) - 1; i >= 0; i-- {
		if requests[i].Endpoint == "sts" {
			return requests[i]
		}
	}
	w.t.Fatal("STS was not asked")
	return sandbox.Request{}
}

// What the profile says is what STS is asked for, in the body and never in a URL.
func TestSTSIsAskedForWhatTheProfileSays(t *testing.T) {
	t.Parallel()
	const policy = `{"Version":"2012-10-17","Statement":[]}`
	w := newWorld(t, sandbox.Options{})
	w.mustRun(func(p *Provider) {
		p.Profile.Duration, p.Profile.SessionName, p.Profile.Policy = 20*time.Minute, "ci-{sub}", policy
		p.Profile.PolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::111122223333:policy/less"}
	})
	r := w.lastSTS()
	for name, want := range map[string]string{
		"RoleArn": w.box.RoleARN, "DurationSeconds": "1200", "RoleSessionName": "ci-sandbox-taro", "Policy": policy,
		"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
		"PolicyArns.member.2.arn": "arn:aws:iam::111122223333:policy/less",
	} {
		if got := r.Form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if token := r.Form.Get("WebIdentityToken"); token != w.readLogin().IDToken.Reveal() || len(r.Query) != 0 {
		t.Errorf("the ID token is not in the body, or something is in the query: %v", r.Query)
	}
	if r.Header.Get("Authorization") != "" {
		t.Error("the request is signed")
	}
	w.mustRun()
	if r := w.lastSTS(); r.Form.Has("Policy") || r.Form.Has("PolicyArns.member.1.arn") {
		t.Error("a policy was sent that the profile does not have")
	}
}

// The token of the request is a bearer token: a redirect does not get it.
func TestRedirectOfSTSIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		var reached atomic.Int32
		target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
		w := newWorld(t, sandbox.Options{})
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/sts") {
				return false
			}
			rw.Header().Set("Location", target.URL+"/")
			rw.WriteHeader(status)
			return true
		})
		_, err := w.run()
		w.failsWith(err, failure.ExitNetwork, "")
		target.Close()
		if n := reached.Load(); n != 0 {
			t.Errorf("%d: the target was asked %d times", status, n)
		}
	}
}

// Whatever comes instead of AWS's answer is a clear failure, loses no login, and
// shows nothing of a secret.
func TestOddAnswersOfSTS(t *testing.T) {
	t.Parallel()
	whole := func(expiration string) string {
		return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>` +
			`<Credentials><AccessKeyId>ASIAODD</AccessKeyId><SecretAccessKey>topsecretkey</SecretAccessKey><SessionToken>topsecrettoken</SessionToken>` +
			`<Expiration>` + expiration + `</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	}
	for _, c := range []struct {
		name   string
		status int
		body   string
		exit   int
		first  string
	}{
		{"a page to log in to the network", 200, "<html>log in</html>", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"nothing", 200, "", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"JSON", 200, "{}", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"a proxy's refusal", 403, "<html>forbidden</html>", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"a proxy without a password", 407, "who are you", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"not found", 404, "nope", failure.ExitNetwork, "the answer of STS cannot be used"},
		{"broken", 500, "boom", failure.ExitNetwork, ""},
		{"cut off", 200, whole("2026-11-22T10:00:00Z")[:300], failure.ExitNetwork, "the answer of STS cannot be used"},
		{"an expiry that is none", 200, whole("tomorrow"), failure.ExitNetwork, "the answer of STS cannot be used"},
		{"expired", 200, whole("2026-11-22T09:00:00Z"), failure.ExitNetwork, "already expired by this machine's clock"},
		{"more than 13 h", 200, whole("2026-11-22T22:01:00Z"), failure.ExitNetwork, "live longer than AWS gives any"},
		{"2 MB", 200, strings.Replace(whole("2026-11-22T12:00:00Z"), "<Credentials>", strings.Repeat("<x/>", 2<<18)+"<Credentials>", 1), failure.ExitNetwork, ""},
		{"a huge key", 200, strings.Replace(whole("2026-11-22T12:00:00Z"), "ASIAODD", strings.Repeat("A", 200), 1), failure.ExitNetwork, "larger than AWS gives any"},
		{"a huge ARN", 200, strings.Replace(whole("2026-11-22T12:00:00Z"), "</AssumeRoleWithWebIdentityResult>",
			"<AssumedRoleUser><Arn>"+strings.Repeat("a", 3<<10)+"</Arn></AssumedRoleUser></AssumeRoleWithWebIdentityResult>", 1), failure.ExitNetwork, "longer than AWS makes any"},
		{"a huge session token", 200, strings.Replace(whole("2026-11-22T12:00:00Z"), "topsecrettoken", strings.Repeat("a", 20<<10), 1), failure.ExitNetwork, "larger than AWS gives any"},
	} {
		w := newWorld(t, sandbox.Options{})
		w.answerWith("/sts", c.status, c.body)
		_, err := w.run()
		f := failure.From(err)
		if err == nil || f.Exit != c.exit || !strings.Contains(f.Lines[0], c.first) || len(f.Lines) > 3 {
			t.Errorf("%s: exit %d: %v", c.name, f.Exit, err)
		}
		if err != nil && (strings.Contains(err.Error(), "topsecret") || len(err.Error()) > 2000) {
			t.Errorf("%s: %v", c.name, err)
		}
		w.box.Intercept(nil)
		w.clock.Advance(time.Second)
		w.mustRun()
		w.counts(map[string]int{"device": 1})
	}
	w := newWorld(t, sandbox.Options{})
	w.answerWith("/sts", 200, whole("2026-11-22T22:00:00Z"))
	if c := w.mustRun(); c.AccessKeyID != "ASIAODD" || c.Expires.Sub(w.clock.Now()) < 13*time.Hour-time.Minute {
		t.Errorf("13 h are not taken: %v", c.Expires)
	}
}

// AWS repeats the token that it refuses; daypass does not.
func TestTokenEchoedBySTSIsNotShown(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ValidationError", "InvalidIdentityToken", "AccessDenied", "Throttling", "Unheard"} {
		w := newWorld(t, sandbox.Options{})
		w.box.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/sts") {
				return false
			}
			rw.Header().Set("Content-Type", "text/xml")
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(rw, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code>`+
				`<Message>Value '%s' at 'webIdentityToken' failed to satisfy constraint</Message></Error><RequestId>x</RequestId></ErrorResponse>`,
				code, r.PostForm.Get("WebIdentityToken"))
			return true
		})
		_, err := w.run()
		if err == nil {
			t.Fatal("no failure")
		}
		w.holdsNoSecret(err.Error())
		if token := w.readLogin().IDToken.Reveal(); strings.Contains(err.Error(), token[:40]) || strings.Contains(err.Error(), token[len(token)-40:]) {
			t.Errorf("%s: a piece of the token stands in:\n%v", code, err)
		}
	}
}

// A fault that passes is tried three times, with pauses; Ctrl-C ends the pause.
func TestSTSIsTriedThreeTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.box.FailSTS(sandbox.STSError{Code: "IDPCommunicationError"}, sandbox.STSError{Code: "Throttling"})
	before := w.clock.Now()
	w.mustRun()
	w.counts(map[string]int{"sts": 3})
	if waited := w.clock.Now().Sub(before); waited < 1500*time.Millisecond {
		t.Errorf("three tries within %s", waited)
	}
	w = newWorld(t, sandbox.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	_, err := w.provider(func(p *Provider) {
		p.Sleep = func(ctx context.Context, d time.Duration) error {
			if w.box.Count("sts") > 0 {
				interrupt()
			}
			return w.clock.Sleep(ctx, d)
		}
	}).Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.counts(map[string]int{"sts": 1})
}
