package process

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// Each refusal of STS reads as a cause and a next step, in at most three lines,
// with what an admin compares, and never with the token.
func TestSTSRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	const login = "Login: iss=ISSUER aud=CLIENT azp=(none) sub="
	for _, c := range []struct {
		name  string
		err   sandbox.STSError
		exit  int
		lines []string // parts of the lines, in order
		calls int
	}{
		{"trust policy", sandbox.STSError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, failure.ExitAWS,
			[]string{"AWS refused role arn:aws:iam::111122223333:role/Developer: it does not exist, or its trust policy does not match this login (AccessDenied).", login, "daypass trust-policy --profile dev"}, 1},
		{"audience", sandbox.STSError{Code: "InvalidIdentityToken", Message: "Incorrect token audience"}, failure.ExitAWS,
			[]string{"account 111122223333 does not accept client CLIENT (Incorrect token audience).", login, "aws iam add-client-id-to-open-id-connect-provider --client-id CLIENT --open-id-connect-provider-arn arn:aws:iam::111122223333:oidc-provider/"}, 1},
		{"no provider", sandbox.STSError{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account for ISSUER"}, failure.ExitAWS,
			[]string{"account 111122223333 does not know the identity provider ISSUER, or under another spelling: a slash at the end counts", login, "daypass trust-policy --format cli --profile dev prints the commands"}, 1},
		{"signing keys", sandbox.STSError{Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"}, failure.ExitNetwork,
			[]string{"AWS cannot fetch the signing keys of", login, "reachable from the internet"}, 3},
		{"thumbprint", sandbox.STSError{Code: "InvalidIdentityToken", Message: "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"}, failure.ExitAWS,
			[]string{"AWS does not trust the certificate of", login, "update-open-id-connect-provider-thumbprint"}, 1},
		{"other token trouble", sandbox.STSError{Code: "InvalidIdentityToken", Message: "The ID Token provided is not a valid JWT."}, failure.ExitAWS,
			[]string{"AWS does not accept this login's ID token (InvalidIdentityToken: The ID Token provided is not a valid JWT).", login, "daypass trust-policy"}, 1},
		{"rejected claim", sandbox.STSError{Code: "IDPRejectedClaim"}, failure.ExitAWS,
			[]string{"has told AWS that this login is not valid any more", login, "daypass login --force --profile dev"}, 1},
		{"provider not reached by AWS", sandbox.STSError{Code: "IDPCommunicationError"}, failure.ExitNetwork,
			[]string{"AWS cannot reach 127.0.0.1", "reachable from the internet"}, 3},
		{"explicit deny", sandbox.STSError{Code: "AccessDenied", Message: "User is not authorized with an explicit deny in a service control policy"}, failure.ExitAWS,
			[]string{"(AccessDenied: User is not authorized with an explicit deny in a service control policy).", login, "daypass trust-policy"}, 1},
		{"policy", sandbox.STSError{Code: "PackedPolicyTooLarge"}, failure.ExitAWS,
			[]string{"the session policy and tags for role", login, "Shorten daypass_policy"}, 1},
		{"malformed policy", sandbox.STSError{Code: "MalformedPolicyDocument"}, failure.ExitAWS,
			[]string{"AWS does not understand the session policy", "Correct daypass_policy"}, 1},
		{"token too large", sandbox.STSError{Code: "ValidationError", Message: "1 validation error detected: Value 'x' at 'webIdentityToken' failed to satisfy constraint"}, failure.ExitAWS,
			[]string{"is too large for AWS", "fewer groups"}, 1},
		{"other validation", sandbox.STSError{Code: "ValidationError", Message: "1 validation error detected: 'roleSessionName'"}, failure.ExitAWS,
			[]string{"AWS refuses the request for role", "daypass_session_name"}, 1},
		{"region", sandbox.STSError{Code: "RegionDisabledException"}, failure.ExitAWS,
			[]string{"has not activated STS in region eu-west-1", "Set another region"}, 1},
		{"duration", sandbox.STSError{Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}, failure.ExitAWS,
			[]string{"AWS refused a session of 60 min for role", "Lower daypass_duration", "aws iam update-role --role-name Developer --max-session-duration 3600"}, 1},
		{"throttled", sandbox.STSError{Code: "Throttling", Message: "Rate exceeded"}, failure.ExitNetwork,
			[]string{"AWS STS cannot help now (Throttling", "Try again later"}, 3},
		{"broken", sandbox.STSError{Code: "InternalFailure", Status: 500}, failure.ExitNetwork,
			[]string{"AWS STS cannot help now (InternalFailure", "Try again later"}, 3},
		{"unheard of", sandbox.STSError{Code: "Brand\x1b[31mNew", Message: strings.Repeat("long\n", 500)}, failure.ExitAWS,
			[]string{"AWS refused role", login, "daypass trust-policy"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{})
			w.box.FailSTS(c.err, c.err, c.err)
			_, err := w.run()
			w.failsWith(err, c.exit, "")
			lines := failure.From(err).Lines
			if len(lines) != len(c.lines) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(c.lines), err)
			}
			for i, part := range c.lines {
				part = strings.NewReplacer("ISSUER", w.box.Issuer, "CLIENT", w.box.ClientID).Replace(part)
				if !strings.Contains(lines[i], part) {
					t.Errorf("line %d is\n%s\nwant in it\n%s", i+1, lines[i], part)
				}
				if len(lines[i]) > 700 {
					t.Errorf("line %d has %d bytes", i+1, len(lines[i]))
				}
			}
			w.counts(map[string]int{"sts": c.calls})
			w.holdsNoSecret(err.Error())
		})
	}
}

func TestAccessDeniedNamesWhatTheTokenAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{Claims: map[string]any{
		tagsClaim:           map[string]any{"principal_tags": map[string]any{"team": []string{"a"}}},
		sourceIdentityClaim: "taro",
		"azp":               "daypass-sandbox",
	}})
	w.box.FailSTS(sandbox.STSError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"})
	_, err := w.run()
	w.failsWith(err, failure.ExitAWS, "or lacks sts:TagSession / sts:SetSourceIdentity (AccessDenied).")
	if !strings.Contains(err.Error(), " azp=daypass-sandbox ") {
		t.Errorf("azp, which AWS compares, is not told:\n%v", err)
	}
}

func TestSupportLineFollowsRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
	_, err := w.run(func(p *Provider) { p.Profile.IDP.Support = "Ask #cloud-help." })
	w.failsWith(err, failure.ExitAWS, "AWS refused")
	if !strings.HasSuffix(err.Error(), "Ask #cloud-help.") {
		t.Errorf("the company's line is not the last:\n%v", err)
	}
}

func (w *world) holdsNoSecret(text string) {
	w.t.Helper()
	for _, secret := range w.box.Issued() {
		if strings.Contains(text, secret) {
			w.t.Errorf("a secret of %d bytes stands in:\n%s", len(secret), text)
		}
	}
}
