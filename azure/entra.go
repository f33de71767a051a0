package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// authority is Entra ID's host, of which everybody's tenant is a path.
const authority = "https://login.microsoftonline.com/"

// VaultScope is that of tokens for Key Vault.
const VaultScope = "https://vault.azure.net/.default"

// tokenMax bounds an access token, in bytes: real ones have a few thousand.
const tokenMax = 64 << 10

// Client asks Entra ID and Key Vault.
type Client struct {
	// Ask sends a request and returns the answer with its body. It follows no redirect,
	// and bounds time and answers.
	Ask func(*http.Request) (*http.Response, []byte, error)
	// Patience is how long a federated credential is waited for that Entra ID does not
	// know yet: some minutes pass before a new one works.
	Patience time.Duration
	Now      func() time.Time
	Sleep    func(ctx context.Context, d time.Duration) error // waits for d or until ctx ends
}

// Application is one of Entra ID's, in one tenant.
type Application struct{ Tenant, ClientID string }

// Assertion is a token by which an application proves who it is: of an issuer that a
// federated credential of the application names.
type Assertion struct {
	Token                     secret.String
	Issuer, Subject, Audience string // its claims, for errors
	Expires                   time.Time
}

// oauthError is an error answer of Entra ID.
//
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
type oauthError struct {
	status int
	code   int    // AADSTS..., 0 if there is none
	name   string // of OAuth, such as invalid_client
	said   string
}

func (e *oauthError) Error() string { return e.said }

// passing reports a fault that says nothing about the request: 90033 and 90055 are
// those of Entra ID's that are to be tried again.
func (e *oauthError) passing() bool {
	return e.status >= 500 || e.status == http.StatusTooManyRequests || e.code == 90033 || e.code == 90055 || e.name == "temporarily_unavailable"
}

// Token trades an assertion for an access token of the application. Every error is a
// [*failure.Error].
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
func (c Client) Token(ctx context.Context, app Application, a Assertion, scope string) (Token, error) {
	started := c.Now()
	form := url.Values{
		"client_id": {app.ClientID}, "grant_type": {"client_credentials"}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {a.Token.Reveal()},
	}.Encode()
	for failed := 0; ; {
		token, err := c.askToken(ctx, app.Tenant, form, a.Token)
		if err == nil {
			return token, nil
		}
		var e *oauthError
		var pause time.Duration
		var again bool
		if errors.As(err, &e) && e.code == 70021 {
			pause = 5 * time.Second
			again = c.Now().Add(pause).Sub(started) <= c.Patience
		} else {
			failed++
			pause, again = time.Duration(failed)*time.Second, failed < 3 && (e == nil || e.passing())
		}
		if ctx.Err() != nil || !again || c.Sleep(ctx, pause) != nil {
			return Token{}, c.explainEntra(ctx, err, app, a, scope)
		}
	}
}

func (c Client) askToken(ctx context.Context, tenant, form string, sent secret.String) (Token, error) {
	asked := c.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, authority+tenant+"/oauth2/v2.0/token", strings.NewReader(form))
	if err != nil {
		return Token{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, body, err := c.Ask(request)
	if err != nil {
		return Token{}, err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   any    `json:"expires_in"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
	}
	_ = json.Unmarshal(body, &answer)
	if response.StatusCode != http.StatusOK {
		e := &oauthError{status: response.StatusCode, name: secret.Foreign(answer.Error, sent)}
		said, _, _ := strings.Cut(answer.Description, "Trace ID:")
		if e.said = secret.Foreign(said, sent); e.said == "" {
			e.said = strings.TrimSpace(fmt.Sprintf("%s status %d", e.name, e.status))
		}
		if len(answer.Codes) > 0 {
			e.code = answer.Codes[0]
		}
		return Token{}, e
	}
	seconds, err := strconv.ParseFloat(fmt.Sprint(answer.ExpiresIn), 64)
	if err != nil || !(1 <= seconds && seconds < 1e7) || !usable(answer.AccessToken) {
		return Token{}, errors.New("its answer holds no token that can be used")
	}
	return Token{secret.New(answer.AccessToken), asked.Add(time.Duration(seconds) * time.Second).Truncate(time.Second)}, nil
}

// usable reports whether text can be a token in a header.
func usable(text string) bool {
	return text != "" && len(text) <= tokenMax && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// entraRefusals are tried in order; the first that matches counts.
func entraRefusals() []failure.Refusal {
	const (
		federated = "Federated credential of application {client}: issuer {issuer}, subject {subject}, audience {audience}."
		exactly   = "All three are compared byte for byte, also upper and lower case. (AADSTS{code}: {said})"
	)
	return []failure.Refusal{
		{Codes: "70021", Lines: []string{"Entra ID knows no federated credential for this token yet (AADSTS70021, waited {waited}).", federated,
			"A new one takes some minutes to work. Try again then: daypass azure-token{flag}"}},
		{Codes: "700211", Lines: []string{"Entra ID does not trust the issuer of this token for application {client} (AADSTS700211).", federated, exactly}},
		{Codes: "700212", Lines: []string{"Entra ID wants another audience in this token for application {client} (AADSTS700212).", federated, exactly}},
		{Codes: "700213 7002138", Lines: []string{"Entra ID does not trust the subject of this token for application {client} (AADSTS{code}).", federated, exactly}},
		{Codes: "700016", Lines: []string{"there is no application {client} in Entra tenant {tenant} (AADSTS700016).",
			"Correct daypass_azure_client_id or daypass_azure_tenant in profile {profile}.", "({said})"}},
		{Codes: "90002 900023", Lines: []string{"Entra ID has no tenant {tenant} (AADSTS{code}).",
			"Correct daypass_azure_tenant in profile {profile}: the tenant's id, or a domain of it.", "({said})"}},
		{Codes: "700024", Lines: []string{"Entra ID says that this token is not valid now, although it is new (AADSTS700024).",
			"The clock of this machine is probably wrong: set it, or turn on network time (NTP).", "({said})"}},
		{Lines: []string{"Entra ID refuses a token for {scope} to application {client} (AADSTS{code}).",
			"{said}.", "Send this to the admin of Entra tenant {tenant}."}},
	}
}

// explainEntra says why there is no access token.
func (c Client) explainEntra(ctx context.Context, err error, app Application, a Assertion, scope string) *failure.Error {
	var e *oauthError
	if f := notAsked(ctx, err, "login.microsoftonline.com", &e); f != nil {
		return f
	}
	if e.passing() || e.code == 0 {
		return failure.New(failure.ExitNetwork, err, "Entra ID cannot give a token now ("+e.said+").", "Try again later. Is there a proxy or a login page in between?")
	}
	_, said, found := strings.Cut(e.said, ": ")
	if !found {
		said = e.said
	}
	return failure.Refused(err, entraRefusals(), []string{strconv.Itoa(e.code)},
		"{client}", app.ClientID, "{tenant}", app.Tenant, "{scope}", scope, "{code}", strconv.Itoa(e.code), "{said}", strings.TrimRight(said, ". "),
		"{issuer}", secret.Foreign(a.Issuer, a.Token), "{subject}", secret.Foreign(a.Subject, a.Token), "{audience}", secret.Foreign(a.Audience, a.Token),
		"{waited}", c.Patience.String())
}

// notAsked explains an error that is not an answer of Azure's; else it is found as
// answer, and the failure is nil.
func notAsked(ctx context.Context, err error, host string, answer any) *failure.Error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return failure.Interrupted(err)
	case errors.As(err, answer):
		return nil
	}
	return failure.New(failure.ExitNetwork, err, "cannot ask "+host+": "+err.Error()+".", "Check the network. Behind a proxy, set HTTPS_PROXY.")
}
