package command

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
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
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := e.statuses(cmd, name)
			if err != nil {
				return err
			}
			if asJSON {
				err = e.printJSON(all)
			} else {
				err = e.print(render(all, e.Now()))
			}
			return cmp.Or(err, firstNeed(all))
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "one profile instead of all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addSettings(cmd)
	return cmd
}

// statuses looks at one profile or at all of them, and reads the file once.
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
		if err = withRole(p, err); err == nil {
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

// firstNeed is how status ends: with the first login that cannot be reached, else with
// the first that needs a person, else with the first profile that is wrong.
func firstNeed(all []process.Status) error {
	var person, wrong error
	for _, s := range all {
		switch {
		case s.Failure != nil && s.Failure.Exit == failure.ExitKeyring:
			return s.Failure
		case s.Failure != nil:
			wrong = cmp.Or(wrong, error(s.Failure))
		case s.NeedsPerson:
			person = cmp.Or(person, error(failure.New(failure.ExitLogin, nil, "profile "+s.Profile+" needs a login.", "Run: daypass login --profile "+profile.Word(s.Profile))))
		}
	}
	return cmp.Or(person, wrong)
}

// render writes what is known of each profile, with one fact on each line.
func render(all []process.Status, now time.Time) []byte {
	if len(all) == 0 {
		return []byte("No profile uses daypass. Set one up: daypass configure\n")
	}
	var b bytes.Buffer
	until := func(when time.Time) string { return "until " + failure.Clock(when, now) }
	for i, s := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(prompt.Clean(s.Profile) + "\n")
		line := func(what, text string) {
			if text == "" {
				return
			}
			first := fmt.Sprintf("  %-12s  ", what)
			b.WriteString(prompt.Wrap(first, prompt.Clean(text), strings.Repeat(" ", len(first)), 80) + "\n")
		}
		line("role", s.RoleARN)
		if s.SourceProfile != "" {
			line("through", "profile "+s.SourceProfile)
		}
		switch login := s.Login; {
		case s.Problem != "":
			line("problem", s.Problem)
		case s.Source != "device":
			line("source", s.Source)
		case login == nil:
			line("login", "none")
		case login.Until.IsZero(): // the refresh token alone is kept
			line("login", "not verified yet")
		case login.Renews:
			line("login", login.Who+", renews by itself")
		case login.Until.After(now):
			line("login", login.Who+", "+until(login.Until))
		default:
			line("login", login.Who+", ended "+failure.Clock(login.Until, now))
		}
		if c := s.OpenCode; c != nil && c.UserCode == "" {
			line("waiting", "a login in the browser, good "+until(c.Until))
		} else if c != nil {
			line("waiting", "code "+c.UserCode+" at "+c.Address+", good "+until(c.Until))
		}
		if s.Credentials != nil {
			line("credentials", until(s.Credentials.Until))
		}
		line("kept in", s.Storage)
		line("settings", s.Company)
		if f := s.LastFailure; f != nil {
			line("last failure", fmt.Sprintf("%s, exit %d: %s", failure.Clock(f.At, now), f.Exit, strings.TrimSuffix(f.Line, ":")))
		}
		if s.NeedsPerson && s.Problem == "" {
			line("next", "daypass login --profile "+profile.Word(s.Profile))
		}
	}
	return b.Bytes()
}
