package command

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

func newAzureToken(e *Environment) *cobra.Command {
	var name, resource, scope, format string
	cmd := &cobra.Command{
		Use:   "azure-token [-p PROFILE] (--resource URL | --scope SCOPE)",
		Short: "Print an access token for Azure",
		Long: `Signs in to Entra ID as the profile's application, by a token that AWS signs for
the role, and prints the access token: a kept one while it is fresh. It is a
bearer token: whoever has it can do what the application may.`,
		Example: "  daypass azure-token --profile dev --resource https://vault.azure.net\n" +
			"  daypass azure-token --profile dev --scope https://graph.microsoft.com/.default --format json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (resource == "") == (scope == "") {
				return errors.New("give either --resource or --scope")
			}
			if resource != "" {
				scope = resource + "/.default"
			}
			if len(scope) > 1000 || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return errors.New("the resource or scope is too long, or holds a character that cannot be in one")
			}
			p, err := loadAny(e.source(cmd), name)
			if err != nil {
				return err
			}
			return e.withSession(p, func(s *session) error {
				token, err := s.AzureToken(cmd.Context(), scope)
				if err != nil {
					return err
				}
				return e.printToken(format, "access_token", token.Value, token.Expires)
			})
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().StringVar(&resource, "resource", "", "what the token is for, such as https://vault.azure.net")
	cmd.Flags().StringVar(&scope, "scope", "", "the same as a scope, such as https://vault.azure.net/.default")
	formatFlag(cmd, &format, "raw", "json")
	addSettings(cmd)
	return cmd
}
