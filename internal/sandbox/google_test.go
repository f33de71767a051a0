package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// signed is a GetCallerIdentity as Google's libraries sign it, and what a test
// changes of it.
type signed struct {
	host, action, region, service, resource, secret, token string
	age                                                    time.Duration
	unsigned                                               bool
}

func (c signed) subject(t *testing.T, now time.Time) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "https://"+c.host+"?Action="+c.action+"&Version=2011-06-15", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Goog-Cloud-Target-Resource", c.resource)
	empty := sha256.Sum256(nil)
	credentials := aws.Credentials{AccessKeyID: "ASIATEST", SecretAccessKey: c.secret, SessionToken: c.token}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, request, hex.EncodeToString(empty[:]), c.service, c.region, now.Add(-c.age)); err != nil {
		t.Fatal(err)
	}
	headers := []map[string]string{{"key": "Host", "value": c.host}}
	for name := range request.Header {
		if name != "Authorization" || !c.unsigned {
			headers = append(headers, map[string]string{"key": name, "value": request.Header.Get(name)})
		}
	}
	text, err := json.Marshal(map[string]any{"url": request.URL.String(), "method": request.Method, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	return url.QueryEscape(string(text))
}

// Google refuses what it refuses: a proof of another role, time or audience.
func TestGoogleRefuses(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	now := time.Now()
	s.sessions["ASIATEST"] = session{secretKey: "secret", token: "token", account: "111122223333", expires: now.Add(time.Hour)}
	exchange := func(form url.Values) *httptest.ResponseRecorder {
		t.Helper()
		usual := url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "scope": {"x"},
			"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		}
		for name, values := range form {
			usual[name] = values
		}
		r := httptest.NewRequest(http.MethodPost, "https://sts.googleapis.com/v1/token", strings.NewReader(usual.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.Google(w, r)
		return w
	}

	good := signed{host: "sts.eu-west-1.amazonaws.com", action: "GetCallerIdentity", region: "eu-west-1", service: "sts", resource: GoogleProviderAWS, secret: "secret", token: "token"}
	for name, c := range map[string]struct {
		change func(*signed)
		want   string // in the answer
	}{
		"good":            {func(*signed) {}, "ya29.federated-"},
		"unsigned":        {func(c *signed) { c.unsigned = true }, "not signed"},
		"another key":     {func(c *signed) { c.secret = "another" }, "SignatureDoesNotMatch"},
		"another region":  {func(c *signed) { c.region = "us-east-1" }, "SignatureDoesNotMatch"},
		"another service": {func(c *signed) { c.service = "iam" }, "SignatureDoesNotMatch"},
		"another session": {func(c *signed) { c.token = "another" }, "InvalidClientTokenId"},
		"another host":    {func(c *signed) { c.host = "sts.evil.example" }, "not for STS"},
		"another action":  {func(c *signed) { c.action = "GetSessionToken" }, "not a GetCallerIdentity"},
		"another pool":    {func(c *signed) { c.resource = GoogleProviderLogin }, "target-resource"},
		"too old":         {func(c *signed) { c.age = 20 * time.Minute }, "too old"},
	} {
		changed := good
		c.change(&changed)
		w := exchange(url.Values{"audience": {GoogleProviderAWS}, "subject_token_type": {"urn:ietf:params:aws:token-type:aws4_request"}, "subject_token": {changed.subject(t, now)}})
		if (w.Code == http.StatusOK) != (name == "good") || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("a request that is %s: status %d, %s", name, w.Code, w.Body)
		}
	}

	claims := map[string]any{"iss": s.Issuer, "aud": s.ClientID, "sub": "x", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	token := func(name string, value any) string {
		t.Helper()
		changed := map[string]any{}
		for claim := range claims {
			changed[claim] = claims[claim]
		}
		changed[name] = value
		text, err := s.WorkloadToken(changed)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const idToken = "urn:ietf:params:oauth:token-type:id_token"
	for _, c := range []struct{ name, kind, subject, want string }{
		{"good", idToken, token("sub", "taro"), "ya29.federated-"},
		{"of another kind", "urn:ietf:params:oauth:token-type:saml2", token("sub", "taro"), "subject token type"},
		{"of another issuer", idToken, token("iss", IssuerGitHub), "Incorrect token audience"},
		{"for another client", idToken, token("aud", "another"), "audience"},
		{"expired", idToken, token("exp", now.Add(-time.Hour).Unix()), "expired"},
		{"changed", idToken, token("sub", "taro") + "x", "valid"},
	} {
		w := exchange(url.Values{"audience": {GoogleProviderLogin}, "subject_token_type": {c.kind}, "subject_token": {c.subject}})
		if (w.Code == http.StatusOK) != (c.name == "good") || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("a token that is %s: status %d, %s", c.name, w.Code, w.Body)
		}
	}
	if w := exchange(url.Values{"audience": {"another"}, "subject_token_type": {idToken}, "subject_token": {token("sub", "taro")}}); w.Code != http.StatusBadRequest {
		t.Errorf("another audience: status %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+GoogleAccount+":generateAccessToken", nil)
	r.Header.Set("Authorization", "Bearer ya29.federated-forged")
	w := httptest.NewRecorder()
	if s.Google(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("a forged token: status %d", w.Code)
	}
}
