package command

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// document is what stands in a text of JSON and nothing else.
func document(t *testing.T, text string) any {
	t.Helper()
	var document any
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("more than one document:\n%s", text)
	}
	return document
}

// The printed document, made the trust of the role, lets the login in. It is
// printed before anybody has logged in, and again after.
func TestTrustPolicyLetsTheLoginIn(t *testing.T) {
	tags := map[string]any{
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"team": []string{"a"}}},
		"https://aws.amazon.com/source_identity": "taro",
	}
	for _, test := range []struct {
		name    string
		options sandbox.Options
		before  int // exit code with the policy from before the login
	}{
		{"plain", sandbox.Options{}, 0},
		{"issuer ends in a slash", sandbox.Options{IssuerSlash: true}, 0},
		{"issuer with a path", sandbox.Options{IssuerPath: "/realms/demo"}, 0},
		{"azp, which AWS compares", sandbox.Options{Claims: map[string]any{"azp": "daypass-sandbox", "aud": []string{"other", "daypass-sandbox"}}}, 0},
		{"tags and a source identity are seen in the token", sandbox.Options{Claims: tags}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLaptop(t, test.options)
			trust := func(args ...string) int {
				t.Helper()
				code, stdout, stderr := l.run(append([]string{"trust-policy", "--profile", "dev"}, args...)...)
				if code != 0 || !strings.HasPrefix(stderr, "daypass: ") {
					t.Fatalf("exit %d, stderr %q", code, stderr)
				}
				document(t, stdout)
				must(t, l.box.Trust(l.box.RoleARN, stdout))
				// A session of its own, so that nothing cached is printed.
				code, _, _ = l.run("process", "--profile", "dev", "--session-name", "session"+strings.Join(args, ""))
				return code
			}
			// Nobody is trusted but by what is printed.
			nobody := strings.ReplaceAll(l.mustRun("trust-policy", "-p", "dev"), l.box.ClientID, "nobody")
			must(t, l.box.Trust(l.box.RoleARN, nobody))
			printedBefore := l.mustRun("trust-policy", "-p", "dev")
			l.login()
			if code, _, _ := l.run("process", "--profile", "dev"); code != 5 {
				t.Errorf("with the wrong audience: exit %d", code)
			}
			must(t, l.box.Trust(l.box.RoleARN, printedBefore))
			l.clock.Advance(time.Second) // a refusal is shared with who was waiting for it
			if code, _, stderr := l.run("process", "--profile", "dev"); code != test.before {
				t.Errorf("with the policy from before the login: exit %d\n%s", code, stderr)
			}
			if code := trust(); code != 0 {
				t.Errorf("with the policy from after it: exit %d", code)
			}
			if code := trust("--sub"); code != 0 {
				t.Errorf("with --sub: exit %d", code)
			}
			if code := trust("--sub=sandbox|naoko"); code != 5 {
				t.Errorf("with another user's --sub: exit %d", code)
			}
		})
	}
}

func TestTrustPolicySub(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	if code, stdout, stderr := l.run("trust-policy", "--sub"); code != 3 || stdout != "" || !strings.Contains(stderr, "daypass login --profile dev") {
		t.Errorf("--sub without a login: exit %d, %q, %q", code, stdout, stderr)
	}
	if l.mustRun("trust-policy", "--sub", "auth0|64f0c2") != l.mustRun("trust-policy", "--sub=auth0|64f0c2") {
		t.Error("--sub does not take its value behind a space")
	}
	for _, args := range [][]string{{"--sub="}, {"stray"}, {"--sub=a", "b"}, {"--format", "xml"}} {
		if code, stdout, stderr := l.run(append([]string{"trust-policy"}, args...)...); code != 2 || stdout != "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// awkward is printable ASCII that means something to each of the forms.
const awkward = `-it's "q" \ ${x} %{y} $(z) #a: [b] {c} *&!`

// The forms hold the very document of the json form, and warn.
func TestTrustPolicyForms(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	args := []string{"trust-policy", "--profile", "dev", "--client-id=" + awkward, "--duration", "12h",
		"--role-arn", "arn:aws:iam::111122223333:role/people/Developer"}
	_, stdout, warnings := l.run(args...)
	want := document(t, stdout)
	if !strings.HasPrefix(warnings, "daypass: WARNING: without --sub this lets in ") || !strings.Contains(warnings, "\nIAM accepts only an https issuer without a port number") {
		t.Errorf("json does not warn on stderr: %q", warnings)
	}
	cloudformation := l.mustRun(append(args, "--format", "cloudformation")...)
	terraform := l.mustRun(append(args, "--format", "terraform")...)

	_, found, _ := strings.Cut(cloudformation, "      AssumeRolePolicyDocument:\n")
	if diff := cmp.Diff(want, document(t, found)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	client := `-it's \"q\" \\ ${x} %{y} $(z) #a: [b] {c} *&!`
	literal := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(client)
	for text, lines := range map[string][]string{
		cloudformation: {
			"      Url: \"" + l.box.Issuer + "\"\n", "        - \"" + client + "\"\n", "    DependsOn: IdentityProvider\n",
			"      RoleName: \"Developer\"\n      Path: \"/people/\"\n      MaxSessionDuration: 43200\n", "# WARNING: ",
		},
		terraform: {
			"  url            = \"" + l.box.Issuer + "\"\n  client_id_list = [\"" + literal + "\"]\n", "  max_session_duration = 43200\n",
			"  name = \"Developer\"\n  path = \"/people/\"\n", "  depends_on = [aws_iam_openid_connect_provider.daypass]\n", "# WARNING: ",
		},
	} {
		for _, line := range lines {
			if !strings.Contains(text, line) {
				t.Errorf("the form lacks\n%s in\n%s", line, text)
			}
		}
	}
	// For Google, which AWS knows, no provider is made.
	for _, format := range []string{"cli", "cloudformation", "terraform"} {
		text := l.mustRun("trust-policy", "-p", "dev", "--issuer", "https://accounts.google.com", "--format", format)
		for _, part := range []string{"create-open-id-connect-provider", "OIDCProvider", "DependsOn", "aws_iam_openid_connect_provider", "depends_on"} {
			if strings.Contains(text, part) {
				t.Errorf("%s has %s:\n%s", format, part, text)
			}
		}
		if !strings.Contains(text, `"accounts.google.com:oaud": "`) {
			t.Errorf("%s:\n%s", format, text)
		}
	}
}
