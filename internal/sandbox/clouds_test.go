package sandbox_test

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/daypass/daypass/internal/sandbox"
)

// signedCall is a request to AWS, and what is done to it before and after it is
// signed.
type signedCall struct {
	host            string // "" for that of the address
	path, body      string // a path is one at the sandbox's own address, or a whole address
	header          map[string]string
	service, region string // of the signature
	age             time.Duration
	sign            func(*aws.Credentials)
	change          func(*http.Request)
}

func (c signedCall) request(b box, credentials aws.Credentials) *http.Request {
	b.t.Helper()
	address := c.path
	if strings.HasPrefix(address, "/") {
		address = b.URL + c.path
	}
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(c.body))
	must(b.t, err)
	r.Host = cmp.Or(c.host, r.Host)
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	if c.sign != nil {
		c.sign(&credentials)
	}
	digest := sha256.Sum256([]byte(c.body))
	must(b.t, v4.NewSigner().SignHTTP(b.t.Context(), credentials, r, hex.EncodeToString(digest[:]), c.service, c.region, b.clock.Now().Add(-c.age)))
	if c.change != nil {
		c.change(r)
	}
	return r
}

func (c signedCall) send(b box, credentials aws.Credentials) reply {
	b.t.Helper()
	return b.send(c.request(b, credentials), nil)
}

func unsigned(r *http.Request) { r.Header.Del("Authorization") }

// Secrets Manager, SSM and Cognito refuse whoever has not signed as they must.
func TestJSONServicesRefuse(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.PutSecret("eu-west-1", "db", "value-of-the-secret")
	b.PutParameter("eu-west-1", "/db", "value-of-the-parameter")
	credentials := b.Session()
	call := func(service, body, target string) signedCall {
		return signedCall{
			host: service + ".eu-west-1.amazonaws.com", path: "/", body: body, service: service, region: "eu-west-1",
			header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target},
		}
	}
	secret := call("secretsmanager", `{"SecretId":"db"}`, "secretsmanager.GetSecretValue")
	parameter := call("ssm", `{"Name":"/db","WithDecryption":true}`, "AmazonSSM.GetParameter")
	identity := call("cognito-identity", `{"IdentityPoolId":"eu-west-1:x","Logins":{"azure-access":"u"}}`, "AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity")
	with := func(c signedCall, change func(*signedCall)) signedCall { change(&c); return c }
	for name, tt := range map[string]struct {
		call signedCall
		want string
	}{
		"FIPS":               {with(secret, func(c *signedCall) { c.host = "secretsmanager-fips.eu-west-1.amazonaws.com" }), "value-of-the-secret"},
		"unsigned":           {with(secret, func(c *signedCall) { c.change = unsigned }), "MissingAuthenticationTokenException"},
		"another key":        {with(secret, func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.AccessKeyID = "ASIAX" } }), "UnrecognizedClientException"},
		"another token":      {with(secret, func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.SessionToken += "x" } }), "UnrecognizedClientException"},
		"another secret key": {with(secret, func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.SecretAccessKey = "x" } }), "InvalidSignatureException"},
		"another service":    {with(secret, func(c *signedCall) { c.service = "ssm" }), "InvalidSignatureException"},
		"another region":     {with(parameter, func(c *signedCall) { c.region = "us-east-1" }), "InvalidSignatureException"},
		"another body":       {with(secret, func(c *signedCall) { c.change = func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 } }), "InvalidSignatureException"},
		"another target":     {with(secret, func(c *signedCall) { c.change = func(r *http.Request) { r.Header.Set("X-Amz-Target", "x") } }), "InvalidSignatureException"},
		"a slash inside":     {with(parameter, func(c *signedCall) { c.body = `{"Name":"a/b"}` }), "ValidationException"},
		"not decrypted":      {with(parameter, func(c *signedCall) { c.body = `{"Name":"/db"}` }), "AQICAHg="},
		"another provider":   {with(identity, func(c *signedCall) { c.body = `{"IdentityPoolId":"eu-west-1:x","Logins":{"google":"u"}}` }), "InvalidParameterException"},
		"a pool elsewhere":   {with(identity, func(c *signedCall) { c.body = `{"IdentityPoolId":"us-east-1:x","Logins":{"azure-access":"u"}}` }), "ResourceNotFoundException"},
	} {
		if got := tt.call.send(b, credentials); !strings.Contains(got.text, tt.want) || (got.status == 200) != !strings.HasSuffix(tt.want, "Exception") {
			t.Errorf("%s: status %d, want %s: %s", name, got.status, tt.want, got.text)
		}
	}
	b.clock.Advance(2 * time.Hour)
	if got := secret.send(b, credentials); !strings.Contains(got.text, "ExpiredTokenException") {
		t.Errorf("expired: %s", got.text)
	}
}

// outbound asks for a token for Azure.
func (b box) outbound(credentials aws.Credentials, change func(*signedCall)) (token string, got reply) {
	b.t.Helper()
	c := signedCall{
		path: "/sts/", service: "sts", region: "eu-west-1", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		body: "Action=GetWebIdentityToken&Version=2011-06-15&Audience.member.1=api%3A%2F%2FAzureADTokenExchange&SigningAlgorithm=RS256&DurationSeconds=600",
	}
	if change != nil {
		change(&c)
	}
	got = c.send(b, credentials)
	return got.element("WebIdentityToken"), got
}

func TestGetWebIdentityTokenRefuses(t *testing.T) {
	b := start(t, sandbox.Options{})
	credentials := b.Session()
	instead := func(old, new string) func(*signedCall) {
		return func(c *signedCall) { c.body = strings.Replace(c.body, old, new, 1) }
	}
	for name, tt := range map[string]struct {
		change func(*signedCall)
		code   string
	}{
		"regional":        {func(c *signedCall) { c.host, c.path = "sts.eu-west-1.amazonaws.com", "/" }, ""},
		"unsigned":        {func(c *signedCall) { c.change = unsigned }, "MissingAuthenticationToken"},
		"another service": {func(c *signedCall) { c.service = "iam" }, "SignatureDoesNotMatch"},
		"another region":  {func(c *signedCall) { c.host, c.path, c.region = "sts.eu-west-1.amazonaws.com", "/", "us-east-1" }, "SignatureDoesNotMatch"},
		"no audience":     {instead("Audience.member.1", "Audience"), "ValidationError"},
		"no algorithm":    {instead("SigningAlgorithm=RS256", ""), "ValidationError"},
		"too short":       {instead("=600", "=59"), "ValidationError"},
		"too long":        {instead("=600", "=3601"), "ValidationError"},
		"whole session":   {instead("=600", "=3600"), ""},
		"global":          {func(c *signedCall) { c.host, c.path = "sts.amazonaws.com", "/sts/" }, "InvalidAction"},
	} {
		token, got := b.outbound(credentials, tt.change)
		if (token != "") != (tt.code == "") || !strings.Contains(got.text, tt.code) {
			t.Errorf("%s: want %q: %s", name, tt.code, got.text)
		}
	}
	b.clock.Advance(time.Minute) // the session has less than an hour left now
	if _, got := b.outbound(credentials, instead("=600", "=3600")); !strings.Contains(got.text, "SessionDurationEscalationException") {
		t.Errorf("%s", got.text)
	}
}

// Entra ID takes an assertion as long as it is good. What it must name is tested in
// package process.
func TestEntraRefuses(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.Federate(sandbox.FederatedCredential{Tenant: "t", ClientID: "c", Issuer: sandbox.OutboundIssuer, Subject: b.RoleARN, Audience: "api://AzureADTokenExchange"})
	assertion, _ := b.outbound(b.Session(), nil)
	ask := func(pairs ...string) reply {
		form := url.Values{
			"client_id": {"c"}, "grant_type": {"client_credentials"}, "scope": {"https://vault.azure.net/.default openid"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		r, err := http.NewRequest(http.MethodPost, b.URL+"/t/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		must(t, err)
		r.Host = "login.microsoftonline.com"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return b.send(r, nil)
	}
	for name, tt := range map[string]struct {
		pairs []string
		code  string
	}{
		"good":               {nil, ""},
		"changed":            {[]string{"client_assertion", assertion[:len(assertion)-8] + "AAAAAAAA"}, "AADSTS50027"},
		"no assertion":       {[]string{"client_assertion", ""}, "AADSTS50027"},
		"another grant":      {[]string{"grant_type", "password"}, "AADSTS900144"},
		"scope of one right": {[]string{"scope", "https://vault.azure.net/read"}, "AADSTS1002012"},
	} {
		got := ask(tt.pairs...)
		if (got.string("access_token") != "") != (tt.code == "") || !strings.Contains(got.string("error_description"), tt.code) {
			t.Errorf("%s: want %q: %s", name, tt.code, got.text)
		}
	}
	b.clock.Advance(10 * time.Minute)
	if got := ask(); !strings.Contains(got.text, "AADSTS700024") {
		t.Errorf("an old assertion: %s", got.text)
	}
	b.clock.Advance(-20 * time.Minute)
	if got := ask(); !strings.Contains(got.text, "AADSTS700024") {
		t.Errorf("an assertion from the future: %s", got.text)
	}
}

// Key Vault takes a token of its own tenant, for itself, as long as it is good. The
// real names are reached through a proxy that ends TLS, and by no others.
func TestKeyVaultRefuses(t *testing.T) {
	b := start(t, sandbox.Options{})
	b.PutVaultSecret(sandbox.AzureTenant, "kv", "db", "value-of-the-vault")
	proxy, err := sandbox.StartInternet(http.HandlerFunc(b.Cloud), sandbox.CloudHosts()...)
	must(t, err)
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.Proxy)
	must(t, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(proxy.Certificate)
	through := &http.Transport{Proxy: http.ProxyURL(address), TLSClientConfig: &tls.Config{RootCAs: trusted}}
	t.Cleanup(through.CloseIdleConnections)
	identity := func(resource string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/metadata/identity/oauth2/token?api-version=2018-02-01&resource="+resource, nil)
		must(t, err)
		r.Header.Set("Metadata", "true")
		return b.send(r, nil).string("access_token")
	}
	vault := identity("https://vault.azure.net")
	for _, tt := range []struct {
		name, address, token string
		status               int
	}{
		{"good", "https://kv.vault.azure.net/secrets/db?api-version=7.4", vault, 200},
		{"no token", "https://kv.vault.azure.net/secrets/db?api-version=7.4", "", 401},
		{"another resource", "https://kv.vault.azure.net/secrets/db?api-version=7.4", identity(sandbox.AppIDURI), 401},
		{"no version of the API", "https://kv.vault.azure.net/secrets/db", vault, 400},
		{"no such vault", "https://nope.vault.azure.net/secrets/db?api-version=7.4", vault, 421},
		{"a stranger", "https://example.com/", vault, 0},
		{"without TLS", "http://kv.vault.azure.net/secrets/db?api-version=7.4", vault, 403},
		{"metadata through a proxy", "http://169.254.169.254/metadata/identity/oauth2/token", "", 403},
		{"expired", "https://kv.vault.azure.net/secrets/db?api-version=7.4", vault, 401},
	} {
		if tt.name == "expired" {
			b.clock.Advance(25 * time.Hour)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.address, nil)
		must(t, err)
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		response, err := through.RoundTrip(r)
		status := 0
		if err == nil {
			status = response.StatusCode
			_ = response.Body.Close()
		}
		if status != tt.status || status == 401 && !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), `Bearer authorization="https://login.microsoftonline.com/`) {
			t.Errorf("%s: status %d, want %d, %v", tt.name, status, tt.status, err)
		}
	}
}
