package command

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A chained profile in every command: its role trusts what trust-policy prints.
func TestChainedProfile(t *testing.T) {
	l := newLaptop(t, sandbox.Options{RoleMaxDuration: 12 * time.Hour})
	const spoke = "arn:aws:iam::444455556666:role/spoke"
	l.write(".aws/config", l.config()+`
[profile spoke]
region = us-west-2
daypass_source_profile = dev
daypass_role_arn = `+spoke+`
daypass_external_id = of/company:1
daypass_sts_endpoint = `+l.box.STSEndpoint+`
daypass_signin_endpoint = `+l.box.SigninEndpoint+`

[profile sdk]
role_arn = `+spoke+`
source_profile = dev
`)
	fails := func(want string, args ...string) {
		t.Helper()
		if code, _, stderr := l.run(args...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
	}
	for format, want := range map[string]string{"cli": "# Lets role " + l.box.RoleARN + " take role spoke in account 444455556666.",
		"cloudformation": "sts:ExternalId", "terraform": `"sts:ExternalId": "of/company:1"`} {
		if text := l.mustRun("trust-policy", "-p", "spoke", "--format", format); !strings.Contains(text, want) || strings.Contains(strings.ToLower(text), "oidc") {
			t.Errorf("%s:\n%s", format, text)
		}
	}
	fails("use --sub for profile dev", "trust-policy", "-p", "spoke", "--sub")
	must(t, l.box.Trust(spoke, l.mustRun("trust-policy", "-p", "spoke")))
	l.login()
	var document struct{ AccountId string }
	if err := json.Unmarshal([]byte(l.mustRun("process", "--profile", "spoke")), &document); err != nil || document.AccountId != "444455556666" {
		t.Errorf("%+v, %v", document, err)
	}
	// AWS takes no duration of the console session for a chained role.
	if place := l.signsInTo(l.mustRun("console", "-p", "spoke", "--print", "--duration", "30m")); !strings.Contains(place, "us-west-2") {
		t.Errorf("the console is at %q", place)
	}
	if n := l.box.Count("federation"); n != 1 {
		t.Errorf("%d requests for a sign-in token, want one, without a duration", n)
	}
	if text := l.mustRun("status", "-p", "spoke"); !strings.Contains(text, "through       profile dev\n") {
		t.Error(text)
	}
	if _, text, _ := l.run("doctor", "-p", "spoke"); !strings.Contains(text, "assumed as arn:aws:sts::444455556666:assumed-role/spoke/taro@example.com") {
		t.Error(text)
	}
	fails("profile spoke gets its role through profile dev", "token", "-p", "spoke")
	for _, command := range []string{"console", "exec"} {
		fails("daypass_source_profile = dev and daypass_role_arn = "+spoke, command, "-p", "sdk", "--", "true")
	}
	if text := l.mustRun("__complete", "configure", "--source-profile", ""); text != "dev\nspoke\n:4\n" {
		t.Errorf("completed with %q", text)
	}
	if text := l.mustRun("logout", "-p", "spoke"); l.box.Count("revoke") != 1 || !strings.Contains(text, "profiles dev, spoke.") {
		t.Errorf("the login of dev was not revoked: %s", text)
	}
}
