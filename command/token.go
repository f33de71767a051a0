package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
)

func newToken(e *Environment) *cobra.Command {
	var name string
	var format string
	cmd := &cobra.Command{
		Use:   "token [-p PROFILE | --idp NAME]",
		Short: "Print the ID token, for another cloud's federation",
		Long: `Prints the login's ID token, renewed if it is about to expire. It is a bearer
token: whoever has it can take the roles that trust it.`,
		Example: "  daypass token --idp corp\n  daypass token --profile dev --format json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "raw" && format != "json" {
				return fmt.Errorf("--format %q is not raw or json", format)
			}
			p, err := loadLogin(e.source(cmd), name)
			if err != nil {
				return err
			}
			if p.Source != nil {
				return failure.New(failure.ExitUsage, nil, fmt.Sprintf("profile %s gets its role through profile %s; the ID token is for the first role of the chain.", p.Name, p.Source.Name),
					"Run: daypass token --idp "+p.IDP.Name)
			}
			return e.withSession(p, func(s *session) error {
				token, until, err := s.IDToken(cmd.Context())
				if err != nil {
					return err
				}
				if format == "raw" {
					return e.print([]byte(token.Reveal() + "\n"))
				}
				document, err := json.Marshal(struct {
					IDToken string `json:"id_token"`
					Expires string `json:"expires"`
				}{token.Reveal(), until.UTC().Format(time.RFC3339)})
				if err != nil {
					return err
				}
				return e.print(append(document, '\n'))
			})
		},
	}
	loginFlags(cmd, &name)
	cmd.Flags().StringVar(&format, "format", "raw", "raw or json")
	formats(cmd, "raw", "json")
	return cmd
}
