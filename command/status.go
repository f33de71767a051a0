package command

import (
	"bytes"
	"encoding/json"
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
network, no prompt, no unlocking. With --profile it ends with 3 when a person
must log in.`,
		Example: "  daypass status\n  daypass status --profile dev --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			src := e.source(cmd)
			names := []string{name}
			if name == "" {
				var err error
				if names, err = profile.List(src); err != nil {
					return err
				}
			}
			all := []process.Status{}
			for _, n := range names {
				status, err := e.status(cmd, src, n)
				if err != nil && name != "" {
					return err
				}
				if err != nil {
					status = process.Status{Profile: n, Problem: err.Error(), NeedsPerson: true}
				}
				all = append(all, status)
			}
			product, err := render(all, asJSON, e.Now())
			if err != nil {
				return err
			}
			if err := e.print(product); err != nil {
				return err
			}
			if name != "" && all[0].NeedsPerson {
				return &failure.Error{Exit: failure.ExitLogin, Lines: []string{"profile " + name + " needs a login.", "Run: daypass login --profile " + name}}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "one profile instead of all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addSettings(cmd)
	return cmd
}

func (e *Environment) status(cmd *cobra.Command, src profile.Source, name string) (process.Status, error) {
	p, err := profile.Load(src, name)
	if err != nil {
		return process.Status{}, err
	}
	s, err := e.session(p)
	if err != nil {
		return process.Status{}, err
	}
	defer s.close()
	return s.Status(cmd.Context()), nil
}

func render(all []process.Status, asJSON bool, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	if asJSON {
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(all)
		return b.Bytes(), err
	}
	switch len(all) {
	case 0:
		return []byte("No profile in ~/.aws/config names daypass.\n"), nil
	case 1:
		renderOne(&b, all[0], now)
	default:
		renderTable(&b, all, now)
	}
	return b.Bytes(), nil
}

// renderTable writes a line a profile, and below it what needs a word.
func renderTable(b *bytes.Buffer, all []process.Status, now time.Time) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PROFILE\tROLE\tACCOUNT\tLOGIN\tCREDENTIALS\tKEPT IN")
	var notes []string
	for _, s := range all {
		_, role, _ := strings.Cut(s.RoleARN, ":role/")
		credentials := "-"
		if s.Credentials != nil {
			credentials = "until " + clock(s.Credentials.Until, now)
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			prompt.Clean(s.Profile), prompt.Clean(role), s.AccountID, prompt.Clean(loginText(s, now)), credentials, s.Storage,
		}, "\t"))
		switch {
		case s.Problem != "":
			notes = append(notes, s.Profile+": "+s.Problem)
		case s.OpenCode != nil:
			notes = append(notes, s.Profile+": "+waitingText(s.OpenCode, now))
		case s.NeedsPerson:
			notes = append(notes, s.Profile+": daypass login --profile "+s.Profile)
		}
		if f := s.LastFailure; f != nil {
			notes = append(notes, fmt.Sprintf("%s: %s, exit %d: %s", s.Profile, clock(f.At, now), f.Exit, f.Line))
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
		return s.Login.Who + ", until " + clock(s.Login.Until, now)
	}
	return s.Login.Who + ", ended " + clock(s.Login.Until, now)
}

func waitingText(c *process.OpenCode, now time.Time) string {
	return "code " + c.UserCode + " at " + c.Address + ", good until " + clock(c.Until, now)
}

// renderOne writes what is known of one profile, a line a fact.
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
		line("waiting", waitingText(s.OpenCode, now))
	}
	if s.Credentials != nil {
		line("credentials", "until "+clock(s.Credentials.Until, now))
	}
	if s.Storage != "" {
		line("kept in", s.Storage)
	}
	if f := s.LastFailure; f != nil {
		line("last failure", fmt.Sprintf("%s, exit %d: %s", clock(f.At, now), f.Exit, f.Line))
	}
	if s.NeedsPerson && s.Problem == "" {
		line("next", "daypass login --profile "+s.Profile)
	}
	_ = w.Flush()
}
