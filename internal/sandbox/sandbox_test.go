package sandbox_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daypass/daypass/internal/sandbox"
)

// What the tests prove with the sandbox, they prove by what it refuses: these are
// its refusals. What it accepts, they use.

// box is a sandbox with a clock of its own.
type box struct {
	*sandbox.Sandbox
	t     *testing.T
	clock *sandbox.Clock
}

func start(t *testing.T, o sandbox.Options) box {
	t.Helper()
	c := sandbox.NewClock(time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC))
	o.Now = c.Now
	s, err := sandbox.Start(o)
	must(t, err)
	t.Cleanup(s.Close)
	return box{s, t, c}
}

// reply is what came back.
type reply struct {
	status int
	text   string
	fields map[string]any // of a JSON body
}

func (r reply) string(name string) string {
	value, _ := r.fields[name].(string)
	return value
}

// element is the text of the first XML element of that name.
func (r reply) element(name string) string {
	_, rest, _ := strings.Cut(r.text, "<"+name+">")
	value, _, _ := strings.Cut(rest, "</"+name+">")
	return value
}

// send sends a request; redirects are not followed, and any certificate will do.
func (b box) send(r *http.Request, err error) reply {
	b.t.Helper()
	must(b.t, err)
	response, err := (&http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}).RoundTrip(r)
	must(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(b.t, err)
	got := reply{status: response.StatusCode, text: string(body)}
	_ = json.Unmarshal(body, &got.fields) // other bodies have none
	return got
}

// post sends a form of name, value pairs; the last of a name counts.
func (b box) post(address string, pairs ...string) reply {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form(pairs...).Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return b.send(r, err)
}

func form(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func (b box) get(address string) reply {
	b.t.Helper()
	return b.send(http.NewRequest(http.MethodGet, address, nil))
}

func (b box) token(pairs ...string) reply {
	b.t.Helper()
	return b.post(b.Issuer+"/token", append([]string{"client_id", b.ClientID}, pairs...)...)
}

// approved is a device code that the user taro has approved.
func (b box) approved(pairs ...string) []string {
	b.t.Helper()
	opened := b.post(b.DeviceEndpoint, append([]string{"client_id", b.ClientID, "scope", "openid email offline_access"}, pairs...)...)
	must(b.t, b.Approve(opened.string("user_code"), "taro"))
	return []string{"grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", opened.string("device_code")}
}

func (b box) refresh(token string) reply {
	b.t.Helper()
	return b.token("grant_type", "refresh_token", "refresh_token", token)
}

// assume logs in and assumes the role; the pairs change the request.
func (b box) assume(pairs ...string) reply {
	b.t.Helper()
	return b.post(b.STSEndpoint, append([]string{"Action", "AssumeRoleWithWebIdentity", "Version", "2011-06-15", "RoleArn", b.RoleARN,
		"RoleSessionName", "taro", "WebIdentityToken", b.token(b.approved()...).string("id_token")}, pairs...)...)
}

// A refresh token is good once, or within the grace; what comes later ends the
// login, and is counted. A code needs its verifier, and a client its secret.
func TestTokensAreGoodOnce(t *testing.T) {
	b := start(t, sandbox.Options{Rotate: true, ReuseGrace: 10 * time.Second})
	first := b.token(b.approved()...).string("refresh_token")
	second := b.refresh(first).string("refresh_token")
	b.clock.Advance(9 * time.Second)
	if got := b.refresh(first); got.string("id_token") == "" || b.Reused() != 1 {
		t.Errorf("within the grace: %s, reused %d", got.text, b.Reused())
	}
	b.clock.Advance(time.Second)
	for _, token := range []string{first, second} {
		if got := b.refresh(token); got.string("error") != "invalid_grant" {
			t.Errorf("after the grace: %s", got.text)
		}
	}
	held := b.token(b.approved()...).string("refresh_token")
	b.EndLogins()
	if got := b.refresh(held); got.string("error") != "invalid_grant" {
		t.Errorf("ended login: %s", got.text)
	}

	// RFC 7636, appendix B.
	const verifier, digest = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	challenge := []string{"code_challenge", digest, "code_challenge_method", "S256"}
	redeemed, late := b.approved(), b.approved()
	alive := b.token(redeemed...).string("refresh_token")
	opened := b.post(b.DeviceEndpoint, "client_id", b.ClientID, "scope", "openid")
	must(t, b.Deny(opened.string("user_code")))
	code := func(code string) []string { return append(late[:3:3], code) }
	if got := b.token(code(opened.string("device_code"))...).string("error"); got != "access_denied" {
		t.Errorf("denied: %q", got)
	}
	b.clock.Advance(15 * time.Minute)
	for name, c := range map[string]struct {
		form []string
		code string
	}{
		"PKCE":              {append(b.approved(challenge...), "code_verifier", verifier), ""},
		"verifier missing":  {b.approved(challenge...), "invalid_grant"},
		"verifier wrong":    {append(b.approved(challenge...), "code_verifier", digest), "invalid_grant"},
		"challenge missing": {append(b.approved(), "code_verifier", verifier), "invalid_grant"},
		"redeemed":          {redeemed, "invalid_grant"},
		"expired":           {late, "expired_token"},
		"no code":           {code(""), "invalid_request"},
		"another client":    {append(b.approved(), "client_id", "other"), "invalid_client"},
		"a wrong secret":    {append(b.approved(), "client_secret", "x"), "invalid_client"},
		"wider scope":       {[]string{"grant_type", "refresh_token", "refresh_token", alive, "scope", "openid profile"}, "invalid_scope"},
		"unknown token":     {[]string{"grant_type", "refresh_token", "refresh_token", "rt-unknown"}, "invalid_grant"},
		"no grant":          {nil, "invalid_request"},
		"password grant":    {[]string{"grant_type", "password"}, "unsupported_grant_type"},
	} {
		if got := b.token(c.form...).string("error"); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
	opened = b.post(b.DeviceEndpoint, "client_id", b.ClientID, "scope", "openid")
	for _, want := range []string{"authorization_pending", "slow_down"} {
		if got := b.token(code(opened.string("device_code"))...); got.string("error") != want {
			t.Errorf("polled: %s, want %s", got.text, want)
		}
	}
	b.AutoApprove("taro")
	for _, want := range []string{"authorization_pending", ""} {
		b.clock.Advance(time.Minute)
		if got := b.token(code(opened.string("device_code"))...); got.string("error") != want {
			t.Errorf("approved by itself: %s, want %q", got.text, want)
		}
	}
	b = start(t, sandbox.Options{ClientSecret: "sesame", Scopes: []string{"openid"}})
	for want, pairs := range map[string][]string{
		"invalid_client": nil, "invalid_scope": {"client_secret", "sesame", "scope", "email"}, "invalid_request": {"client_secret", "sesame", "code_challenge", "c"},
	} {
		if got := b.post(b.DeviceEndpoint, append([]string{"client_id", b.ClientID, "scope", "openid"}, pairs...)...); got.string("error") != want {
			t.Errorf("%q: %s, want %s", pairs, got.text, want)
		}
	}
	if got := b.get(b.DeviceEndpoint); got.status != 405 {
		t.Errorf("GET: %d, want 405", got.status)
	}
	if got := b.post(b.DeviceEndpoint+"?scope=openid", "client_id", b.ClientID, "client_secret", "sesame"); got.string("error") != "invalid_request" {
		t.Errorf("parameters in the URL: %s", got.text)
	}
}

// STS is asked for one thing too many each time.
func TestSTSRefuses(t *testing.T) {
	claim := func(name string, value any) sandbox.Options {
		return sandbox.Options{Claims: map[string]any{name: value}}
	}
	arns := func(n int) (pairs []string) {
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("PolicyArns.member.%d.arn", i+1), "arn:aws:iam::aws:policy/X")
		}
		return pairs
	}
	const invalid, rule, denied = "InvalidIdentityToken", "ValidationError", "AccessDenied"
	for name, c := range map[string]struct {
		options       sandbox.Options
		ask           []string
		code, message string
	}{
		"nothing":              {},
		"expired token":        {options: sandbox.Options{IDTokenLife: -time.Second}, code: "ExpiredTokenException", message: "Token expired"},
		"not a token":          {ask: []string{"WebIdentityToken", "at-opaque"}, code: invalid, message: "not a valid JWT"},
		"token too long":       {options: sandbox.Options{TokenPadding: 20000}, code: rule, message: "webIdentityToken"},
		"HS256":                {options: sandbox.Options{Algorithm: "HS256"}, code: invalid},
		"another issuer":       {options: claim("iss", "https://elsewhere.example/"), code: invalid, message: "No OpenIDConnect provider found in your account"},
		"another audience":     {options: claim("aud", "other"), code: invalid, message: "Incorrect token audience"},
		"azp goes before aud":  {options: claim("azp", "other"), code: invalid, message: "Incorrect token audience"},
		"no sub":               {options: claim("sub", nil), code: invalid, message: "Missing a required claim: sub"},
		"exp with a fraction":  {options: claim("exp", 4102444800.5), code: invalid},
		"no such role":         {ask: []string{"RoleArn", "arn:aws:iam::111122223333:role/Nobody"}, code: denied},
		"not a role":           {ask: []string{"RoleArn", "arn:aws:iam::111122223333:user/taro"}, code: rule},
		"tags":                 {options: claim("https://aws.amazon.com/tags", map[string]any{}), code: denied},
		"source identity":      {options: claim("https://aws.amazon.com/source_identity", "taro"), code: denied},
		"longer than the role": {ask: []string{"DurationSeconds", "3601"}, code: rule, message: "exceeds the MaxSessionDuration"},
		"too short":            {ask: []string{"DurationSeconds", "899"}, code: rule, message: "durationSeconds"},
		"name with a blank":    {ask: []string{"RoleSessionName", "ta ro"}, code: rule, message: "roleSessionName"},
		"a ProviderId":         {ask: []string{"ProviderId", "graph.facebook.com"}, code: rule},
		"name too long":        {ask: []string{"RoleSessionName", strings.Repeat("t", 65)}, code: rule, message: "roleSessionName"},
		"eleven policies":      {ask: arns(11), code: rule, message: "policyArns"},
		"a policy that is not": {ask: []string{"PolicyArns.member.1.arn", "arn:aws:iam::aws:role/X"}, code: rule},
	} {
		b := start(t, c.options)
		if got := b.assume(c.ask...); got.element("Code") != c.code || !strings.Contains(got.element("Message"), c.message) {
			t.Errorf("%s: %s", name, got.text)
		}
		requests := b.Requests()
		if last := requests[len(requests)-1]; last.Error != c.code {
			t.Errorf("%s: recorded as %q", name, last.Error)
		}
	}
}

func TestTrust(t *testing.T) {
	const own = `"Federated": "arn:aws:iam::111122223333:oidc-provider/ISS"`
	statement := func(effect, principal, action, condition string) string {
		return fmt.Sprintf(`{"Effect": %q, "Principal": {%s}, "Action": %q, "Condition": {%s}}`, effect, principal, action, condition)
	}
	condition := func(text string) string { return statement("Allow", own, "sts:AssumeRoleWithWebIdentity", text) }
	for name, c := range map[string]struct{ statements, code string }{ // ISS is the provider's name
		"right audience":               {condition(`"StringEquals": {"ISS:aud": "daypass-sandbox"}`), ""},
		"wrong audience":               {condition(`"StringEquals": {"ISS:aud": "other"}`), "AccessDenied"},
		"subject like":                 {condition(`"StringLike": {"ISS:sub": "*|tar?"}`), ""},
		"wildcards are text to equals": {condition(`"StringEquals": {"ISS:sub": "sandbox|*"}`), "AccessDenied"},
		"both operators must hold":     {condition(`"StringEquals": {"ISS:aud": "other"}, "StringLike": {"ISS:sub": "*"}`), "AccessDenied"},
		"another provider's key":       {condition(`"StringEquals": {"127.0.0.1/idp:aud": "daypass-sandbox"}`), "AccessDenied"},
		"session name, without case":   {condition(`"StringLike": {"sts:rolesessionNAME": "ta*"}`), ""},
		"a denial wins":                {statement("Allow", own, "sts:*", "") + "," + statement("Deny", own, "sts:*", ""), "AccessDenied"},
		"another action":               {statement("Allow", own, "sts:AssumeRole", ""), "AccessDenied"},
		"an AWS principal":             {statement("Allow", `"AWS": "*"`, "sts:*", ""), "AccessDenied"},
		"no statement":                 {``, "malformed"},
		"no action":                    {`{"Effect": "Allow", "Principal": "*"}`, "malformed"},
		"no such effect":               {statement("allow", own, "sts:*", ""), "malformed"},
		"unknown operator":             {condition(`"Bool": {"ISS:aud": "*"}`), "malformed"},
	} {
		b := start(t, sandbox.Options{})
		err := b.Trust(b.RoleARN, `{"Statement": [`+strings.ReplaceAll(c.statements, "ISS", strings.TrimPrefix(b.Issuer, "http://"))+`]}`)
		if (err != nil) != (c.code == "malformed") {
			t.Errorf("%s: %v", name, err)
		} else if err == nil && b.assume().element("Code") != c.code {
			t.Errorf("%s: want %q", name, c.code)
		}
	}
}

// Credentials are good for whoever signs with them, while they live, and for a
// console on AWS's hosts; a secret in a URL is seen.
func TestCredentialsAreChecked(t *testing.T) {
	b := start(t, sandbox.Options{})
	given := b.assume()
	credentials := aws.Credentials{AccessKeyID: given.element("AccessKeyId"), SecretAccessKey: given.element("SecretAccessKey"), SessionToken: given.element("SessionToken")}
	identity := func(change func(*signedCall)) string {
		t.Helper()
		call := signedCall{
			path: "/sts", body: "Action=GetCallerIdentity&Version=2011-06-15", service: "sts", region: "eu-west-1",
			header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		}
		change(&call)
		return call.send(b, credentials).text
	}
	for want, change := range map[string]func(*signedCall){
		"assumed-role/Developer/taro": func(*signedCall) {},
		"InvalidClientTokenId":        func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.AccessKeyID = "ASIAIOSFODNN7EXAMPLE" } },
		"MissingAuthenticationToken":  func(c *signedCall) { c.change = unsigned },
		"SignatureDoesNotMatch":       func(c *signedCall) { c.sign = func(k *aws.Credentials) { k.SecretAccessKey = "s" } },
		"does not match": func(c *signedCall) {
			c.change = func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260314T092654Z") }
		},
	} {
		if got := identity(change); !strings.Contains(got, want) {
			t.Errorf("answer lacks %s:\n%s", want, got)
		}
	}

	session := func(key string) string {
		return fmt.Sprintf(`{"sessionId":%q,"sessionKey":%q,"sessionToken":%q}`, key, credentials.SecretAccessKey, credentials.SessionToken)
	}
	federation := b.SigninEndpoint + "/federation"
	token := b.post(federation, "Action", "getSigninToken", "Session", session(credentials.AccessKeyID)).string("SigninToken")
	if got := b.post(federation, "Action", "getSigninToken", "Session", session("ASIAIOSFODNN7EXAMPLE")); got.status != 400 || token == "" {
		t.Errorf("made-up credentials: %d", got.status)
	}
	for _, c := range []struct {
		pairs  []string
		status int
	}{
		{nil, 302},
		{[]string{"Destination", b.URL + "/x"}, 302},
		{[]string{"Destination", "https://console.aws.amazon.com.evil.example/"}, 400},
		{[]string{"Destination", "https://evilconsole.aws.amazon.com/"}, 400},
		{[]string{"Destination", "http://console.aws.amazon.com/"}, 400},
		{[]string{"Destination", "https://x@console.aws.amazon.com/"}, 400},
		{[]string{"Issuer", ""}, 400},
		{[]string{"SigninToken", "x"}, 400},
	} {
		query := []string{"Action", "login", "Issuer", "https://corp.example/", "Destination", "https://eu-west-1.console.aws.amazon.com/", "SigninToken", token}
		if got := b.get(federation + "?" + form(append(query, c.pairs...)...).Encode()); got.status != c.status {
			t.Errorf("%q: %d, want %d", c.pairs, got.status, c.status)
		}
	}
	if got := b.post(federation, "Action", "getSigninToken", "Session", session(credentials.AccessKeyID), "SessionDuration", "43201"); got.status != 400 {
		t.Errorf("too long: %d", got.status)
	}
	if got := b.get(b.SigninEndpoint + "/console"); got.status != 403 {
		t.Errorf("console without a sign-in: %d, want 403", got.status)
	}
	if n := len(b.SecretsInURLs()); n != 0 {
		t.Errorf("%d requests with a secret in the URL, want none", n)
	}
	b.get(federation + "?" + form("Action", "getSigninToken", "Session", session(credentials.AccessKeyID)).Encode())
	b.get(b.STSEndpoint + "?WebIdentityToken=" + b.token(b.approved()...).string("id_token"))
	if n := len(b.SecretsInURLs()); n != 2 {
		t.Errorf("%d requests with a secret in the URL, want 2", n)
	}
	b.clock.Advance(time.Hour)
	if got := b.post(federation, "Action", "getSigninToken", "Session", session(credentials.AccessKeyID)); got.status != 400 || !strings.Contains(identity(func(*signedCall) {}), "ExpiredToken") {
		t.Errorf("expired credentials: %d", got.status)
	}
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
