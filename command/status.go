package command

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newStatus(e *Environment) *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [-p PROFILE]",
		Short: "Show who is logged in, and until when",
		Long: `Shows for each profile that daypass serves (or for one) who is logged in, which
role, until when, where it is kept, and how it last failed. It asks nobody: no
network, no prompt, no unlocking.

It ends with 7 if a login cannot be reached, else with 3 if one needs a person.`,
		Example: "  daypass status\n  daypass status --profile dev --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := e.statuses(cmd, name)
			if err != nil {
				return err
			}
			product, err := render(all, asJSON, e.Now())
			if err != nil {
				return err
			}
			if err := e.print(product); err != nil {
				return err
			}
			return firstNeed(all)
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "one profile instead of all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addSettings(cmd)
	return cmd
}

// statuses looks at the one profile, or at all; the file is read once.
func (e *Environment) statuses(cmd *cobra.Command, name string) ([]process.Status, error) {
	src := e.source(cmd)
	config, err := profile.Open(src)
	if err != nil {
		return nil, err
	}
	names := []string{name}
	if name == "" {
		names = config.Names()
	}
	all := []process.Status{}
	for _, n := range names {
		var status process.Status
		p, err := config.Load(n)
		if err == nil {
			err = e.withSession(p, func(s *session) error {
				status = s.Status(cmd.Context())
				return nil
			})
		}
		if err != nil && name != "" {
			return nil, err
		}
		if err != nil {
			f := failure.From(err)
			status = process.Status{Profile: n, Problem: f.Lines[0], Failure: f}
		}
		all = append(all, status)
	}
	return all, nil
}

// firstNeed is how status ends: with the first login that cannot be reached, else
// with the first that needs a person; nil if all is well.
func firstNeed(all []process.Status) error {
	var need error
	for _, s := range all {
		switch {
		case s.Failure != nil && s.Failure.Exit == failure.ExitKeyring:
			return s.Failure
		case need != nil:
		case s.Failure != nil:
			need = s.Failure
		case s.NeedsPerson:
			need = failure.New(failure.ExitLogin, nil, "profile "+s.Profile+" needs a login.", "Run: daypass login --profile "+s.Profile)
		}
	}
	return need
}

func render(all []process.Status, asJSON bool, now time.Time) ([]byte, error) {
	if asJSON {
		return printJSON(all)
	}
	var b bytes.Buffer
	switch len(all) {
	case 0:
		return []byte("No profile in ~/.aws/config names daypass. Set one up: daypass configure\n"), nil
	case 1:
		renderOne(&b, all[0], now)
	default:
		renderTable(&b, all, now)
	}
	return b.Bytes(), nil
}

// renderTable writes a line for each profile, and below it what needs a word.
func renderTable(b *bytes.Buffer, all []process.Status, now time.Time) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PROFILE\tROLE\tACCOUNT\tLOGIN\tCREDENTIALS\tKEPT IN")
	var notes []string
	for _, s := range all {
		_, role, _ := strings.Cut(s.RoleARN, ":role/")
		credentials := "-"
		if s.Credentials != nil {
			credentials = "until " + prompt.Clock(s.Credentials.Until, now)
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			prompt.Clean(s.Profile), prompt.Clean(role), s.AccountID, prompt.Clean(loginText(s, now)), credentials, s.Storage,
		}, "\t"))
		switch {
		case s.Problem != "":
			notes = append(notes, s.Profile+": "+s.Problem)
		case s.OpenCode != nil:
			notes = append(notes, s.Profile+": "+openCodeText(s.OpenCode, now))
		case s.NeedsPerson:
			notes = append(notes, s.Profile+": daypass login --profile "+s.Profile)
		}
		if f := s.LastFailure; f != nil {
			notes = append(notes, s.Profile+": "+lastFailureText(f, now))
		}
	}
	_ = w.Flush()
	for _, note := range notes {
		b.WriteString(prompt.Clean(note) + "\n")
	}
}

// loginText is who is logged in, and how long.
func loginText(s process.Status, now time.Time) string {
	switch {
	case s.Problem != "":
		return "?"
	case s.Login == nil:
		return "none"
	case s.Login.Renews:
		return s.Login.Who + ", renews by itself"
	case s.Login.Until.After(now):
		return s.Login.Who + ", until " + prompt.Clock(s.Login.Until, now)
	}
	return s.Login.Who + ", ended " + prompt.Clock(s.Login.Until, now)
}

func openCodeText(c *process.OpenCode, now time.Time) string {
	return "code " + c.UserCode + " at " + c.Address + ", good until " + prompt.Clock(c.Until, now)
}

func lastFailureText(f *process.LastFailure, now time.Time) string {
	return fmt.Sprintf("%s, exit %d: %s", prompt.Clock(f.At, now), f.Exit, f.Line)
}

// renderOne writes what is known of one profile, one fact on each line.
func renderOne(b *bytes.Buffer, s process.Status, now time.Time) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(what, text string) { _, _ = fmt.Fprintf(w, "  %s\t%s\n", what, prompt.Clean(text)) }
	_, _ = fmt.Fprintln(w, prompt.Clean(s.Profile))
	if s.RoleARN != "" {
		line("role", s.RoleARN)
	}
	if s.Problem != "" {
		line("problem", s.Problem)
	} else {
		line("login", loginText(s, now))
	}
	if s.OpenCode != nil {
		line("waiting", openCodeText(s.OpenCode, now))
	}
	if s.Credentials != nil {
		line("credentials", "until "+prompt.Clock(s.Credentials.Until, now))
	}
	if s.Storage != "" {
		line("kept in", s.Storage)
	}
	if f := s.LastFailure; f != nil {
		line("last failure", lastFailureText(f, now))
	}
	if s.NeedsPerson && s.Problem == "" {
		line("next", "daypass login --profile "+s.Profile)
	}
	_ = w.Flush()
}
