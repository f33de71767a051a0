package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

// The links of the chain in the order of the chain: this machine (files,
// environment, keyring, and the way to a person), the provider, AWS.

func (x *examination) checkConfiguration(context.Context) finding {
	p, err := loadProfile(x.src, x.name)
	if err != nil {
		return brokenBy(err)
	}
	if x.session, err = x.env.session(p); err != nil {
		return brokenBy(err)
	}
	if p.Name == "" {
		return ok("from flags, role " + p.RoleARN)
	}
	return ok(fmt.Sprintf("profile %s in %s, role %s", p.Name, x.src.ConfigFile(), p.RoleARN))
}

// checkCredentialProcess checks that every SDK can run the line: they split it in
// three different ways (as Python's shlex, by sh, by cmd.exe), so it must mean
// the same to all.
func (x *examination) checkCredentialProcess(context.Context) finding {
	name := x.session.Profile.Name
	if name == "" {
		return unchecked("everything came as flags; SDKs read profiles")
	}
	file, err := profile.Open(x.src)
	if err != nil {
		return brokenBy(err)
	}
	line := file.CredentialProcess(name)
	advice := "Write into [profile " + name + "]:\ncredential_process = " + x.program() + " process --profile " + name
	if line == "" {
		return broken(failure.ExitUsage, "profile "+name+" has no credential_process, so no SDK runs daypass.", advice)
	}
	if problem := x.lineProblem(line); problem != "" {
		return broken(failure.ExitUsage, "credential_process = "+line+": "+problem, advice)
	}
	return ok(line)
}

// program is daypass's path as it is shown in advice.
func (x *examination) program() string {
	if path, err := x.env.programPath(); err == nil {
		return path
	}
	return "/usr/local/bin/daypass"
}

// lineProblem says what is wrong with a credential_process line, or "".
func (x *examination) lineProblem(line string) string {
	special := "\"'`~$|;&<>()*?%\\"
	if runtime.GOOS == "windows" {
		special = "\"'`$|;&<>()*?%^"
	}
	if at := strings.IndexAny(line, special); at >= 0 {
		return fmt.Sprintf("SDKs do not agree on what %c means in it.", line[at])
	}
	words := strings.Fields(line)
	path := words[0]
	if !filepath.IsAbs(path) {
		return fmt.Sprintf("%s is not an absolute path, so it depends on where the SDK runs.", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Sprintf("there is no file %s (SDKs end the path at the first space).", path)
	case info.IsDir() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Sprintf("%s cannot be run: it is not an executable file.", path)
	}
	if self, err := os.Stat(x.env.Executable); err == nil && !os.SameFile(info, self) {
		return fmt.Sprintf("that is another program than this daypass, %s.", x.env.Executable)
	}
	named := slices.ContainsFunc(words, func(word string) bool {
		return word == "--profile" || strings.HasPrefix(word, "--profile=") || strings.HasPrefix(word, "--issuer")
	})
	switch {
	case !slices.Contains(words, "process"):
		return "it does not run daypass process."
	case !named:
		return "it does not say --profile, and an SDK does not pass on which profile it reads."
	case slices.ContainsFunc(words, func(word string) bool { return word[0] == '#' }):
		return "the AWS CLI takes the comment at its end for arguments."
	}
	return ""
}

// checkOtherKeys looks for credentials that SDKs take instead of daypass's. Only
// their names are looked at.
func (x *examination) checkOtherKeys(context.Context) finding {
	var set []string
	for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if x.env.Getenv(variable) != "" {
			set = append(set, variable)
		}
	}
	if set != nil {
		advice := "Run: unset " + strings.Join(set, " ")
		if runtime.GOOS == "windows" {
			advice = "Remove them from the environment, and open a new window."
		}
		return broken(failure.ExitUsage, "the environment has "+strings.Join(set, ", ")+".", "SDKs take these instead of the profile.", advice)
	}
	name := x.session.Profile.Name
	if name == "" {
		return ok("none in the environment")
	}
	file, err := profile.Open(x.src)
	if err != nil {
		return brokenBy(err)
	}
	shadows, err := file.Shadows(name)
	if err != nil {
		return brokenBy(err)
	}
	if shadows == nil {
		return ok("none in the environment or in files")
	}
	var places []string
	for _, s := range shadows {
		places = append(places, s.Where+" has "+strings.Join(s.Keys, ", "))
	}
	return broken(failure.ExitUsage, strings.Join(places, "; ")+".",
		"SDKs take these instead of credential_process. Remove them, or rename the section.")
}

func (x *examination) checkKeyring(ctx context.Context) finding {
	if err := x.session.CheckStorage(ctx); err != nil {
		return brokenBy(err)
	}
	return ok(x.session.Kept.Where() + " keeps records and returns them")
}

// checkPrompt comes after the login: nobody need be asked while it renews.
func (x *examination) checkPrompt(context.Context) finding {
	a := x.session.audience()
	switch {
	case a.Terminal && a.Browser:
		return ok("on the terminal and in a browser")
	case a.Terminal:
		return ok("on the terminal")
	case a.Browser:
		return ok("in a browser")
	case x.identity != nil && x.identity.Renews:
		return ok("nobody can be asked here; not needed while it renews")
	}
	return broken(failure.ExitLogin, a.Why+".", "Log in by hand, in a terminal, as the same user, before each login ends:",
		"daypass login"+x.session.Names().Flag)
}

// The identity provider, and the login that it gave.

func (x *examination) checkProvider(ctx context.Context) finding {
	x.diagnosis, x.diagnosisErr = x.session.Diagnose(ctx)
	var document *idp.DiscoveryError
	if err := x.diagnosisErr; err != nil && !errors.As(err, &document) {
		f := brokenBy(err)
		if idp.IsUnreachable(err) {
			f.Advice = "Check the network. Behind a proxy, set HTTPS_PROXY; behind a company CA, set\n" +
				"ca_bundle in " + x.section() + "."
		}
		return f
	}
	return ok(x.host() + " answers")
}

// section is where the settings of the login are written.
func (x *examination) section() string { return x.session.Names().Section }

// host is the provider's.
func (x *examination) host() string { return x.session.Names().Host }

// checkClock compares this machine's clock with the provider's.
func (x *examination) checkClock(context.Context) finding {
	const (
		noticed  = time.Minute     // less may come of a slow answer
		harmless = 5 * time.Minute // the leeway of the ID token's times
	)
	d := x.diagnosis
	if !d.SkewKnown {
		return unchecked(x.host() + " sends no Date header")
	}
	side, off := "behind", d.Skew
	if off < 0 {
		side, off = "ahead of", -off
	}
	switch {
	case off < noticed:
		return ok("agrees with " + x.host())
	case off < harmless:
		return ok(fmt.Sprintf("%s %s %s", off, side, x.host()))
	}
	return broken(failure.ExitUsage, fmt.Sprintf("this machine's clock is %s %s %s.", off, side, x.host()),
		"Set the clock, or turn on network time (NTP).")
}

// checkIssuer is about the discovery document: that it is there, and calls the
// provider as the configuration does.
func (x *examination) checkIssuer(context.Context) finding {
	if x.diagnosisErr == nil {
		return ok(x.session.Profile.IDP.Issuer)
	}
	return brokenBy(x.diagnosisErr)
}

func (x *examination) checkDeviceEndpoint(context.Context) finding {
	endpoint := x.session.DeviceEndpoint(x.diagnosis.Metadata)
	switch {
	case x.session.Profile.IDP.DeviceAuthorizationEndpoint != "":
		return ok(endpoint + ", from the configuration")
	case endpoint != "":
		return ok(endpoint)
	}
	return broken(failure.ExitUsage, x.host()+" names no device_authorization_endpoint.",
		"Ask its admin to enable the device grant (device code). If it is enabled, set",
		"device_authorization_endpoint in "+x.section()+".")
}

// checkSigning is about the algorithms with which the provider signs ID tokens.
func (x *examination) checkSigning(context.Context) finding {
	d := x.diagnosis
	switch {
	case len(d.SigningAlgorithms) == 0:
		return ok(x.host() + " does not list the algorithms of its ID tokens")
	case len(d.STSAlgorithms()) > 0:
		return ok(strings.Join(d.STSAlgorithms(), ", "))
	}
	return broken(failure.ExitRefused, x.host()+" signs with "+strings.Join(d.SigningAlgorithms, ", ")+", which AWS STS does not accept.",
		"Give the client a signing key for RS256 or ES256. (Authentik signs with the",
		"client secret, HS256, if there is none.)")
}

// checkLogin is about the login that there is, renewed if it must be and can be
// without a person.
func (x *examination) checkLogin(ctx context.Context) finding {
	identity, err := x.session.Identity(ctx)
	if err != nil {
		return brokenBy(err)
	}
	x.identity = &identity
	return ok(fmt.Sprintf("%s, ID token until %s", identity.Who, prompt.Clock(identity.Until, x.env.Now())))
}

// checkClaims shows what an AWS admin compares with the trust policy.
func (x *examination) checkClaims(context.Context) finding {
	i := x.identity
	azp := i.AuthorizedParty
	if azp == "" {
		azp = "(none)"
	}
	return ok(fmt.Sprintf("iss=%s aud=%s azp=%s sub=%s alg=%s", i.Issuer, strings.Join(i.Audience, ","), azp, i.Subject, i.Algorithm))
}

// checkRenewal says whether there is a refresh token, and if not, why. A login
// without one works, until it ends.
func (x *examination) checkRenewal(context.Context) finding {
	if x.identity.Renews {
		return ok("there is a refresh token: it renews by itself")
	}
	const offline = "offline_access"
	d, client := x.diagnosis, x.session.Profile.IDP.ClientID
	ends := "no refresh token came: the login ends at " + prompt.Clock(x.identity.Until, x.env.Now())
	again := "Then run: daypass login --force" + x.session.Names().Flag
	switch {
	case x.diagnosisErr != nil:
		return ok(ends, "The reason can be checked once the provider answers.")
	case slices.Contains(x.session.RequestScopes(d.Metadata), offline):
		return ok(ends, "Ask the admin of "+x.host()+" to enable refresh tokens for client "+client+".", again)
	case slices.Contains(d.Scopes, offline):
		return ok(ends, "The scopes in "+x.section()+" lack offline_access: add it.", again)
	}
	return ok(ends, x.host()+" offers no scope offline_access.",
		"The provider decides whether client "+client+" gets refresh tokens.")
}

// AWS.

func (x *examination) checkSTS(ctx context.Context) finding {
	address, err := x.session.STSURL(ctx)
	if err == nil {
		err = x.session.Reach(ctx, address)
	}
	if err != nil {
		return brokenBy(err)
	}
	return ok(address + " answers")
}

// checkRole assumes the role for real.
func (x *examination) checkRole(ctx context.Context) finding {
	session, err := x.session.TryRole(ctx)
	if err != nil {
		return brokenBy(err)
	}
	return ok("assumed as " + session)
}

func (x *examination) checkConsole(ctx context.Context) finding {
	address := x.session.Profile.SigninEndpoint
	if address == "" {
		endpoint, err := consolePlace(x.session.Profile).Endpoint()
		if err != nil {
			f := brokenBy(x.session.Fill(err))
			f.Advice = "Credentials work all the same; daypass console does not."
			return f
		}
		address = endpoint
	}
	if err := x.session.Reach(ctx, address); err != nil {
		return brokenBy(err)
	}
	return ok(address + " answers")
}
