package process

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/secret"
)

// holdsNoSecret checks that a text repeats nothing that the sandbox has handed out.
func (w *world) holdsNoSecret(text string) {
	w.t.Helper()
	for _, secret := range w.box.Issued() {
		if strings.Contains(text, secret) {
			w.t.Errorf("a secret of %d bytes is in:\n%s", len(secret), text)
		}
	}
}

// Each refusal of STS reads as a cause and a next step, in at most three lines,
// with what an admin compares, and never with the token; more of them are in package
// command.
func TestSTSRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	const (
		login     = "Login: iss=ISSUER aud=CLIENT azp=(none) sub="
		notAuth   = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
		badToken  = "InvalidIdentityToken"
		badInput  = "ValidationError"
		aws       = failure.ExitAWS
		network   = failure.ExitNetwork
		theClient = "--client-id CLIENT --open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/"
	)
	for _, c := range []struct {
		name, code, message string
		exit                int
		lines               []string // parts of the lines, in order
		asked               int
	}{
		{"trust policy", "AccessDenied", notAuth, aws, []string{
			"AWS refused role arn:aws:iam::111122223333:role/Developer: it does not exist, or its trust policy does not match this login (AccessDenied).", login, "daypass trust-policy --profile dev"}, 1},
		{"what the token asks for", "AccessDenied", notAuth, aws, []string{
			"or lacks sts:TagSession / sts:SetSourceIdentity (AccessDenied).", " azp=CLIENT ", "daypass trust-policy"}, 1},
		{"explicit deny", "AccessDenied", "User is not authorized with an explicit deny in a service control policy", aws, []string{
			"(AccessDenied: User is not authorized with an explicit deny in a service control policy, status 403).", login, "daypass trust-policy"}, 1},
		{"audience", badToken, "Incorrect token audience", aws, []string{
			"account 111122223333 does not accept client CLIENT (Incorrect token audience).", login, "aws iam add-client-id-to-open-id-connect-provider " + theClient}, 1},
		{"no provider", badToken, "No OpenIDConnect provider found in your account for ISSUER", aws, []string{
			"account 111122223333 does not know the identity provider ISSUER, or knows it under another spelling: a slash at the end counts", login, "daypass trust-policy --format cli --profile dev prints the commands"}, 1},
		{"thumbprint", badToken, "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint", aws, []string{
			"AWS does not trust the certificate of", login, "update-open-id-connect-provider-thumbprint"}, 1},
		{"signing keys", badToken, "Couldn't retrieve verification key from your identity provider", network, []string{
			"AWS cannot fetch the signing keys of", login, "reachable from the internet"}, 3},
		{"other token trouble", badToken, "The ID Token provided is not a valid JWT.", aws, []string{
			"AWS does not accept this login's ID token (InvalidIdentityToken: The ID Token provided is not a valid JWT).", login, "daypass trust-policy"}, 1},
		{"expired", "ExpiredTokenException", "Token expired: current date/time 1 must be before 0", aws, []string{
			"AWS says that the ID token has expired, although it is new (Token expired", login, "The clock of"}, 1},
		{"policy", "PackedPolicyTooLarge", "", aws, []string{"AWS does not accept the session policy for role", login, "Correct or shorten daypass_policy"}, 1},
		{"token too large", badInput, "1 validation error detected: Value 'x' at 'webIdentityToken' failed to satisfy constraint", aws, []string{
			"is too large for AWS", "fewer groups"}, 1},
		{"duration", badInput, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", aws, []string{
			"AWS refused a session of 60 min for role", "Lower daypass_duration", "aws iam update-role --role-name Developer --max-session-duration 3600"}, 1},
		{"unheard of", "Brand\x1b[31mNew", strings.Repeat("long\n", 500), aws, []string{"AWS refused role", login, "daypass trust-policy"}, 1},
	} {
		o := sandbox.Options{}
		if c.name == "what the token asks for" {
			o.Claims = map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": 1}, "https://aws.amazon.com/source_identity": "taro", "azp": "daypass-sandbox"}
		}
		w := newWorld(t, o)
		fails := sandbox.STSError{Code: c.code, Message: c.message}
		w.box.FailSTS(fails, fails, fails)
		_, err := w.run()
		f := failure.From(err)
		if err == nil || f.Exit != c.exit || len(f.Lines) != len(c.lines) {
			t.Errorf("%s: exit %d, want %d; %d lines, want %d:\n%v", c.name, f.Exit, c.exit, len(f.Lines), len(c.lines), err)
			continue
		}
		for i, part := range c.lines {
			part = strings.NewReplacer("ISSUER", w.box.Issuer, "CLIENT", w.box.ClientID).Replace(part)
			if !strings.Contains(f.Lines[i], part) || len(f.Lines[i]) > 700 {
				t.Errorf("%s: line %d is\n%s\nwant in it\n%s", c.name, i+1, f.Lines[i], part)
			}
		}
		w.counts(map[string]int{"sts": c.asked})
		w.holdsNoSecret(err.Error())
	}
}

// The company's own line follows each refusal, shares the last of three, and is
// not added to what is nobody's refusal.
func TestSupportLine(t *testing.T) {
	t.Parallel()
	const line = "Ask #cloud-help."
	support := func(p *Pipeline) { p.Profile.IDP.Support = line }
	for _, c := range []struct {
		name  string
		set   func(*world)
		lines int // 0: without the line
	}{
		{"two lines", func(w *world) { w.answerWith("/device_authorization", 400, `{"error":"access_denied"}`) }, 3},
		{"three lines", func(w *world) { w.answerWith("/device_authorization", 401, `{"error":"invalid_client"}`) }, 3},
		{"bad ID token", func(w *world) { w.box.Set(func(o *sandbox.Options) { o.Algorithm = "HS256" }) }, 3},
		{"AWS refuses", func(w *world) { w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"}) }, 3},
		{"network", func(w *world) { w.box.Close() }, 0},
		{"nobody is there", func(w *world) { w.person = Person{} }, 0},
	} {
		w := newWorld(t, sandbox.Options{})
		c.set(w)
		_, err := w.run(support)
		lines := failure.From(err).Lines
		if has := strings.HasSuffix(err.Error(), "\n"+line) || strings.HasSuffix(err.Error(), "  ("+line+")"); has != (c.lines > 0) || has && len(lines) != c.lines {
			t.Errorf("%s: %d lines, want %d:\n%v", c.name, len(lines), c.lines, err)
		}
		if strings.ContainsAny(err.Error(), "{}") {
			t.Errorf("%s: a placeholder is left:\n%v", c.name, err)
		}
	}
}

// The cause of an error is one line of bounded length.
func TestReason(t *testing.T) {
	if got, want := reason(errors.New(strings.Repeat("a", 5000)+"\nsecond")), strings.Repeat("a", 300)+"..."; got != want || reason(errors.New("first\nsecond")) != "first" {
		t.Errorf("%q, want %q", got, want)
	}
}

// A text from outside is one line of bounded length, without the token that was
// sent, and without a run of characters that could be another.
func FuzzShortened(f *testing.F) {
	jwt := "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("abcDEF123-_", 20) + ".c2ln"
	for _, seed := range []string{
		"", "plain words", "two\nlines\x1b[31m", "Value '" + jwt + "' at 'webIdentityToken'", jwt, jwt + jwt, strings.Repeat("word ", 200),
		strings.Repeat("\u00e9", 200), "a" + strings.Repeat("\u00e9", 200), "\xff\xfe" + jwt + "\xff", "a" + jwt + "/" + jwt + "!", "ends with dots...",
		strings.Repeat("a/", 300), strings.Repeat("0", 75) + "\xec\xec" + strings.Repeat("0", 79) + strings.Repeat(" x", 200),
		"in pieces: " + strings.ReplaceAll(jwt, "DEF", "DEF ") + " .", "in pieces: " + strings.ReplaceAll(jwt, "123", "1\u00a02\u20033\r\n"),
		"a part: " + strings.Split(jwt, ".")[1],
	} {
		f.Add(seed)
	}
	l := &login{IDToken: secret.Keep(secret.New(jwt))}
	f.Fuzz(func(t *testing.T, text string) {
		got := shortened(text, l)
		if len(got) > 303 || strings.ContainsAny(got, "\n\r\t\v\f") || !utf8.ValidString(got) {
			t.Errorf("%d bytes, or more than one line, or a character was cut: %q", len(got), got)
		}
		if strings.Contains(strings.Join(strings.Fields(got), ""), jwt) {
			t.Errorf("the token is in %q", got)
		}
		run := 0
		for _, r := range got {
			if run++; !strings.ContainsRune("-_.=+0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", r) {
				run = 0
			}
			if run > 90 {
				t.Fatalf("a run of %d characters of a token in %q", run, got)
			}
		}
	})
}
