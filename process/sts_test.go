package process

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

// lastSTS is the last request to STS.
func (w *world) lastSTS() sandbox.Request {
	w.t.Helper()
	for _, r := range slices.Backward(w.box.Requests()) {
		if r.Endpoint == "sts" {
			return r
		}
	}
	w.t.Fatal("STS was not asked")
	return sandbox.Request{}
}

// What the profile says is what STS is asked for, in the body and never in a URL,
// unsigned, and CloudTrail is told that it was daypass.
func TestSTSIsAskedForWhatTheProfileSays(t *testing.T) {
	t.Parallel()
	const policy = `{"Version":"2012-10-17","Statement":[]}`
	w := newWorld(t, sandbox.Options{})
	w.mustRun(func(p *Pipeline) {
		p.Profile.Duration, p.Profile.SessionName, p.Profile.Policy = 20*time.Minute, "ci-{sub}", policy
		p.Profile.PolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::111122223333:policy/less"}
	})
	l := w.readLogin()
	r := w.lastSTS()
	for name, want := range map[string]string{
		"RoleArn": w.box.RoleARN, "DurationSeconds": "1200", "RoleSessionName": "ci-sandbox-taro", "Policy": policy,
		"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
		"PolicyArns.member.2.arn": "arn:aws:iam::111122223333:policy/less",
		"WebIdentityToken":        l.IDToken.Reveal(),
	} {
		if got := r.Form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost || len(r.Query) != 0 || r.Header.Get("Authorization") != "" {
		t.Errorf("%s with the query %v, signed %q", r.Method, r.Query, r.Header.Get("Authorization"))
	}
	if agent := r.Header.Get("User-Agent"); !strings.Contains(agent, "app/daypass") {
		t.Errorf("the user agent is %q", agent)
	}
	w.mustRun()
	if r := w.lastSTS(); r.Form.Has("Policy") || r.Form.Has("PolicyArns.member.1.arn") {
		t.Error("a policy was sent that the profile does not have")
	}
}

// Nothing of the SDK's own configuration has a say: neither the environment of the
// SDK that has started us nor the file that names us.
func TestSTSIgnoresTheSDKsConfiguration(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_REGION": "us-west-2", "AWS_PROFILE": "dev",
		"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other", "AWS_MAX_ATTEMPTS": "9", "AWS_SDK_UA_APP_ID": "other",
	} {
		t.Setenv(name, value)
	}
	w := newWorld(t, sandbox.Options{})
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	w.fails(failure.ExitNetwork, "")
	w.counts(map[string]int{"sts": stsTries})
	if r := w.lastSTS(); r.Header.Get("Authorization") != "" || strings.Contains(r.Header.Get("User-Agent"), "app/other") {
		t.Errorf("the environment has a say: %v", r.Header)
	}
	w.clock.Advance(time.Second)
	w.answerWith("/sts", http.StatusInternalServerError, strings.Repeat("<x/>", 2<<18))
	w.fails(failure.ExitNetwork, "it is larger than any of AWS's") // which another try does not mend
	w.counts(map[string]int{"sts": stsTries + 1})
	p := w.pipeline(func(p *Pipeline) { p.Profile.STSEndpoint = "" })
	if got, err := p.STSURL(t.Context()); err != nil || got != "https://sts.eu-west-1.amazonaws.com" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSTSEndpoints(t *testing.T) {
	for _, c := range []struct {
		profile profile.Profile
		want    string
	}{
		{profile.Profile{Region: "eu-west-1"}, "https://sts.eu-west-1.amazonaws.com"},
		{profile.Profile{Region: "us-west-2", UseFIPS: true, UseDualStack: true}, "https://sts-fips.us-west-2.api.aws"},
		{profile.Profile{Region: "cn-north-1", Partition: "aws-cn"}, "https://sts.cn-north-1.amazonaws.com.cn"},
		{profile.Profile{Region: "aws-cn-global", Partition: "aws-cn"}, "https://sts.cn-north-1.amazonaws.com.cn"},
		{profile.Profile{Region: "aws-global", Partition: "aws"}, "https://sts.us-east-1.amazonaws.com"},
		{profile.Profile{Region: "eusc-de-east-1", Partition: "aws-eusc"}, "https://sts.eusc-de-east-1.amazonaws.eu"},
		{profile.Profile{Region: "eu-west-1", STSEndpoint: "https://sts.vpc.example"}, "https://sts.vpc.example"},
		{profile.Profile{Region: "eu-west-1", STSEndpoint: "https://sts.vpc.example", UseFIPS: true}, ""},
	} {
		got, err := (&Pipeline{Profile: c.profile}).STSURL(t.Context())
		if c.want == "" {
			if f := failure.From(err); err == nil || f.Exit != failure.ExitUsage || !strings.Contains(f.Error(), "use_fips_endpoint") {
				t.Errorf("%+v: %q, %v", c.profile, got, err)
			}
		} else if err != nil || strings.TrimSuffix(got, "/") != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.profile, got, err, c.want)
		}
	}
}

// No pause outlasts the deadline or Ctrl-C.
func TestSTSRespectsTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	w.clock.Advance(2 * time.Hour)
	w.answerWith("/sts", http.StatusServiceUnavailable, "down")
	at := w.clock.Now().Add(1800 * time.Millisecond)
	soon := sandbox.Deadline(t.Context(), at)
	w.failsIn(soon, failure.ExitNetwork, "")
	w.counts(map[string]int{"sts": 3}) // one pause fits
	if late := w.clock.Now().Sub(at); late > 0 {
		t.Errorf("it ends %s late", late)
	}

	w.clock.Advance(renewalPause + time.Second)
	ctx, interrupt := context.WithCancel(t.Context())
	_, err := w.pipeline(func(p *Pipeline) {
		p.Sleep = func(ctx context.Context, d time.Duration) error { interrupt(); return w.clock.Sleep(ctx, d) }
	}).Credentials(ctx, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	w.counts(map[string]int{"sts": 4})
}

// What cannot be reached is told with what helps: the way to the company's CA for
// a certificate that nobody knows, and nothing about it for other trouble.
func TestSTSThatCannotBeReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Rotate: true})
	w.mustRun()
	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer secured.Close()
	const bundle = "Is this machine's clock right? If a company proxy or CA signs for it, set AWS_CA_BUNDLE, or ca_bundle in profile dev."
	for _, c := range []struct{ endpoint, first, then string }{
		{secured.URL, "certificate", bundle},
		{"http://sts.invalid", "", notNeeded},
	} {
		err := w.fails(failure.ExitNetwork, "cannot reach AWS STS at "+c.endpoint+": ", func(p *Pipeline) { p.Profile.STSEndpoint = c.endpoint })
		if lines := failure.From(err).Lines; !strings.Contains(lines[0], c.first) || lines[1] != c.then {
			t.Errorf("%s:\n%v", c.endpoint, err)
		}
	}
	w.fails(failure.ExitUsage, `the CA bundle for AWS cannot be used: open "/does/not/exist"`, func(p *Pipeline) { p.Profile.AWSCABundle, p.Profile.Duration = "/does/not/exist", 20*time.Minute })
	w.counts(map[string]int{"device": 1, "token:refresh": 0})
}
