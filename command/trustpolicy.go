package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/process"
)

// theLoginsOwn is the value of --sub without one. No provider has such a subject.
const theLoginsOwn = "the login's"

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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && sub == theLoginsOwn {
				return nil
			}
			return fmt.Errorf("unexpected argument %q", args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			form, known := trustForms()[format]
			if !known {
				return fmt.Errorf("--format %q is not json, cli, cloudformation or terraform", format)
			}
			if cmd.Flags().Changed("sub") && sub == "" {
				return errors.New("--sub= names nobody; leave it out to let every user in")
			}
			return e.forProfile(cmd, name, func(s *session) error {
				if len(args) == 1 {
					sub = args[0]
				}
				if sub == theLoginsOwn {
					var err error
					if sub, err = s.Subject(cmd.Context()); err != nil {
						return err
					}
				}
				policy, err := s.TrustPolicy(cmd.Context(), sub)
				if err != nil {
					return err
				}
				if format == "json" {
					s.tellNotes(policy.Notes)
				}
				return e.print(form(policy))
			})
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().StringVar(&format, "format", "json", "json, cli, cloudformation or terraform")
	cmd.Flags().StringVar(&sub, "sub", "", "let in one user alone: `SUBJECT`, or whoever is logged in")
	cmd.Flags().Lookup("sub").NoOptDefVal = theLoginsOwn
	addSettings(cmd)
	return cmd
}

// trustForms are the forms of --format.
func trustForms() map[string]func(process.TrustPolicy) []byte {
	return map[string]func(process.TrustPolicy) []byte{
		"json":           func(t process.TrustPolicy) []byte { return t.Document },
		"cli":            trustCLI,
		"cloudformation": trustCloudFormation,
		"terraform":      trustTerraform,
	}
}

// tellNotes shows the notes on the terminal device: the JSON itself has no room
// for comments, and stderr stays empty.
func (s *session) tellNotes(notes []string) {
	for i, line := range notes {
		if i == 0 {
			line = "daypass: " + line
		}
		s.tell(line)
	}
}
