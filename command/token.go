package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
)

func newToken(e *Environment) *cobra.Command {
	var target target
	var format string
	cmd := &cobra.Command{
		Use:   "token [-p PROFILE | --idp NAME]",
		Short: "Print the ID token, for another cloud's federation",
		Long: `Prints the login's ID token, renewed if it is about to expire. It is a bearer
token: whoever has it can take the roles that trust it.`,
		Example: "  daypass token --idp corp\n  daypass token --profile dev --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "raw" && format != "json" {
				return fmt.Errorf("--format %q is not raw or json", format)
			}
			p, err := target.load(e.source(cmd))
			if err != nil {
				return err
			}
			s, err := e.session(p)
			if err != nil {
				return err
			}
			defer s.close()
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
				return &failure.Error{Exit: failure.ExitUnexpected, Err: err, Lines: []string{err.Error()}}
			}
			return e.print(append(document, '\n'))
		},
	}
	target.addFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "raw", "raw or json")
	return cmd
}
