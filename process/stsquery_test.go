package process

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// The SDK is the judge of what STS is sent.
func TestSTSFormIsTheSDKs(t *testing.T) {
	t.Parallel()
	var sent []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		sent = append(sent, r)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	p := w.provider()
	p.Profile.STSEndpoint = server.URL + "/"
	p.Profile.Duration, p.Profile.SessionName = 20*time.Minute, "taro@example.com"
	p.Profile.Policy = `{"Version":"2012-10-17","Statement":[]}`
	p.Profile.PolicyARNs = []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::111122223333:policy/less"}
	l := w.readLogin()
	if _, err := p.assumeRole(t.Context(), l); err == nil {
		t.Fatal("no error at status 403")
	}

	sdk := sts.New(sts.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1,
	})
	_, err := sdk.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(p.Profile.RoleARN),
		RoleSessionName:  aws.String("taro@example.com"),
		WebIdentityToken: aws.String(l.IDToken.Reveal()),
		DurationSeconds:  aws.Int32(1200),
		Policy:           aws.String(p.Profile.Policy),
		PolicyArns: []types.PolicyDescriptorType{
			{Arn: aws.String(p.Profile.PolicyARNs[0])}, {Arn: aws.String(p.Profile.PolicyARNs[1])},
		},
	})
	if err == nil {
		t.Fatal("the SDK accepts status 403")
	}
	if len(sent) != 2 {
		t.Fatalf("%d requests, want 2", len(sent))
	}
	ours, theirs := sent[0], sent[1]
	if diff := cmp.Diff(theirs.PostForm, ours.PostForm); diff != "" {
		t.Errorf("the form, - of the SDK, + of daypass:\n%s", diff)
	}
	if ours.Method != theirs.Method || ours.URL.String() != theirs.URL.String() {
		t.Errorf("%s %s, the SDK has %s %s", ours.Method, ours.URL, theirs.Method, theirs.URL)
	}
	mime := func(r *http.Request) string {
		before, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		return before
	}
	if mime(ours) != mime(theirs) {
		t.Errorf("content type %q, the SDK has %q", mime(ours), mime(theirs))
	}
}

// Whatever an answer holds, it is credentials, an error of AWS's, or named for
// what it is.
func FuzzReadSTSAnswer(f *testing.F) {
	const good = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
		<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
		<Expiration>2026-01-02T03:04:05Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/n</Arn></AssumedRoleUser>
		</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	for _, body := range []string{
		"", good, "<html>", `<?xml version="1.0" encoding="latin1"?><a/>`, strings.Repeat("<a>", 100),
		strings.Replace(good, "2026-01-02T03:04:05Z", "tomorrow", 1),
		`<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
		`<ErrorResponse><Error><Code></Code></Error></ErrorResponse>`, `{"Error": {"Code": "AccessDenied"}}`,
	} {
		f.Add(200, []byte(body))
		f.Add(302, []byte(body))
		f.Add(403, []byte(body))
		f.Add(503, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		answer, err := readSTSAnswer(status, body)
		var refusal *stsError
		var bad *badAnswer
		switch {
		case err == nil:
			if status != http.StatusOK {
				t.Errorf("credentials with status %d", status)
			}
			p := &Provider{Now: func() time.Time { return time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC) }}
			if r, err := p.role(&login{ID: "1"}, answer); err == nil {
				if r.AccessKeyID == "" || r.SecretAccessKey.Empty() || r.SessionToken.Empty() || !r.Expires.After(p.Now()) {
					t.Errorf("a role that cannot serve: %+v", r)
				}
			}
		case errors.As(err, &refusal):
			if status == http.StatusOK || refusal.Code == "" || refusal.Status != status {
				t.Errorf("status %d: %+v", status, refusal)
			}
		case errors.As(err, &bad):
			if bad.passing != (status >= 500) {
				t.Errorf("status %d: %+v", status, bad)
			}
		default:
			t.Errorf("an error of another kind: %v", err)
		}
	})
}

// What says nothing about this login may be over with the next request; what is
// wrong for good is said at once.
func TestPassing(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&stsError{Code: "AccessDenied", Status: 403}, false},
		{&stsError{Code: "Throttling", Status: 400}, true},
		{&stsError{Code: "InternalFailure", Status: 500}, true},
		{&badAnswer{}, false},
		{&badAnswer{passing: true}, true},
		{&net.DNSError{IsNotFound: true}, false},
		{&net.DNSError{IsTimeout: true}, true},
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, false},
		{io.ErrUnexpectedEOF, true},
	} {
		if got := passing(fmt.Errorf("wrapped: %w", c.err)); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
