package azure

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// authority is Entra ID's host, of which everybody's tenant is a path.
const authority = "https://login.microsoftonline.com/"

// Token is a token of Entra ID.
type Token struct {
	Value   secret.String
	Expires time.Time
}

// FederatedToken trades an assertion for an access token of an application: a token
// of an issuer that a federated credential of the application names. Every error is a
// [*failure.Error].
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
func FederatedToken(ctx context.Context, c cloud.Client, tenant, clientID string, a idp.Token, scope string) (Token, error) {
	form := url.Values{
		"client_id": {clientID}, "grant_type": {"client_credentials"}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {a.Raw.Reveal()},
	}
	failed := 0
	q := cloud.Question{
		Who: "Entra ID", What: "a token", Advice: "Check the network. Behind a proxy, set HTTPS_PROXY; a company CA must be among the system's.",
		URL: authority + tenant + "/oauth2/v2.0/token", Body: form.Encode(), Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Sent: []secret.String{a.Raw}, Read: readEntraError, Refusals: entraRefusals(),
		// A federated credential that Entra ID does not know yet is waited for: some minutes
		// pass before a new one works.
		Pause: func(r *cloud.Refused, _ int) time.Duration {
			if r != nil && r.Code == unknownYet {
				return 5 * time.Second
			}
			failed++
			return cloud.Pause(r, failed)
		},
		Fill: []string{
			"{client}", clientID, "{tenant}", tenant, "{scope}", scope, "{waited}", c.Patience.String(),
			"{issuer}", secret.Foreign(a.Issuer, a.Raw), "{subject}", secret.Foreign(a.Subject, a.Raw), "{audience}", secret.Foreign(strings.Join(a.Audience, ","), a.Raw),
		},
	}
	return cloud.Ask(ctx, c, q, reader(c.Now))
}

// reader reads the token of an answer. Entra ID says how long it is good; the metadata
// services give it again, and say when it ends.
func reader(clock func() time.Time) func(body []byte) (Token, error) {
	return func(body []byte) (Token, error) {
		seconds := func(name string) float64 { // a number, which is text at some services
			value, _ := reference.Value(string(body), name)
			number, _ := strconv.ParseFloat(value.Reveal(), 64)
			return number
		}
		now, ends := float64(clock().Unix()), seconds("expires_on")
		if life := seconds("expires_in"); ends == 0 && life >= 1 {
			ends = now + life
		}
		value, _ := reference.Value(string(body), "access_token")
		if !(0 < ends && ends < now+1e7) || !usable(value.Reveal()) { // one that has ended is for whoever gets it to judge
			return Token{}, errors.New("it holds no token that can be used")
		}
		return Token{value, time.Unix(int64(ends), 0)}, nil
	}
}

// usable reports whether text can be a token in a header. Real ones have a few
// thousand bytes.
func usable(text string) bool {
	return text != "" && len(text) <= 64<<10 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// readEntraError takes the number of an error. 90033 and 90055 are those that are to
// be tried again.
//
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
func readEntraError(r *cloud.Refused) {
	r.Message, _, _ = strings.Cut(r.Text("error_description"), "Trace ID:")
	if number := r.Text("/error_codes/0"); number != "" {
		r.Code = "AADSTS" + number
		r.Message = strings.TrimPrefix(r.Message, r.Code+":")
	}
	r.Passing = r.Passing || r.Code == "AADSTS90033" || r.Code == "AADSTS90055" || r.Text("error") == "temporarily_unavailable"
}

// unknownYet is the code for a token that no federated credential matches.
const unknownYet = "AADSTS70021"

func entraRefusals() []failure.Refusal {
	const (
		federated = "Federated credential of application {client}: issuer {issuer}, subject {subject}, audience {audience}."
		exactly   = "All three are compared byte for byte, also upper and lower case. ({said})"
	)
	return []failure.Refusal{
		{Codes: unknownYet, Lines: []string{"Entra ID knows no federated credential for this token yet ({code}, waited {waited}).", federated,
			"A new one takes some minutes to work. Repeat your command then."}},
		{Codes: "AADSTS700211", Lines: []string{"Entra ID does not trust the issuer of this token for application {client} ({code}).", federated, exactly}},
		{Codes: "AADSTS700212", Lines: []string{"Entra ID wants another audience in this token for application {client} ({code}).", federated, exactly}},
		{Codes: "AADSTS700213 AADSTS7002138", Lines: []string{"Entra ID does not trust the subject of this token for application {client} ({code}).", federated, exactly}},
		{Codes: "AADSTS700016", Lines: []string{"there is no application {client} in Entra tenant {tenant} ({code}).",
			"Correct daypass_azure_client_id or daypass_azure_tenant in profile {profile}.", "({said})"}},
		{Codes: "AADSTS90002 AADSTS900023", Lines: []string{"Entra ID has no tenant {tenant} ({code}).",
			"Correct daypass_azure_tenant in profile {profile}: the tenant's id, or a domain of it.", "({said})"}},
		{Codes: "AADSTS700024", Lines: []string{"Entra ID says that this token is not valid now, although it is new ({code}).",
			"The clock of this machine is probably wrong: set it, or turn on network time (NTP).", "({said})"}},
		{Lines: []string{"Entra ID refuses a token for {scope} to application {client} ({code}).",
			"{said}.", "Send this to the admin of Entra tenant {tenant}."}},
	}
}
