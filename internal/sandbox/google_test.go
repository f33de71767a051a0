package sandbox_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daypass/daypass/internal/sandbox"
)

// Google refuses what it refuses: a proof of another role, time or audience.
func TestGoogleRefuses(t *testing.T) {
	b := start(t, sandbox.Options{})
	credentials := b.Session()
	exchange := func(audience, kind, subject string) reply {
		t.Helper()
		return b.post(b.URL+"/sts.googleapis.com/v1/token", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "scope", "x",
			"requested_token_type", "urn:ietf:params:oauth:token-type:access_token",
			"audience", audience, "subject_token_type", "urn:ietf:params:"+kind, "subject_token", subject)
	}
	check := func(name string, got reply, want string) {
		t.Helper()
		if (got.status == http.StatusOK) != (name == "good") || !strings.Contains(got.text, want) {
			t.Errorf("%s: status %d, %s", name, got.status, got.text)
		}
	}

	for name, c := range map[string]struct {
		change func(*signedCall)
		want   string // in the answer
	}{
		"good":            {func(*signedCall) {}, "ya29.federated-"},
		"unsigned":        {func(c *signedCall) { c.change = unsigned }, "not signed"},
		"another key":     {func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.SecretAccessKey = "another" } }, "SignatureDoesNotMatch"},
		"another region":  {func(c *signedCall) { c.region = "us-east-1" }, "SignatureDoesNotMatch"},
		"another service": {func(c *signedCall) { c.service = "iam" }, "SignatureDoesNotMatch"},
		"another session": {func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.SessionToken = "another" } }, "InvalidClientTokenId"},
		"another host":    {func(c *signedCall) { c.path = strings.Replace(c.path, "amazonaws.com", "evil.example", 1) }, "not for STS"},
		"another action":  {func(c *signedCall) { c.path = strings.Replace(c.path, "GetCallerIdentity", "GetSessionToken", 1) }, "not a GetCallerIdentity"},
		"another pool":    {func(c *signedCall) { c.header["X-Goog-Cloud-Target-Resource"] = sandbox.GoogleProviderLogin }, "target-resource"},
		"too old":         {func(c *signedCall) { c.age = 20 * time.Minute }, "too old"},
	} {
		call := signedCall{
			path:   "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
			header: map[string]string{"X-Goog-Cloud-Target-Resource": sandbox.GoogleProviderAWS}, service: "sts", region: "eu-west-1",
		}
		c.change(&call)
		r := call.request(b, credentials)
		headers := []map[string]string{{"key": "host", "value": r.Host}}
		for name := range r.Header {
			headers = append(headers, map[string]string{"key": name, "value": r.Header.Get(name)})
		}
		text, err := json.Marshal(map[string]any{"url": r.URL.String(), "method": r.Method, "headers": headers})
		must(t, err)
		check(name, exchange(sandbox.GoogleProviderAWS, "aws:token-type:aws4_request", url.QueryEscape(string(text))), c.want)
	}

	token := func(name string, value any) string {
		t.Helper()
		claims := map[string]any{"iss": b.Issuer, "aud": b.ClientID, "sub": "x", "iat": b.clock.Now().Unix(), "exp": b.clock.Now().Add(time.Hour).Unix()}
		maps.Copy(claims, map[string]any{name: value})
		text, err := b.WorkloadToken(claims)
		must(t, err)
		return text
	}
	const idToken = "oauth:token-type:id_token"
	for _, c := range []struct{ name, audience, kind, subject, want string }{
		{"good", sandbox.GoogleProviderLogin, idToken, token("sub", "taro"), "ya29.federated-"},
		{"of another kind", sandbox.GoogleProviderLogin, "oauth:token-type:saml2", token("sub", "taro"), "subject token type"},
		{"of another issuer", sandbox.GoogleProviderLogin, idToken, token("iss", sandbox.IssuerGitHub), "Incorrect token audience"},
		{"for another client", sandbox.GoogleProviderLogin, idToken, token("aud", "another"), "audience"},
		{"expired", sandbox.GoogleProviderLogin, idToken, token("exp", b.clock.Now().Add(-time.Hour).Unix()), "expired"},
		{"changed", sandbox.GoogleProviderLogin, idToken, token("sub", "taro") + "x", "valid"},
		{"for another pool", "another", idToken, token("sub", "taro"), "audience"},
	} {
		check(c.name, exchange(c.audience, c.kind, c.subject), c.want)
	}
	r, err := http.NewRequest(http.MethodPost, b.URL+"/iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+sandbox.GoogleAccount+":generateAccessToken", nil)
	if err == nil {
		r.Header.Set("Authorization", "Bearer ya29.federated-forged")
	}
	check("a forged token", b.send(r, err), "invalid authentication credentials")
}
