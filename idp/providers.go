package idp

import (
	"net/url"
	"slices"
	"strings"

	"github.com/daypass/daypass/failure"
)

// Provider is what is peculiar to one identity provider. This is the place for it:
// code that needs to know asks [ProviderOf].
type Provider struct {
	Name string // as people call it

	// DevicePath follows the issuer if discovery leaves the device endpoint out.
	DevicePath string
	// NoOfflineAccess is set for a provider that gives a refresh token without the
	// scope offline_access, and with it one that outlives the logout.
	NoOfflineAccess bool
	BuiltIn         bool // AWS IAM knows the provider without being told
	// Offline is what a browser login must also send to get a refresh token, or "":
	// prompt=consent, as in OpenID Connect Core section 11.
	Offline string
	// RedirectURIs is the redirect_uri to write, "" for the default. Providers that
	// compare the port as well need fixed ones, and a second one in case the first is
	// taken.
	RedirectURIs string
	SwitchOn     string // what has to be enabled at the provider
	// Admits says who can get a token for the client, if only the provider itself
	// holds people off. It may hold {client}, the client id, and {host}.
	Admits string

	hosts []string // exact, or with a dot at the end or the beginning: how they begin or end; nil: any
	path  string   // part of the issuer's path
}

// providers returns the table of providers, and as the last one the row for all
// others.
//
// The provider for people that IAM knows without being told:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc.html
func providers() []Provider {
	const fixedPorts = "http://127.0.0.1:8400/callback http://127.0.0.1:18400/callback"
	const everyUser = "every user of {host} who can log in to client {client}."
	return []Provider{{
		Name: "Auth0", hosts: []string{".auth0.com"},
		RedirectURIs: fixedPorts,
		SwitchOn:     "in the application (type Native): Advanced Settings > Grant Types > Device Code and Refresh Token",
		Admits:       "every user of {host}. If sign-up or a social login is on there, that is everybody.",
	}, {
		Name: "Okta", hosts: []string{".okta.com", ".oktapreview.com", ".okta-emea.com"},
		RedirectURIs: fixedPorts,
		SwitchOn:     "in the application (type Native) and in the access policy rule of its authorization server: Device Authorization",
		Admits:       everyUser,
	}, {
		Name: "Entra ID", hosts: []string{"login.microsoftonline.", "sts.windows.net"},
		RedirectURIs: "http://localhost/callback", // of localhost, it ignores the port
		SwitchOn:     "in the app registration: Authentication > Allow public client flows",
		Admits:       "every user and guest of the Entra tenant, unless its enterprise application demands an assignment.",
	}, {
		Name: "Google", hosts: []string{"accounts.google.com"}, BuiltIn: true, Offline: "access_type=offline&prompt=consent",
		SwitchOn: "an OAuth client of the type \"TVs and Limited Input devices\"",
		Admits:   "everybody with a Google account whom the consent screen of client {client} admits. User type External is the whole world.",
	}, {
		Name: "Keycloak", path: "/realms/", NoOfflineAccess: true,
		SwitchOn: "in the client: Capability config > OAuth 2.0 Device Authorization Grant",
		Admits:   everyUser,
	}, {
		Name: "GitLab", hosts: []string{"gitlab.com"}, DevicePath: "/oauth/authorize_device",
		SwitchOn: "GitLab 17.9 or newer, and an application that is not confidential",
		Admits:   "every user of gitlab.com, of any company. IAM may refuse a policy for gitlab.com without :sub.",
	}, {
		Name: "Amazon Cognito", hosts: []string{"cognito-idp."}, NoOfflineAccess: true,
		RedirectURIs: strings.ReplaceAll(fixedPorts, "127.0.0.1", "localhost"), // http for localhost alone
		SwitchOn:     "in the app client (no secret): Login pages > Authorization code grant",
		Admits:       "every user of the user pool. If self-registration is on there, that is everybody.",
	}, {
		Name: "another one", Offline: "prompt=consent",
		SwitchOn: "the device grant (device code flow), for the client",
		Admits:   everyUser,
	}}
}

// ProviderOf returns the row of the table for an issuer.
func ProviderOf(issuer string) Provider {
	all := providers()
	u, err := url.Parse(issuer)
	if err != nil {
		return all[len(all)-1]
	}
	host := strings.ToLower(u.Hostname())
	p := all[slices.IndexFunc(all, func(p Provider) bool { return p.owns(host, u.Path) })]
	const personalAccounts = "9188040d-6c67-4c5b-b112-36a304b66dad" // the Entra tenant of all of them
	if p.Name == "Entra ID" && strings.Contains(u.Path, personalAccounts) {
		p.Admits = "everybody with a personal Microsoft account."
	}
	return p
}

func (p Provider) owns(host, path string) bool {
	return strings.Contains(path, p.path) && (p.hosts == nil || slices.ContainsFunc(p.hosts, func(name string) bool {
		return host == name || name[0] == '.' && strings.HasSuffix(host, name) || name[len(name)-1] == '.' && strings.HasPrefix(host, name)
	}))
}

// unknownToEntra is how Entra says that it does not know the client.
const unknownToEntra = "AADSTS700016"

// What to do about a provider or its settings.
const (
	tellProvider = "Tell whoever runs {host}."
	checkIssuer  = "Check issuer in {section}."
)

// refusals returns the table of OAuth error codes (RFC 6749 section 5.2, RFC 8628
// section 3.5, RFC 8707 section 2) and of Entra's numbers, for which Entra has no
// OAuth error of its own; "refresh:invalid_grant" is one in answer to one request, and
// "refresh:" is any. The first row that matches counts. Exit 0 is
// [failure.ExitRefused]; exit code 6 needs nobody to act.
//
// The lines may hold the placeholders of package failure, and {client}, {audience},
// {enable} (what to switch on), {event} (Entra's number and correlation id), {wait},
// {said}, the provider's code and words for brackets, and {words}, the same without.
//
// https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes
func refusals() []failure.Refusal {
	notRenewed := []string{"{host} refused to renew the login: {words}.", "Ask whoever runs {host}, or run: daypass login{flag}"}
	noAudience := []string{"{host} does not know the audience {audience} ({said}).", "Leave audience out of {section}: AWS does not need it."}
	return []failure.Refusal{{
		Codes: "authorization:AADSTS53003 authorization:AADSTS53000 authorization:AADSTS53001 authorization:AADSTS53002",
		Lines: []string{"your company's sign-in policy refuses this login ({event}).", "Ask the Entra admin about application {client}."},
	}, {
		Codes: "AADSTS53003 AADSTS530036",
		Lines: []string{"your company's sign-in policy blocks device codes ({event}).",
			"Set flow = browser in {section}, or ask the Entra admin to allow device code flow for application {client}."},
	}, {
		Codes: "AADSTS53000 AADSTS53001 AADSTS53002",
		Lines: []string{"your company's sign-in policy wants a managed device ({event}).",
			"A device code cannot prove one: set flow = browser in {section}."},
	}, {
		Codes: "AADSTS50105",
		Lines: []string{"you are not assigned to application {client} in Entra ({event}).", "Ask its admin to assign you or your group."},
	}, {
		Codes: "AADSTS65001",
		Lines: []string{"{host} refused the login: {words}.",
			"Ask the Entra admin to grant consent to application {client}. Then: daypass login{flag}"},
	}, {
		Codes: unknownToEntra,
		Lines: []string{"application {client} does not exist in this Entra tenant ({event}).", "Check client_id, and the tenant in issuer, of {section}."},
	}, {
		Codes: "AADSTS7000218",
		Lines: []string{"Entra wants a secret from application {client} ({event}).",
			"Ask the Entra admin to set \"Allow public client flows\" to Yes for it."},
	}, {
		Message: "client_secret is missing", // Google
		Lines: []string{"{host} wants a client secret from client {client}.",
			"Set client_secret in {section} (at Google: of a client of type TVs and Limited Input devices)."},
	}, {
		Message: "service not found", // Auth0
		Lines:   noAudience,
	}, {
		Codes: "invalid_target",
		Lines: noAudience,
	}, {
		Codes: "refresh:invalid_grant refresh:interaction_required refresh:login_required refresh:consent_required",
		Lines: []string{"your login at {host} has ended ({code}).",
			"Usual causes: password changed, session ended by an admin, or idle too long.", "Run: daypass login{flag}"},
	}, {
		Codes: "refresh:unauthorized_client", // this client has logged in
		Lines: notRenewed,
	}, {
		Codes: "invalid_client unauthorized_client",
		Lines: []string{"{host} does not accept client {client} ({said}).",
			"Its application must be a public (native) one; check client_id in {section}.", "What to enable: {enable}."},
	}, {
		Codes: "invalid_scope",
		Lines: []string{"{host} refuses the scopes of {section} ({said}).", "Ask its admin which scopes the application may use, and set scopes there."},
	}, {
		Codes: "slow_down temporarily_unavailable", Exit: failure.ExitNetwork,
		Lines: []string{"{host} asks to wait {wait} ({said}).", loginKept},
	}, {
		Codes: "refresh:",
		Lines: notRenewed,
	}, {
		Codes: "access_denied authorization_declined",
		Lines: []string{"the login at {host} was refused ({said}).",
			"If that was not you, tell your security team. To try again: daypass login{flag}"},
	}, {
		Codes: "unsupported_grant_type",
		Lines: []string{"{host} does not let client {client} use device codes ({said}).", "What to enable: {enable}."},
	}, {
		Codes: "token:",
		Lines: []string{"{host} refused the login: {words}.", "Ask whoever runs {host}. Then: daypass login{flag}"},
	}, {
		Lines: []string{"{host} refused the {op} request: {words}.", "Check the settings of {section}, or ask whoever runs {host}."},
	}}
}
