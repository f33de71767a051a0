package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/google"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/secret"
)

func newToken(e *Environment) *cobra.Command {
	var name, format string
	cmd := &cobra.Command{
		Use:   "token [-p PROFILE | --idp NAME]",
		Short: "Print the ID token, for another cloud's federation",
		Long: `Prints the login's ID token, renewed if it is about to expire. It is a bearer
token: whoever has it can take the roles that trust it.

With --format gcp it is the executable of Google's client libraries (see daypass
gcp-config): it ends with 0 and says in the document on stdout what went wrong.`,
		Example: "  daypass token --idp corp\n  daypass token --profile dev --format json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := loadLogin(e.source(cmd), name)
			if err != nil {
				return err
			}
			if p.Source != nil {
				return failure.New(failure.ExitUsage, nil, fmt.Sprintf("profile %s gets its role through profile %s; the ID token is for the first role of the chain.", p.Name, p.Source.Name),
					"Run: daypass token --idp "+p.IDP.Name)
			}
			return e.withSession(p, func(s *session) error {
				if format == "gcp" {
					return s.tokenForGoogle(cmd.Context())
				}
				token, until, err := s.IDToken(cmd.Context())
				if err != nil {
					return err
				}
				return e.printToken(format, "id_token", token, until)
			})
		},
	}
	loginFlags(cmd, &name)
	formatFlag(cmd, &format, "raw", "json", "gcp")
	return cmd
}

// printToken prints a token: raw, or as the named field of a JSON object.
func (e *Environment) printToken(format, field string, token secret.String, until time.Time) error {
	if format == "raw" {
		return e.print([]byte(token.Reveal() + "\n"))
	}
	document, err := json.Marshal(map[string]string{field: token.Reveal(), "expires": until.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	return e.print(append(document, '\n'))
}

// googleTime is less than the 30 s after which Google's libraries stop listening.
const googleTime = 25 * time.Second

func (s *session) tokenForGoogle(ctx context.Context) error {
	tokenType, err := google.TokenType(s.env.Getenv)
	if err != nil {
		return err
	}
	if s.env.Getenv("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE") != "1" {
		s.Person = func() process.Person { return process.Person{Why: "Google's library lets nobody be asked"} }
		s.Waiting, s.Tell = nil, nil
		var cancel context.CancelFunc
		ctx, cancel = s.env.withTimeout(ctx, googleTime)
		defer cancel()
	}
	token, until, err := s.IDToken(ctx)
	if err != nil {
		return err
	}
	return s.env.answerGoogle(google.Token(tokenType, token, until))
}

// failForGoogle is fail for Google's client libraries.
func (e *Environment) failForGoogle(failed *failure.Error) int {
	_ = e.answerGoogle(google.Failure(failed.Exit, strings.TrimSpace(prompt.CleanLines("daypass: "+failed.Error())))) // if it fails, there is nobody to tell
	return 0
}

// answerGoogle prints a document, and writes it to the file that the library names. If
// that fails, stdout still has it.
func (e *Environment) answerGoogle(document []byte) error {
	if path := e.Getenv("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE"); path != "" {
		google.WriteOutputFile(path, document)
	}
	return e.print(document)
}

// forGoogle reports whether the command line is for Google's client libraries,
// whatever else is wrong with it.
func forGoogle(args []string) bool {
	at := slices.Index(args, "--format")
	return len(args) > 0 && args[0] == "token" && (slices.Contains(args, "--format=gcp") || at > 0 && at+1 < len(args) && args[at+1] == "gcp")
}
