package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newDoctor(e *Environment) *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [-p PROFILE]",
		Short: "Check the chain link by link, and say what to do about each break",
		Long: `Checks each link of the chain from the configuration to the role: one line a
link, "ok", "FAIL", or "-" for what cannot be checked because an earlier link is
broken, and under each FAIL what to do. It asks the provider and AWS, and renews
the login if it must be renewed, but logs nobody in and prints no secret.

It ends with the exit code of the first broken link.`,
		Example: "  daypass doctor --profile dev\n  daypass doctor --profile dev --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x := &examination{env: e, src: e.source(cmd), name: name}
			defer x.close()
			findings, err := x.examine(cmd.Context())
			if err != nil {
				return err
			}
			product, err := renderFindings(findings, asJSON)
			if err != nil {
				return err
			}
			if err := e.print(product); err != nil {
				return err
			}
			return firstBroken(findings)
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: an array of link, state, detail, advice")
	addSettings(cmd)
	return cmd
}

// The states of a link.
const (
	stateOK        = "ok"
	stateBroken    = "FAIL"
	stateUnchecked = "-"
)

// finding is what is known of one link.
type finding struct {
	Link   string `json:"link"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Advice string `json:"advice"` // lines; "" where there is nothing to do
	exit   int    // of a broken one
}

func ok(detail string, advice ...string) finding {
	return finding{State: stateOK, Detail: detail, Advice: strings.Join(advice, "\n")}
}

func unchecked(detail string) finding { return finding{State: stateUnchecked, Detail: detail} }

func broken(exit int, detail string, advice ...string) finding {
	return finding{State: stateBroken, Detail: detail, Advice: strings.Join(advice, "\n"), exit: exit}
}

// brokenBy is a link that failed as a command would: the first line says what is
// wrong, the others what to do.
func brokenBy(err error) finding {
	var failed *failure.Error
	if errors.As(err, &failed) && len(failed.Lines) > 0 {
		return broken(failed.Exit, failed.Lines[0], failed.Lines[1:]...)
	}
	return broken(failure.ExitUnexpected, err.Error())
}

// examination is one run of the doctor. Each check finds here what the checks
// that it needs have found.
type examination struct {
	env  *Environment
	src  profile.Source
	name string // of the profile, as given; "" for the usual choice

	session      *session // from the configuration on
	diagnosis    idp.Diagnosis
	diagnosisErr error             // why the diagnosis is not whole
	identity     *process.Identity // from the login on
}

func (x *examination) close() {
	if x.session != nil {
		x.session.close()
	}
}

// link is one link of the chain: it is checked if all that it needs is ok.
type link struct {
	name  string
	needs []string
	check func(*examination, context.Context) finding
}

// chain is the links in the order in which they are shown.
func chain() []link {
	const (
		configuration = "configuration"
		keyring       = "keyring"
		provider      = "provider"
		issuer        = "issuer"
		login         = "login"
		sts           = "STS"
	)
	return []link{
		{configuration, nil, (*examination).checkConfiguration},
		{"credential_process", []string{configuration}, (*examination).checkCredentialProcess},
		{"other keys", []string{configuration}, (*examination).checkOtherKeys},
		{keyring, []string{configuration}, (*examination).checkKeyring},
		{provider, []string{configuration}, (*examination).checkProvider},
		{"clock", []string{provider}, (*examination).checkClock},
		{issuer, []string{provider}, (*examination).checkIssuer},
		{"device endpoint", []string{issuer}, (*examination).checkDeviceEndpoint},
		{"signing", []string{issuer}, (*examination).checkSigning},
		{login, []string{keyring}, (*examination).checkLogin},
		{"claims", []string{login}, (*examination).checkClaims},
		{"renewal", []string{login}, (*examination).checkRenewal},
		{"prompt", []string{configuration}, (*examination).checkPrompt},
		{sts, []string{configuration}, (*examination).checkSTS},
		{"role", []string{login, sts}, (*examination).checkRole},
		{"console", []string{configuration}, (*examination).checkConsole},
	}
}

// examine checks the chain. The error is an interruption.
func (x *examination) examine(ctx context.Context) ([]finding, error) {
	var findings []finding
	found := map[string]finding{}
	for _, l := range chain() {
		var f finding
		at := slices.IndexFunc(l.needs, func(need string) bool { return found[need].State != stateOK })
		if at < 0 {
			f = l.check(x, ctx)
		} else {
			f = unchecked("needs " + l.needs[at])
			if found[l.needs[at]].exit == failure.ExitLogin {
				f.Detail += "; run: daypass login" + x.session.Names().Flag
			}
		}
		if ctx.Err() != nil {
			return nil, failure.Interrupted(ctx.Err())
		}
		f.Link = l.name
		found[l.name] = f
		findings = append(findings, f)
	}
	return findings, nil
}

// firstBroken is the exit of the doctor: nil if no link is broken.
func firstBroken(findings []finding) error {
	var links []string
	exit := 0
	for _, f := range findings {
		if f.State != stateBroken {
			continue
		}
		if exit == 0 {
			exit = f.exit
		}
		links = append(links, f.Link)
	}
	if links == nil {
		return nil
	}
	return &failure.Error{Exit: exit, Lines: []string{"broken: " + strings.Join(links, ", ") + "."}}
}

func renderFindings(findings []finding, asJSON bool) ([]byte, error) {
	var b bytes.Buffer
	if asJSON {
		return printJSON(findings)
	}
	for _, f := range findings {
		fmt.Fprintf(&b, "%-4s  %-18s  %s\n", f.State, f.Link, prompt.Clean(f.Detail))
		for line := range strings.Lines(f.Advice) {
			fmt.Fprintf(&b, "      %s\n", prompt.Clean(strings.TrimSpace(line)))
		}
	}
	return b.Bytes(), nil
}
