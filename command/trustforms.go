package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/daypass/daypass/process"
)

// The forms of a trust policy with the identity provider and the role beside it.
// All values are printable ASCII; they are quoted all the same, for a client id
// may hold any of it.

// roleAllows is the MaxSessionDuration of a role for which nobody set one.
const roleAllows = time.Hour

// trustComments begin a form: for whom it is, and the notes.
func trustComments(t process.TrustPolicy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Lets logins of client %s take role %s in account %s.\n", t.ClientID, t.RoleName, t.AccountID)
	for _, note := range t.Notes {
		fmt.Fprintf(&b, "# %s\n", note)
	}
	return b.String()
}

// trustCLI is a script for a POSIX shell. Values stand behind "=", for a client id
// may begin with "-".
func trustCLI(t process.TrustPolicy) []byte {
	var b bytes.Buffer
	b.WriteString(trustComments(t))
	if !t.BuiltIn {
		fmt.Fprintf(&b, "\naws iam create-open-id-connect-provider --url=%s \\\n  --client-id-list=%s\n", shellQuoted(t.Issuer), shellQuoted(t.ClientID))
		fmt.Fprintf(&b, "# Where the account has that provider already (EntityAlreadyExists):\n"+
			"#   aws iam add-client-id-to-open-id-connect-provider --client-id=%s \\\n"+
			"#     --open-id-connect-provider-arn=%s\n", shellQuoted(t.ClientID), shellQuoted(t.Provider))
	}
	fmt.Fprintf(&b, "\npolicy=%s\n\n", shellQuoted(strings.TrimSuffix(string(t.Document), "\n")))
	fmt.Fprintf(&b, "aws iam create-role --role-name=%s --path=%s \\\n", shellQuoted(t.RoleName), shellQuoted(t.RolePath))
	if t.MaxSession > roleAllows {
		fmt.Fprintf(&b, "  --max-session-duration=%d \\\n", int(t.MaxSession.Seconds()))
	}
	b.WriteString("  --assume-role-policy-document=\"$policy\"\n")
	fmt.Fprintf(&b, "# Where the account has that role already:\n"+
		"#   aws iam update-assume-role-policy --role-name=%s \\\n"+
		"#     --policy-document=\"$policy\"\n"+
		"# A new role may do nothing yet: see aws iam attach-role-policy.\n", shellQuoted(t.RoleName))
	return b.Bytes()
}

// shellQuoted is a word of a POSIX shell: as it is where that is plain, else in
// single quotes, between which nothing but the single quote has a meaning.
func shellQuoted(text string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_./:=@%+,-", r)
	}
	if text != "" && strings.TrimFunc(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// trustCloudFormation is a template in YAML. The trust policy in it is JSON,
// which YAML 1.2 includes: so it is the very document.
func trustCloudFormation(t process.TrustPolicy) []byte {
	var b bytes.Buffer
	b.WriteString(trustComments(t))
	b.WriteString("# To deploy: aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM ...\n" +
		"# The role may do nothing yet: add ManagedPolicyArns or Policies to it.\n")
	if !t.BuiltIn {
		b.WriteString("# An account has one provider for an issuer: if it is there, leave it out here.\n")
	}
	b.WriteString("AWSTemplateFormatVersion: \"2010-09-09\"\nResources:\n")
	if !t.BuiltIn {
		fmt.Fprintf(&b, `  IdentityProvider:
    Type: AWS::IAM::OIDCProvider
    Properties:
      Url: %s
      ClientIdList:
        - %s
`, quoted(t.Issuer), quoted(t.ClientID))
	}
	b.WriteString("  Role:\n    Type: AWS::IAM::Role\n")
	if !t.BuiltIn {
		b.WriteString("    DependsOn: IdentityProvider\n")
	}
	fmt.Fprintf(&b, "    Properties:\n      RoleName: %s\n      Path: %s\n", quoted(t.RoleName), quoted(t.RolePath))
	if t.MaxSession > roleAllows {
		fmt.Fprintf(&b, "      MaxSessionDuration: %d\n", int(t.MaxSession.Seconds()))
	}
	b.WriteString("      AssumeRolePolicyDocument:\n" + indented(t.Document, "        "))
	return b.Bytes()
}

// trustTerraform is Terraform's configuration language. The trust policy in it is
// the very document, but for what Terraform would take for a template.
func trustTerraform(t process.TrustPolicy) []byte {
	literal := strings.NewReplacer("${", "$${", "%{", "%%{").Replace
	var b bytes.Buffer
	b.WriteString(trustComments(t))
	b.WriteString("# The role may do nothing yet: see aws_iam_role_policy_attachment.\n")
	if !t.BuiltIn {
		b.WriteString("# An account has one provider for an issuer: if it is there, leave it out here.\n")
		fmt.Fprintf(&b, `
resource "aws_iam_openid_connect_provider" "daypass" {
  url            = %s
  client_id_list = [%s]
}
`, literal(quoted(t.Issuer)), literal(quoted(t.ClientID)))
	}
	fmt.Fprintf(&b, "\nresource \"aws_iam_role\" \"daypass\" {\n  name = %s\n  path = %s\n", literal(quoted(t.RoleName)), literal(quoted(t.RolePath)))
	if t.MaxSession > roleAllows {
		fmt.Fprintf(&b, "\n  max_session_duration = %d\n", int(t.MaxSession.Seconds()))
	}
	if !t.BuiltIn {
		b.WriteString("\n  depends_on = [aws_iam_openid_connect_provider.daypass]\n")
	}
	fmt.Fprintf(&b, "\n  assume_role_policy = <<-EOT\n%s  EOT\n}\n", indented([]byte(literal(string(t.Document))), "    "))
	return b.Bytes()
}

// quoted is a string of JSON, and so one of YAML and, but for templates, of
// Terraform: printable ASCII needs no escape but of quotes and backslashes.
func quoted(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// indented puts indent before each line.
func indented(text []byte, indent string) string {
	var b strings.Builder
	for line := range bytes.Lines(text) {
		b.WriteString(indent)
		b.Write(line)
	}
	return b.String()
}
