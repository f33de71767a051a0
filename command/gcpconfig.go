package command

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/google"
)

func newGCPConfig(e *Environment) *cobra.Command {
	var name, via string
	var config google.Config
	cmd := &cobra.Command{
		Use:   "gcp-config --audience PROVIDER (-p PROFILE | --idp NAME)",
		Short: "Print the file with which Google's libraries use this login",
		Long: `Prints the external_account file that gcloud and Google's client libraries read
from GOOGLE_APPLICATION_CREDENTIALS. It holds no secret.

With --via aws the libraries prove the profile's role to Google Cloud. They look
for its credentials in their environment alone: start them with daypass exec.

With --via login they run daypass to get the login's ID token. They do so only if
GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1 is set.`,
		Example: "  daypass gcp-config -p dev --audience //iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/aws/providers/dev > gcp.json\n" +
			"  GOOGLE_APPLICATION_CREDENTIALS=gcp.json daypass exec -p dev -- terraform plan",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if via != "aws" && via != "login" {
				return fmt.Errorf("--via %q is not aws or login", via)
			}
			src := e.source(cmd)
			delete(src.Flags, "audience") // the setting of that name is another one
			p, err := loadLogin(src, name)
			if err != nil {
				return err
			}
			switch {
			case via == "login":
				if p.Source != nil {
					p.Name = "" // the token is the login's
				}
				if config.Command, err = e.googleCommand(p.Name, p.IDP.Name); err != nil {
					return err
				}
			case p.RoleARN == "":
				return failure.New(failure.ExitUsage, nil, "--via aws needs the role of a profile.", "Give --profile NAME, or --via login.")
			case p.Region == "":
				return failure.New(failure.ExitUsage, nil, "Google's libraries need a region to prove a role of AWS, but profile "+p.Name+" has none.", "Add the line region = ... to the profile.")
			}
			file, err := config.File()
			if err != nil {
				return err
			}
			return e.print(file)
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().String("idp", "", "name of the [daypass-idp] section to log in with")
	cmd.Flags().StringVar(&config.Audience, "audience", "", "full name of the provider in Google's workload identity pool")
	cmd.Flags().StringVar(&config.ServiceAccount, "service-account", "", "e-mail address of a service account to act as")
	cmd.Flags().StringVar(&via, "via", "aws", "what Google trusts: aws (the role) or login (the identity provider)")
	return cmd
}

// googleCommand is the command line that Google's libraries run for an ID token. Each
// splits it in its own way, so no word may hold a space, a quote or a backslash.
func (e *Environment) googleCommand(profile, idp string) (string, error) {
	program, err := e.programPath()
	if err != nil {
		return "", err
	}
	words := []string{filepath.ToSlash(program), "token", "--format", "gcp", "--idp", idp}
	if profile != "" {
		words[4], words[5] = "--profile", profile
	}
	for _, word := range words {
		if word == "" || strings.ContainsAny(word, " \t\"'\\$") {
			return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("Google's libraries cannot run a command with %q in it: they split it at spaces.", word),
				"Name the profile, and the folder of daypass, without spaces and quotes.")
		}
	}
	return strings.Join(words, " "), nil
}
