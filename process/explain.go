package process

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/failure"
)

// The words for what went wrong on the way to a login: the cause in the reader's
// terms, then the command that mends it. What AWS refuses is in explainsts.go.

// name is what people call the profile.
func (p *Provider) name() string {
	if p.Profile.Name == "" {
		return "(from flags)"
	}
	return p.Profile.Name
}

// profileFlag ends a command line that is to be repeated for this profile.
func (p *Provider) profileFlag() string {
	switch {
	case p.Profile.Name != "":
		return " --profile " + p.Profile.Name
	case p.Profile.IDP.Name != "":
		return " --idp " + p.Profile.IDP.Name
	}
	return " with the same flags"
}

func (p *Provider) loginCommand() string { return "daypass login" + p.profileFlag() }

func (p *Provider) section() string {
	if p.Profile.IDP.Name == "" {
		return "the flags"
	}
	return "[daypass-idp " + p.Profile.IDP.Name + "]"
}

// host is the provider as people know it.
func (p *Provider) host() string {
	if u, err := url.Parse(p.Profile.IDP.Issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return p.Profile.IDP.Issuer
}

// supported adds the company's own line to a refusal. Three lines are all that a
// reader is shown, so it may share the last.
func (p *Provider) supported(f *failure.Error) *failure.Error {
	switch support := p.Profile.IDP.Support; {
	case support == "" || len(f.Lines) == 0:
	case len(f.Lines) < 3:
		f.Lines = append(f.Lines, support)
	default:
		f.Lines[2] += " " + support
	}
	return f
}

// clockTime is a time of today for people, or a date with it.
func (p *Provider) clockTime(t time.Time) string {
	t = t.Local()
	if d := t.Sub(p.Now()); d > 20*time.Hour || d < -20*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// whole is a duration without fractions of a second.
func whole(d time.Duration) string {
	if d >= 2*time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	if d >= 2*time.Minute && d%time.Minute == 0 {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
}

// reason is the innermost cause of err in few words: without the address of a
// request, whose query is not for every eye.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return reason(u.Err)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Sprintf("%s %q: %v", path.Op, path.Path, path.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}

func interruptedFailure(err error) *failure.Error {
	return failure.New(failure.ExitInterrupt, err, "interrupted.")
}

// noTerminal is the answer where nobody can be asked.
func (p *Provider) noTerminal(why string) *failure.Error {
	if why == "" {
		why = "here is no terminal to ask on"
	}
	return failure.New(failure.ExitLogin, nil,
		"profile "+p.name()+" needs a login, and "+why+".",
		"Looked in: "+p.Store.Name()+".",
		"Run in a terminal, as the same user: "+p.loginCommand())
}

// noLogin is the answer while old credentials still serve and there is no login
// to renew them with.
func (p *Provider) noLogin() *failure.Error {
	return failure.New(failure.ExitLogin, nil, "profile "+p.name()+" needs a login.", "Run: "+p.loginCommand())
}

// codeRanOut is the answer when a code expires that nobody approved.
func (p *Provider) codeRanOut(a deviceflow.Authorization) *failure.Error {
	return failure.New(failure.ExitLogin, nil, "nobody answered the login of "+p.clockTime(a.Issued)+": its code "+a.UserCode+" ran out.", "Run: "+p.loginCommand())
}

// doesNotAskAgain is the answer after codes that nobody approved.
func (p *Provider) doesNotAskAgain(why string) *failure.Error {
	return failure.New(failure.ExitLogin, nil, why+", so profile "+p.name()+" does not ask again.", "Run: "+p.loginCommand())
}

// gaveUp is the answer when the time of this process is over, and not the code's.
func (p *Provider) gaveUp(a deviceflow.Authorization, waited time.Duration) *failure.Error {
	address := a.VerificationURIComplete
	if address == "" {
		address = a.VerificationURI + "  and enter  " + a.UserCode
	}
	return failure.New(failure.ExitLogin, nil,
		"not approved within "+whole(waited)+". Code "+a.UserCode+" stays good until "+p.clockTime(a.Expires)+":",
		"  "+address,
		"Approve it, then repeat your command. Or: "+p.loginCommand())
}

// outOfTime is the answer where too little time is left to send a token and store
// what comes back.
func (p *Provider) outOfTime(ctx context.Context) *failure.Error {
	if interrupted(ctx) {
		return interruptedFailure(ctx.Err())
	}
	return failure.New(failure.ExitNetwork, nil,
		"no time was left to renew profile "+p.name()+": another daypass was busy with it, or the network is slow.",
		"Your login is kept. Repeat your command.")
}

// loginEnded is the answer when the provider wants to see a person.
func (p *Provider) loginEnded(err error) *failure.Error {
	code := "a person must log in"
	var refusal *deviceflow.ProviderError
	if errors.As(err, &refusal) {
		if f := p.explainEntra(refusal, err); f != nil {
			f.Exit = failure.ExitLogin
			return p.supported(f)
		}
		if refusal.Code != "" {
			code = refusal.Code
		}
	}
	return p.supported(failure.New(failure.ExitLogin, err,
		"your login at "+p.host()+" has ended ("+code+").",
		"Usual causes: password changed, session ended by an admin, or idle too long.",
		"Run: "+p.loginCommand()))
}

// noIDToken is the answer to a token answer without the token that AWS takes.
func (p *Provider) noIDToken() *failure.Error {
	return failure.New(failure.ExitLogin, nil,
		p.host()+" sent no ID token, which AWS needs.",
		"The scopes of "+p.section()+" must hold openid, and the client must be an OpenID Connect one.",
		"Then run: "+p.loginCommand())
}

// keyringFailure explains an error of the storage.
func (p *Provider) keyringFailure(ctx context.Context, err error) *failure.Error {
	var f *failure.Error
	if errors.As(err, &f) {
		return f
	}
	if interrupted(ctx) {
		return interruptedFailure(err)
	}
	var unreachable *cache.UnreachableError
	if errors.As(err, &unreachable) && unreachable.Locked {
		first := "the keyring is locked, and nothing here can ask you to unlock it."
		if errors.Is(err, cache.ErrDismissed) || errors.Is(err, cache.ErrUnanswered) {
			first = "the keyring is locked: " + reason(unreachable.Err) + "."
		}
		return failure.New(failure.ExitKeyring, err, append([]string{first}, p.unlockAdvice()...)...)
	}
	first := "the keyring is out of reach: " + reason(err) + "."
	switch {
	case unreachable != nil && unreachable.Full:
		first = unreachable.Where + " takes nothing more: " + reason(unreachable.Err) + "."
	case unreachable != nil:
		first = unreachable.Where + " is out of reach: " + reason(unreachable.Err) + "."
	}
	return failure.New(failure.ExitKeyring, err, append([]string{first}, p.keyringAdvice(err)...)...)
}

func (p *Provider) unlockAdvice() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"A login in it is not lost. Run: security unlock-keychain", "Then repeat your command."}
	case "windows":
		return []string{"A login in it is not lost. Sign in to Windows at the desktop, then repeat your command."}
	}
	return []string{
		"A login in it is not lost. Unlock it on the desktop, or set",
		"storage = kernel in " + p.section() + " and log in again.",
	}
}

func (p *Provider) keyringAdvice(err error) []string {
	file := "set storage = file in " + p.section() + " (files that only you can read)"
	var unreachable *cache.UnreachableError
	switch {
	case errors.As(err, &unreachable) && unreachable.Full:
		return []string{"Is the disk of your home folder full? Make room on it, then repeat your command."}
	case runtime.GOOS != "linux":
		return []string{"Check what is wrong: daypass doctor" + p.profileFlag()}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSYS):
		return []string{"Allow keyctl in the container, or " + file + ".", "Then run: " + p.loginCommand()}
	case errors.Is(err, syscall.EDQUOT):
		return []string{"Log out of logins that you do not need, raise kernel.keys.maxbytes, or", file + "."}
	case p.Profile.IDP.Storage == "keyring":
		return []string{"Run daypass in a desktop session, or leave storage out of " + p.section() + ":", "the kernel keyring then serves. Then run: " + p.loginCommand()}
	}
	return []string{"Mend it, or " + file + ".", "Then run: " + p.loginCommand()}
}

// isLost reports that the answer to an exchange is not known.
func isLost(err error) bool {
	var lost *deviceflow.LostError
	return errors.As(err, &lost)
}

// isUnreachable reports that nothing was sent to the provider, or that its keys
// could not be fetched.
func isUnreachable(err error) bool {
	var unreachable *deviceflow.UnreachableError
	return errors.As(err, &unreachable)
}

// invalidGrant reports the one answer that ends a refresh token (RFC 6749 5.2).
func invalidGrant(err error) bool {
	var refusal *deviceflow.ProviderError
	// 429 limits rates, and says nothing about the token, whatever code it comes with.
	return errors.As(err, &refusal) && refusal.Code == "invalid_grant" && refusal.Status != http.StatusTooManyRequests
}

// codeUnknown reports that the provider knows no such code (any more): it was used,
// or withdrawn. A code that ran out has an error of its own.
func codeUnknown(err error) bool {
	var refusal *deviceflow.ProviderError
	return errors.As(err, &refusal) && (refusal.Code == "invalid_grant" || refusal.Code == "bad_verification_code")
}

// wantsPerson reports that the provider keeps the login but wants to see the
// person again (OpenID Connect Core 3.1.2.6; Entra sends these on renewal).
func wantsPerson(err error) bool {
	var refusal *deviceflow.ProviderError
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal.Code {
	case "interaction_required", "login_required", "consent_required":
		return true
	}
	return false
}

// loginKept comforts who fears for the login, where there was one.
const loginKept = "A login that stood is kept. Try again later."

// explainProvider explains an error of deviceflow.
func (p *Provider) explainProvider(err error) *failure.Error {
	var (
		f           *failure.Error
		unreachable *deviceflow.UnreachableError
		lost        *deviceflow.LostError
		refusal     *deviceflow.ProviderError
		token       *deviceflow.TokenError
		discovery   *deviceflow.DiscoveryError
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &unreachable):
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			return failure.New(failure.ExitNetwork, err, "the certificate of "+p.host()+" is not trusted here ("+reason(unreachable.Err)+").",
				"If a company proxy or CA signs for it, set ca_bundle in "+p.section()+".")
		}
		return failure.New(failure.ExitNetwork, err, "cannot reach "+p.host()+": "+reason(unreachable.Err)+".", loginKept)
	case errors.As(err, &lost):
		return failure.New(failure.ExitNetwork, err, "cannot renew: "+p.host()+" does not answer as it should ("+reason(lost.Err)+").", loginKept)
	case errors.As(err, &token):
		return p.supported(failure.New(failure.ExitRefused, err, "the ID token from "+p.host()+" cannot be used: "+token.Error()+".", p.tokenAdvice(token)))
	case errors.As(err, &discovery):
		next := "Check issuer in " + p.section() + "."
		if discovery.Discovered == "" && discovery.Err == nil {
			next = "" // the reason says what to do
		}
		return failure.New(failure.ExitUsage, err, discovery.Error()+".", next)
	case errors.As(err, &refusal):
		return p.supported(p.explainRefusal(refusal, err))
	case errors.Is(err, context.DeadlineExceeded):
		return failure.New(failure.ExitNetwork, err, p.host()+" did not answer in time.", loginKept)
	}
	return failure.New(failure.ExitUnexpected, err, "the login at "+p.host()+" went wrong: "+reason(err)+".", "Run: "+p.loginCommand())
}

func (p *Provider) tokenAdvice(e *deviceflow.TokenError) string {
	if e.Skew >= 5*time.Minute || e.Skew <= -5*time.Minute {
		return "Set this machine's clock, then repeat your command."
	}
	return "Check issuer and client_id in " + p.section() + " with whoever runs " + p.host() + "."
}

// explainRefusal explains an error that the provider has spelled out, in the
// words of RFC 6749, RFC 8628 and the providers' own.
func (p *Provider) explainRefusal(e *deviceflow.ProviderError, err error) *failure.Error {
	said := e.Code
	if e.Description != "" {
		said = e.Description
		if e.Code != "" && !strings.Contains(e.Description, e.Code) {
			said = e.Code + ": " + e.Description
		}
	}
	client := "client " + p.Profile.IDP.ClientID
	if f := p.explainEntra(e, err); f != nil {
		return f
	}
	switch {
	case strings.Contains(e.Description, "client_secret is missing"):
		return failure.New(failure.ExitRefused, err, p.host()+" wants a client secret from "+client+".",
			"Set client_secret in "+p.section()+" (at Google: of a client of type TVs and Limited Input devices).")
	case e.Code == "invalid_target", strings.HasPrefix(e.Description, "Service not found"):
		return failure.New(failure.ExitRefused, err, p.host()+" does not know the audience "+p.Profile.IDP.Audience+" ("+said+").",
			"Leave audience out of "+p.section()+": AWS does not need it.")
	case e.Code == "bad_verification_code":
		return failure.New(failure.ExitRefused, err, p.host()+" does not know this code any more ("+said+").", "Run: "+p.loginCommand())
	case errors.Is(err, deviceflow.ErrDenied):
		return failure.New(failure.ExitRefused, err, "the login at "+p.host()+" was refused ("+said+").",
			"If that was not you, tell your security team. To try again: "+p.loginCommand())
	}
	switch e.Code {
	case "invalid_client", "unauthorized_client":
		return failure.New(failure.ExitRefused, err, p.host()+" does not accept "+client+" ("+said+").",
			"Its application must be a public (native) one with the device code grant switched on;",
			"check client_id in "+p.section()+".")
	case "unsupported_grant_type":
		return failure.New(failure.ExitRefused, err, p.host()+" does not let "+client+" use device codes ("+said+").",
			"Ask its admin to switch on the device code grant (and refresh tokens) for the application.")
	case "invalid_scope":
		return failure.New(failure.ExitRefused, err, p.host()+" refuses the scopes of "+p.section()+" ("+said+").",
			"Ask its admin which scopes the application may use, and set scopes there.")
	case "slow_down", "temporarily_unavailable":
		return failure.New(failure.ExitNetwork, err, p.host()+" asks to wait "+orAWhile(e.RetryAfter)+" ("+said+").", loginKept)
	}
	switch {
	case e.Status == 429:
		return failure.New(failure.ExitNetwork, err, p.host()+" asks to wait "+orAWhile(e.RetryAfter)+": too many logins.", loginKept)
	case e.Status >= 500:
		return failure.New(failure.ExitNetwork, err, "cannot log in or renew: "+p.host()+" answers with status "+fmt.Sprint(e.Status)+".", loginKept)
	case e.Unreadable: // perhaps not the provider's words at all
		what := e.Description
		if what == "" {
			what = "status " + fmt.Sprint(e.Status)
		}
		return failure.New(failure.ExitNetwork, err, p.host()+" does not answer as it should ("+what+"; "+e.Op+").",
			"Is there a proxy or a login page in between? Else check issuer in "+p.section()+".", loginKept)
	case said == "":
		return failure.New(failure.ExitRefused, err, p.host()+" refused with status "+fmt.Sprint(e.Status)+" ("+e.Op+").", "Check the settings of "+p.section()+".")
	}
	return failure.New(failure.ExitRefused, err, p.host()+" refused: "+said+" ("+e.Op+").", "Check the settings of "+p.section()+", or ask whoever runs "+p.host()+".")
}

func orAWhile(d time.Duration) string {
	if d <= 0 {
		return "a few minutes"
	}
	return whole(d)
}

// explainEntra explains the refusals for which Entra has no OAuth error of its
// own; nil for any other.
//
// https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes
func (p *Provider) explainEntra(e *deviceflow.ProviderError, err error) *failure.Error {
	number, found := strings.CutPrefix(e.Description, "AADSTS")
	if !found {
		return nil
	}
	number, _, _ = strings.Cut(number, ":")
	var (
		application = "application " + p.Profile.IDP.ClientID
		event       = "AADSTS" + number
	)
	if e.CorrelationID != "" {
		event += ", id " + e.CorrelationID
	}
	switch number {
	case "53003", "530036":
		return failure.New(failure.ExitRefused, err, "your company's sign-in policy blocks device codes ("+event+").",
			"Ask the Entra admin to allow device code flow for "+application+".")
	case "53000", "53001", "53002":
		return failure.New(failure.ExitRefused, err, "your company's sign-in policy wants a managed device ("+event+").",
			"A device code cannot prove one. Ask the Entra admin about "+application+".")
	case "50105":
		return failure.New(failure.ExitRefused, err, "you are not assigned to "+application+" in Entra ("+event+").",
			"Ask its admin to assign you or your group.")
	case "700016":
		return failure.New(failure.ExitRefused, err, "there is no "+application+" in this Entra tenant ("+event+").",
			"Check client_id, and the tenant in issuer, of "+p.section()+".")
	case "7000218":
		return failure.New(failure.ExitRefused, err, "Entra wants a secret from "+application+" ("+event+").",
			"Ask the Entra admin to set \"Allow public client flows\" to Yes for it.")
	}
	return nil
}
