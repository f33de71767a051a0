package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newTrustPolicy(e *Environment) *cobra.Command {
	var name, format, sub string
	cmd := &cobra.Command{
		Use:   "trust-policy [-p PROFILE] [--sub[=SUBJECT]]",
		Short: "Print the trust policy that the role needs",
		Long: `Prints what an AWS admin needs so that the profile's login can take the
profile's role: the role's trust policy (json), or in addition the IAM identity
provider and the role, as commands of the AWS CLI for a POSIX shell (cli), as a
CloudFormation template (cloudformation) or as Terraform (terraform).

It works before the first login. After it, the claims of the ID token are looked
at too: session tags and a source identity need actions of their own.

Without --sub the policy lets in everybody whom the provider logs in to the
client. --sub lets in one user: the one who is logged in, or SUBJECT.`,
		Example: "  daypass trust-policy --profile dev\n" +
			"  daypass trust-policy --profile dev --sub\n" +
			"  daypass trust-policy --profile dev --format terraform --sub='auth0|64f0c2'",
		// The value of --sub may also follow a space, like that of other flags.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && sub == process.OwnSub {
				return nil
			}
			return noArguments(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("sub") && sub == "" {
				return errors.New("--sub= names nobody; leave it out to let every user in")
			}
			p, err := loadProfile(e.source(cmd), name)
			if err != nil {
				return err
			}
			if p.Source != nil && sub != "" {
				return fmt.Errorf("--sub: role %s is assumed by a role, not by a login; use --sub for profile %s", p.RoleName, p.Source.Name)
			}
			return e.withSession(p, func(s *session) error {
				if len(args) == 1 {
					sub = args[0]
				}
				policy, err := s.TrustPolicy(cmd.Context(), sub)
				if err != nil {
					return err
				}
				err = e.print(form(format, p, policy))
				if err == nil && format == "json" && len(policy.Notes) > 0 { // JSON has no comments
					_, _ = fmt.Fprint(e.Stderr, prompt.CleanLines("daypass: "+strings.Join(policy.Notes, "\n")))
				}
				return err
			})
		},
	}
	profileFlag(cmd, &name)
	formatFlag(cmd, &format, "json", "cli", "cloudformation", "terraform")
	cmd.Flags().StringVar(&sub, "sub", "", "let in one user alone: `SUBJECT`, or whoever is logged in")
	cmd.Flags().Lookup("sub").NoOptDefVal = process.OwnSub
	addSettings(cmd)
	return cmd
}

// The forms of a trust policy, with the identity provider and the role. A line that
// begins with "own|" is for providers that AWS does not know by itself, and one with
// "long|" for sessions that are longer than the hour that a role allows by default.

// Values follow "=", for a client id may begin with "-".
const trustCLI = `{about}
own|
own|aws iam create-open-id-connect-provider --url={issuer} \
own|  --client-id-list={client}
own|# Where the account has that provider already (EntityAlreadyExists):
own|#   aws iam add-client-id-to-open-id-connect-provider --client-id={client} \
own|#     --open-id-connect-provider-arn={provider}

policy={document}

aws iam create-role --role-name={role} --path={path} \
long|  --max-session-duration={seconds} \
  --assume-role-policy-document="$policy"
# Where the account has that role already:
#   aws iam update-assume-role-policy --role-name={role} \
#     --policy-document="$policy"
# A new role may do nothing yet: see aws iam attach-role-policy.
`

// The trust policy is JSON here too, which YAML 1.2 includes.
const trustCloudFormation = `{about}
# To deploy: aws cloudformation deploy --capabilities CAPABILITY_NAMED_IAM ...
# The role may do nothing yet: add ManagedPolicyArns or Policies to it.
own|# An account has one provider for an issuer: if it is there, leave it out here.
AWSTemplateFormatVersion: "2010-09-09"
Resources:
own|  IdentityProvider:
own|    Type: AWS::IAM::OIDCProvider
own|    Properties:
own|      Url: {issuer}
own|      ClientIdList:
own|        - {client}
  Role:
    Type: AWS::IAM::Role
own|    DependsOn: IdentityProvider
    Properties:
      RoleName: {role}
      Path: {path}
long|      MaxSessionDuration: {seconds}
      AssumeRolePolicyDocument:
        {document}
`

const trustTerraform = `{about}
# The role may do nothing yet: see aws_iam_role_policy_attachment.
own|# An account has one provider for an issuer: if it is there, leave it out here.
own|
own|resource "aws_iam_openid_connect_provider" "daypass" {
own|  url            = {issuer}
own|  client_id_list = [{client}]
own|}

resource "aws_iam_role" "daypass" {
  name = {role}
  path = {path}
long|
long|  max_session_duration = {seconds}
own|
own|  depends_on = [aws_iam_openid_connect_provider.daypass]

  assume_role_policy = <<-EOT
    {document}
  EOT
}
`

// form is the trust policy in a form of --format. Its values are printable ASCII, of
// which a client id may hold any; quote makes one a word of the form's language. In
// YAML, and but for templates in Terraform, words are quoted as in Go: only quotes and
// backslashes need an escape.
func form(format string, p profile.Profile, t process.TrustPolicy) []byte {
	quote, form, document := profile.SingleQuoted, trustCLI, strings.TrimSuffix(string(t.Document), "\n")
	switch format {
	case "json":
		return t.Document
	case "cli":
		document = quote(document)
	case "cloudformation":
		form, quote = trustCloudFormation, strconv.Quote
	case "terraform":
		literal := strings.NewReplacer("${", "$${", "%{", "%%{").Replace // else they are templates
		form, document = trustTerraform, literal(document)
		quote = func(text string) string { return literal(strconv.Quote(text)) }
	}
	about := "# Lets " + t.Admits + " take role " + p.RoleName + " in account " + p.AccountID + "."
	for _, note := range t.Notes {
		about += "\n# " + note
	}
	_, path, _ := strings.Cut(p.RoleARN, ":role/")
	values := strings.NewReplacer("{about}", about, "{seconds}", strconv.Itoa(int(p.Duration.Seconds())),
		"{issuer}", quote(t.Issuer), "{client}", quote(t.ClientID), "{provider}", quote(t.Provider),
		"{role}", quote(p.RoleName), "{path}", quote("/"+strings.TrimSuffix(path, p.RoleName)))
	var text strings.Builder
	for line := range strings.Lines(form) {
		line, own := strings.CutPrefix(line, "own|")
		line, long := strings.CutPrefix(line, "long|")
		before, after, isDocument := strings.Cut(line, "{document}")
		switch {
		case own && t.BuiltIn || long && p.Duration <= time.Hour: // which a role allows by itself
		case isDocument:
			indent := before[:len(before)-len(strings.TrimLeft(before, " "))]
			text.WriteString(before + strings.ReplaceAll(document, "\n", "\n"+indent) + after)
		default:
			text.WriteString(values.Replace(line))
		}
	}
	return []byte(text.String())
}
