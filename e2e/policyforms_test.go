//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// A subject of which YAML, Terraform and shells would each take a part for more
// than a character.
const awkwardSubject = `corp|${aws:username}%{if}"\e' #: *&!`

// What trust-policy prints for CloudFormation and Terraform is, to the parsers of
// those languages, the very policy that it prints as JSON, and the provider.
func TestTrustPolicyFormsParse(t *testing.T) {
	t.Parallel()
	c := newComputer(t, nil, sandbox.Options{})
	c.configure("dev")
	c.login("dev")

	for _, test := range []struct {
		name string
		args []string
		sub  string
	}{
		{"everybody", nil, ""},
		{"who is logged in", []string{"--sub"}, "sandbox|taro"},
		{"an awkward subject", []string{"--sub=" + awkwardSubject, "--duration", "4h"}, awkwardSubject},
	} {
		t.Run(test.name, func(t *testing.T) {
			form := func(format string) string {
				t.Helper()
				r := c.say(append([]string{"trust-policy", "--profile", "dev", "--format", format}, test.args...)...)
				if r.code != 0 || r.stderr != "" && format != "json" { // which warns there
					t.Fatalf("%s: exit code %d: %s", format, r.code, r.stderr)
				}
				return r.stdout
			}
			var want any
			must(t, json.Unmarshal([]byte(form("json")), &want))
			subject := at(want, "Statement", 0, "Condition", "StringEquals", strings.TrimPrefix(c.issuer, "http://")+":sub")
			if subject != test.sub && !(subject == nil && test.sub == "") {
				t.Errorf("the policy is for %v, want %q", subject, test.sub)
			}

			stack := parse(t, "cloudformation", form("cloudformation"))
			role := at(stack, "Resources", "Role", "Properties")
			if diff := cmp.Diff(want, at(role, "AssumeRolePolicyDocument")); diff != "" {
				t.Errorf("policy of the stack: want -, got +:\n%s", diff)
			}
			if name, url := at(role, "RoleName"), at(stack, "Resources", "IdentityProvider", "Properties", "Url"); name != "dev" || url != c.issuer {
				t.Errorf("the stack has role %v, provider %v", name, url)
			}

			resources := parse(t, "terraform", form("terraform"))
			var policy any
			text, _ := at(resources, "aws_iam_role", "assume_role_policy").(string)
			if err := json.Unmarshal([]byte(text), &policy); err != nil {
				t.Errorf("policy for Terraform: %v\n%s", err, text)
			}
			if diff := cmp.Diff(want, policy); diff != "" {
				t.Errorf("policy for Terraform: want -, got +:\n%s", diff)
			}
			if name, url := at(resources, "aws_iam_role", "name"), at(resources, "aws_iam_openid_connect_provider", "url"); name != "dev" || url != c.issuer {
				t.Errorf("Terraform has role %v, provider %v", name, url)
			}
		})
	}
}

// parse reads text with the parser of its language.
func parse(t *testing.T, language, text string) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, installed.module("policyforms"), language)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	said, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, &stderr, text)
	}
	var document any
	must(t, json.Unmarshal(said, &document))
	return document
}

// at returns what is at a place in decoded JSON, nil if nothing is.
func at(value any, place ...any) any {
	for _, step := range place {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}
