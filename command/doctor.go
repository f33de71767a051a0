package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/workload"
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
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			x := &examination{env: e, src: e.source(cmd), name: name}
			if err := x.examine(cmd.Context()); err != nil {
				return err
			}
			return e.report(x.findings, asJSON)
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

type finding struct {
	Link   string `json:"link"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Advice string `json:"advice"` // lines; "" if there is nothing to do
	exit   int    // of a broken one
}

// errUnchecked is the error of a check that cannot be made. Its text says why.
var errUnchecked = errors.New("unchecked")

// broken is the error of a check: what is wrong, and what to do about it.
func broken(exit int, lines ...string) error { return failure.New(exit, nil, lines...) }

// examination is one run of the doctor. Each check finds here what the checks
// that it needs have found.
type examination struct {
	env      *Environment
	src      profile.Source
	name     string // of the profile, as given; "" for the usual choice
	findings []finding

	advice       string   // set by the check that is under way, if all is well
	session      *session // set by the check of the configuration, like names and file
	names        failure.Names
	file         *profile.Config // nil if everything came as flags
	diagnosis    idp.Diagnosis
	diagnosisErr error             // why the diagnosis is not complete
	flow         string            // set by the check of the flow
	identity     *process.Identity // set by the check of the login
}

// examine checks the links of the profile's chain in the order in which they are
// shown. The error is an interruption.
func (x *examination) examine(ctx context.Context) error {
	x.look(ctx, "configuration", "", x.checkConfiguration)
	if x.findings[0].State != stateOK {
		return nil
	}
	p := x.session.Profile
	role := p.RoleARN != "" // else it is for Azure alone
	person := role && p.IDP.Source == ""
	for _, link := range []struct {
		has         bool // the profile has such a link
		name, needs string
		check       func(context.Context) (string, error)
	}{
		{role, "credential_process", "", x.checkCredentialProcess},
		{role, "other keys", "", x.checkOtherKeys},
		{role, "keyring", "", x.checkKeyring},
		{person, "provider", "", x.checkProvider},
		{person, "clock", "provider", x.checkClock},
		{person, "issuer", "provider", x.checkIssuer},
		{person, "flow", "issuer", x.checkFlow},
		{person, "signing", "issuer", x.checkSigning},
		{role, "login", "keyring", x.checkLogin}, // or the source
		{role, "claims", "login", x.checkClaims},
		{person, "renewal", "login", x.checkRenewal},
		{person, "prompt", "", x.checkPrompt},
		{role, "STS", "", x.checkSTS},
		{role, "role", "STS login", x.checkRole},
		{role, "console", "", x.checkConsole},
		{p.Azure.Via != "", "Azure", "role", x.checkAzure}, // or a managed identity
	} {
		if link.has {
			x.look(ctx, link.name, link.needs, link.check)
		}
		if ctx.Err() != nil {
			return failure.Interrupted(ctx.Err())
		}
	}
	return nil
}

// look checks a link, unless something that it needs is not ok. A check returns what it
// found, which can be of outside origin, or why the link is broken.
func (x *examination) look(ctx context.Context, link, needs string, check func(context.Context) (string, error)) {
	text, err := "", errUnchecked
	x.advice = ""
	missing := slices.IndexFunc(x.findings, func(f finding) bool {
		return f.State != stateOK && slices.Contains(strings.Fields(needs), f.Link)
	})
	if missing < 0 {
		if x.session != nil { // what another process holds is waited for as process does
			bounded, cancel := x.env.withTimeout(ctx, x.session.Profile.IDP.ProcessTimeout)
			defer cancel()
			ctx = bounded
		}
		text, err = check(ctx)
	} else if text = "needs " + x.findings[missing].Link; x.findings[missing].exit == failure.ExitLogin {
		text += "; run: daypass login" + x.names.Flag
	}
	f := finding{Link: link, State: stateOK, Detail: text, Advice: x.advice}
	if err == errUnchecked {
		f.State = stateUnchecked
	} else if err != nil {
		failed := failure.From(err)
		advice := strings.Join(failed.Lines[1:], "\n")
		if before, leadsHere := strings.CutSuffix(advice, "daypass doctor"+x.names.Flag); leadsHere {
			advice = cmp.Or(before[:strings.LastIndexAny(before, ".?")+1], // which ends such an advice
				"Repair the keyring, or set storage = file in "+x.names.Section+" (files that only you can read).") // no other failure has none
		}
		f = finding{link, stateBroken, failed.Lines[0], advice, failed.Exit}
	}
	x.findings = append(x.findings, f)
}

// report prints the findings. The error names the broken links.
func (e *Environment) report(findings []finding, asJSON bool) error {
	var text strings.Builder
	var links []string
	exit := 0
	for _, f := range findings {
		fmt.Fprintf(&text, "%-4s  %-18s  %s\n", f.State, f.Link, prompt.Clean(f.Detail))
		for line := range strings.Lines(f.Advice) {
			fmt.Fprintf(&text, "      %s\n", prompt.Clean(strings.TrimSpace(line)))
		}
		if f.State == stateBroken {
			exit = cmp.Or(exit, f.exit)
			links = append(links, f.Link)
		}
	}
	var err error
	if asJSON {
		err = e.printJSON(findings)
	} else {
		err = e.print([]byte(text.String()))
	}
	if err == nil && links != nil {
		err = failure.New(exit, nil, "broken: "+strings.Join(links, ", ")+".")
	}
	return err
}

// The links: first this machine (files, environment, keyring, the way to a person).

func (x *examination) checkConfiguration(context.Context) (string, error) {
	p, err := loadAny(x.src, x.name)
	if err != nil {
		return "", err
	}
	// It is not closed: the doctor asks nobody, so no terminal is opened.
	if x.session, err = x.env.session(p); err != nil {
		return "", err
	}
	x.names = x.session.Names()
	if p.Name == "" {
		return "from flags, role " + p.RoleARN, nil
	}
	if x.file, err = profile.Open(x.src); err == nil {
		err = x.file.Refused()
	}
	if err != nil {
		return "", err
	}
	x.advice = strings.TrimSpace(p.IDP.Company + "\n" + strings.Join(p.IDP.Warnings, "\n"))
	return fmt.Sprintf("profile %s in %s, role %s", p.Name, x.src.ConfigFile(), cmp.Or(p.RoleARN, "(none)")), nil
}

// checkCredentialProcess checks that every SDK can run the line: they split it in
// three ways (like Python's shlex, with sh, with cmd.exe), so it must mean the same
// to all.
func (x *examination) checkCredentialProcess(context.Context) (string, error) {
	if x.file == nil {
		return "everything came as flags; SDKs read profiles", errUnchecked
	}
	name := x.session.Profile.Name
	program, err := x.env.programPath()
	if err != nil {
		program = "/usr/local/bin/daypass"
	}
	line := x.file.Value(name, "credential_process")
	advice := "Write into " + profile.Section{Name: name}.Header() + ":\ncredential_process = " + profile.CommandLine(program, name)
	if line == "" {
		return "", broken(failure.ExitUsage, "profile "+name+" has no credential_process, so no SDK runs daypass.", advice)
	}
	if problem := x.lineProblem(line); problem != "" {
		return "", broken(failure.ExitUsage, "credential_process = "+line+": "+problem, advice)
	}
	return line, nil
}

// lineProblem says what is wrong with a credential_process line, or "".
func (x *examination) lineProblem(line string) string {
	special := "\"'`~$|;&<>()*?%\\"
	if runtime.GOOS == "windows" {
		special = "\"'`$|;&<>()*?%^"
	}
	if name := x.session.Profile.Name; !strings.ContainsAny(name, special) {
		line = strings.Replace(line, strconv.Quote(name), "NAME", 1) // a name with a space needs these quotes
	}
	if at := strings.IndexAny(line, special); at >= 0 {
		return fmt.Sprintf("SDKs do not agree on what %c means in it.", line[at])
	}
	words := strings.Fields(line)
	path := words[0]
	has := func(beginnings ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool {
			return slices.ContainsFunc(beginnings, func(beginning string) bool { return strings.HasPrefix(word, beginning) })
		})
	}
	found, err := exec.LookPath(path)
	info, _ := os.Stat(found)
	self, _ := os.Stat(x.env.Executable)
	switch {
	case !filepath.IsAbs(path):
		return fmt.Sprintf("%s is not an absolute path, so it depends on where the SDK runs.", path)
	case err != nil:
		return fmt.Sprintf("there is no program %s that can be run (SDKs end the path at the first space).", path)
	case self != nil && !os.SameFile(info, self):
		return fmt.Sprintf("that is another program than this daypass, %s.", x.env.Executable)
	case !slices.Contains(words, "process"):
		return "it does not run daypass process."
	case !has("--profile", "-p", "--issuer", "--source"):
		return "it does not say --profile, and an SDK does not pass on which profile it reads."
	case has("#"):
		return "the AWS CLI takes the comment at its end for arguments."
	}
	return ""
}

// checkOtherKeys looks for credentials that SDKs take instead of daypass's, by name.
func (x *examination) checkOtherKeys(context.Context) (string, error) {
	isSet := func(variable string) bool { return x.env.Getenv(variable) != "" }
	var names []string
	if isSet("AWS_ACCESS_KEY_ID") { // the others count for nothing without it
		names = append(names, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
	}
	if isSet("AWS_ROLE_ARN") && isSet("AWS_WEB_IDENTITY_TOKEN_FILE") {
		names = append(names, "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
	}
	if set := slices.DeleteFunc(names, func(name string) bool { return !isSet(name) }); len(set) > 0 {
		advice := "Run: unset " + strings.Join(set, " ")
		if runtime.GOOS == "windows" {
			advice = "Remove them from the environment, and open a new window."
		}
		return "", broken(failure.ExitUsage, "the environment has "+strings.Join(set, ", ")+".", "SDKs take these instead of the profile.", advice)
	}
	if x.file == nil {
		return "none in the environment", nil
	}
	shadows, err := x.file.Shadows(x.session.Profile.Name)
	if err != nil || shadows == nil {
		return "none in the environment or in files", err
	}
	return "", broken(failure.ExitUsage, strings.Join(shadows, "; ")+".",
		"SDKs take these instead of credential_process. Remove them, or rename the section.")
}

func (x *examination) checkKeyring(ctx context.Context) (string, error) {
	where, err := x.session.CheckStorage(ctx)
	if err != nil && x.session.Profile.IDP.Source != "" {
		x.advice = "Each command asks for new credentials; that works."
		return "nothing can be kept here (" + failure.From(err).Lines[0] + ")", nil
	}
	return where + ": what is stored can be read back", err
}

// checkPrompt comes after the login, for while that renews nobody needs to be asked.
func (x *examination) checkPrompt(context.Context) (string, error) {
	a := x.session.audience()
	browser, err := x.env.browser(x.session.Profile)
	if err == nil {
		err = browser.Find()
	}
	switch {
	case a.Browser && err != nil:
		return "", broken(failure.ExitUsage, fmt.Sprintf("the browser would not start (%v).", err),
			"Correct browser_command in "+x.names.Section+", or BROWSER. For no browser at all, set prompt = terminal there.")
	case a.Terminal && !a.Browser && x.flow == process.BrowserFlow:
		return "on the terminal, with a browser on another machine: daypass login --no-browser" + x.names.Flag, nil
	case a.Terminal && a.Browser:
		return "on the terminal and in a browser", nil
	case a.Terminal:
		return "on the terminal", nil
	case a.Browser:
		return "in a browser", nil
	case x.identity != nil && x.identity.Renews:
		return "nobody can be asked here; not needed while it renews", nil
	}
	return "", broken(failure.ExitLogin, a.Why+".", "Log in by hand, in a terminal, as the same user, before each login ends:",
		"daypass login"+x.names.Flag)
}

// The identity provider, and the login that it gave.

func (x *examination) checkProvider(ctx context.Context) (string, error) {
	x.diagnosis, x.diagnosisErr = x.session.Diagnose(ctx)
	if _, document := errors.AsType[*idp.DiscoveryError](x.diagnosisErr); x.diagnosisErr != nil && !document {
		return "", x.diagnosisErr
	}
	return x.names.Host + " answers", nil
}

func (x *examination) checkClock(context.Context) (string, error) {
	if x.diagnosis.Skew == nil {
		return x.names.Host + " sends no Date header", errUnchecked
	}
	off, side := x.diagnosis.Skew.Abs(), "behind"
	if off < 5*time.Minute { // the leeway for the times in an ID token
		return fmt.Sprintf("agrees with %s within %s", x.names.Host, off+time.Second), nil
	}
	if *x.diagnosis.Skew < 0 {
		side = "ahead of"
	}
	return "", broken(failure.ExitUsage, fmt.Sprintf("this machine's clock is %s %s %s.", off, side, x.names.Host),
		"Set the clock, or turn on network time (NTP).")
}

// checkIssuer is about the discovery document: it must exist and name the provider as
// the configuration does.
func (x *examination) checkIssuer(context.Context) (string, error) {
	return x.session.Profile.IDP.Issuer, x.diagnosisErr
}

// checkFlow is about how people log in, and what that needs.
func (x *examination) checkFlow(ctx context.Context) (text string, err error) {
	x.flow, text, err = x.session.CheckFlow(ctx, x.diagnosis.Metadata)
	if x.flow == process.BrowserFlow {
		x.advice = "The client must have that redirect address at the provider."
	}
	return text, err
}

func (x *examination) checkSigning(context.Context) (string, error) {
	d := x.diagnosis
	switch {
	case len(d.SigningAlgorithms) == 0:
		return x.names.Host + " does not list the algorithms of its ID tokens", nil
	case len(d.STSAlgorithms()) > 0:
		return strings.Join(d.STSAlgorithms(), ", "), nil
	}
	return "", broken(failure.ExitRefused, x.names.Host+" signs with "+strings.Join(d.SigningAlgorithms, ", ")+", which AWS STS does not accept.",
		"Give the client a signing key for RS256 or ES256. (Authentik signs with the",
		"client secret, HS256, if there is none.)")
}

// checkLogin takes the login as it is, or renews it if no person is needed for that.
func (x *examination) checkLogin(ctx context.Context) (string, error) {
	identity, err := x.session.Identity(ctx)
	if err != nil {
		return "", err
	}
	x.identity = &identity
	who := identity.Who
	if source := x.session.Profile.IDP.Source; source != "" {
		who += " from " + workload.Describe(source)
	}
	return fmt.Sprintf("%s, ID token until %s", who, failure.Clock(identity.Until, x.env.Now())), nil
}

// checkClaims shows what an AWS admin compares with the trust policy.
func (x *examination) checkClaims(context.Context) (string, error) {
	i := x.identity
	azp := cmp.Or(i.AuthorizedParty, "(none)")
	return fmt.Sprintf("iss=%s aud=%s azp=%s sub=%s alg=%s", i.Issuer, strings.Join(i.Audience, ","), azp, i.Subject, i.Algorithm), nil
}

// checkRenewal says whether there is a refresh token, and if not, why. Without one a
// login works until it ends.
func (x *examination) checkRenewal(context.Context) (string, error) {
	if x.identity.Renews {
		return "there is a refresh token: it renews by itself", nil
	}
	const offline = "offline_access"
	d, client := x.diagnosis, x.session.Profile.IDP.ClientID
	again := "\nThen run: daypass login --force" + x.names.Flag
	switch {
	case x.diagnosisErr != nil:
		x.advice = "The reason can be checked once the provider answers."
	case slices.Contains(x.session.Flow.RequestScopes(d.Metadata), offline):
		x.advice = "Ask the admin of " + x.names.Host + " to enable refresh tokens for client " + client + "." + again
	case slices.Contains(d.Scopes, offline):
		x.advice = "The scopes in " + x.names.Section + " lack offline_access: add it." + again
	default:
		x.advice = x.names.Host + " offers no scope offline_access.\nThe provider decides whether client " + client + " gets refresh tokens."
	}
	return "no refresh token came: the login ends at " + failure.Clock(x.identity.Until, x.env.Now()), nil
}

// AWS.

func (x *examination) checkSTS(ctx context.Context) (string, error) {
	address, err := x.session.STSURL(ctx)
	if err != nil {
		return "", err
	}
	return x.reach(ctx, address)
}

func (x *examination) reach(ctx context.Context, address string) (string, error) {
	return address + " answers", x.session.Reach(ctx, address)
}

// checkRole assumes the role for real.
func (x *examination) checkRole(ctx context.Context) (string, error) {
	session, err := x.session.TryRole(ctx)
	return "assumed as " + session, err
}

func (x *examination) checkConsole(ctx context.Context) (string, error) {
	address, err := consolePlace(x.session.Profile).Endpoint()
	if err != nil {
		f := failure.From(x.session.Fill(err))
		return "", failure.New(f.Exit, err, f.Lines[0], "Credentials work all the same; daypass console does not.")
	}
	return x.reach(ctx, address)
}

// checkAzure gets a token for real.
func (x *examination) checkAzure(ctx context.Context) (string, error) {
	until, err := x.session.TryAzure(ctx)
	return "gives a token for Key Vault until " + failure.Clock(until, x.env.Now()), err
}
