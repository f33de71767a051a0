package idp

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
)

// What a provider refuses is told with what to do, by its code and by what was
// asked. Package command has more of the codes.
func TestRefusals(t *testing.T) {
	const tenant = "https://login.microsoftonline.com/1b9e/v2.0"
	for _, test := range []struct {
		op           string
		status       int
		code, words  string
		exit         int
		first, after string
	}{
		{OpDevice, 401, "invalid_client", "", 4, "{host} does not accept client J1oXg0 (invalid_client).", "check client_id in {section}."},
		{OpDevice, 400, "unauthorized_client", "Device flow is off.", 4, "(unauthorized_client: Device flow is off).", "What to enable: in the app registration"},
		{OpDevice, 400, "invalid_request", "client_secret is missing.", 4, "{host} wants a client secret from client J1oXg0.", "Set client_secret in {section}"},
		{OpDevice, 400, "invalid_target", "", 4, "{host} does not know the audience api", "Leave audience out"},
		{OpDevice, 403, "access_denied", "Service not found: x", 4, "does not know the audience api (access_denied: Service not found: x)", "Leave audience out"},
		{OpPoll, 400, "invalid_grant", "Account is not fully set up", 4, "{host} refused the login: Account is not fully set up (invalid_grant).", "daypass login{flag}"},
		{OpDevice, 429, "access_denied", "", 6, "{host} asks to wait a few minutes: too many logins.", "login is kept"},
		{OpDevice, 400, "brand_new", "x" + strings.Repeat("ü", 200), 4, "x" + strings.Repeat("ü", 149) + " (brand_new).", ""},
		{OpDevice, 400, "brand_new", "", 4, "{host} refused the device authorization request: brand_new.", "Check the settings of {section}"},

		{OpRefresh, 400, "invalid_grant", "", 3, "your login at {host} has ended (invalid_grant).", "Usual causes"},
		{OpRefresh, 400, "invalid_request", "invalid_grant: x", 4, "{host} refused to renew the login: invalid_grant: x (invalid_request).", "run: daypass login{flag}"},
		{OpRefresh, 429, "invalid_grant", "", 6, "{host} asks to wait", "login is kept"},

		{OpPoll, 400, "invalid_grant", "AADSTS53003: Access has been blocked.", 4, "your company's sign-in policy blocks device codes (AADSTS53003, id 3f2c).", "allow device code flow for application J1oXg0"},
		{OpPoll, 400, "invalid_grant", "AADSTS530036: x", 4, "blocks device codes (AADSTS530036, id 3f2c).", "application J1oXg0"},
		{OpRefresh, 400, "invalid_grant", "AADSTS53003: Access has been blocked.", 3, "blocks device codes (AADSTS53003", "allow device code flow"},
		{OpPoll, 400, "invalid_grant", "AADSTS53000: x", 4, "wants a managed device (AADSTS53000", "flow = browser"},
		{OpPoll, 400, "invalid_grant", "AADSTS53002: x", 4, "wants a managed device (AADSTS53002", "flow = browser"},
		{OpPoll, 400, "invalid_grant", "AADSTS50105: x", 4, "you are not assigned to application J1oXg0 in Entra", "assign you or your group"},
		{OpPoll, 400, "invalid_grant", "AADSTS65001: The user has not consented.", 4, "{host} refused the login: AADSTS65001: The user has not consented (invalid_grant).", "grant consent"},
		{OpDevice, 400, "unauthorized_client", "AADSTS700016: x", 4, "application J1oXg0 does not exist in this Entra tenant", "Check client_id, and the tenant in issuer"},
		{OpPoll, 401, "invalid_client", "AADSTS7000218: x", 4, "Entra wants a secret from application J1oXg0", `"Allow public client flows"`},
		{OpDevice, 400, "invalid_request", "AADSTS90002: Tenant not found.", 4, "{host} refused the device authorization request: AADSTS90002: Tenant not found (invalid_request).", "Check the settings"},
	} {
		p := newFake(t)
		p.Document["issuer"] = tenant
		c := p.client()
		c.Audience = "api"
		if test.words != "" {
			test.words += `\r\nTrace ID: 1`
		}
		p.Will("/x", status(test.status, fmt.Sprintf(`{"error":%q,"error_description":"%s","correlation_id":"3f2c"}`, test.code, test.words)))
		got, err := c.post(t.Context(), test.op, issuer+"/x", url.Values{})
		must(t, err)
		err = got.Err()
		checkWords(t, err)
		if f := failure.From(err); f.Exit != test.exit || !strings.Contains(f.Lines[0], test.first) || !strings.Contains(f.Error(), test.after) {
			t.Errorf("%s %s %q: exit %d\n%v\nwant exit %d, %q, %q", test.op, test.code, test.words, f.Exit, f, test.exit, test.first, test.after)
		}
	}
}

func TestLoginEnded(t *testing.T) {
	if f := failure.From(AnotherPerson("b", "a")); f.Lines[1] != "Run: daypass login{flag}" || !strings.Contains(f.Lines[0], `claim sub is "b", want "a"`) {
		t.Errorf("another person's token: %v", f)
	}
	if f := LoginEnded(); f.Exit != failure.ExitLogin || !strings.HasPrefix(f.Lines[0], "your login at {host} has ended") || !WantsPerson(f) {
		t.Errorf("%#v", f)
	}
}

func TestProviderOf(t *testing.T) {
	for issuer, want := range map[string][2]string{
		"https://corp.eu.auth0.com/":                                               {"Auth0", "If sign-up"},
		"https://corp.okta.com/oauth2/default":                                     {"Okta", "every user"},
		"https://login.microsoftonline.com/1b9e/v2.0":                              {"Entra ID", "guest of the Entra tenant"},
		"https://login.microsoftonline.us/1b9e/v2.0":                               {"Entra ID", "guest of the Entra tenant"},
		"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/x": {"Entra ID", "personal Microsoft account"},
		"https://sts.windows.net/1b9e/":                                            {"Entra ID", "guest of the Entra tenant"},
		"https://accounts.google.com":                                              {"Google", "whole world"},
		"https://ACCOUNTS.google.com":                                              {"Google", "whole world"},
		"https://sso.example.com/auth/realms/staff":                                {"Keycloak", "every user"},
		"https://gitlab.com":                                                       {"GitLab", "of any company"},
		"https://auth0.com.example/":                                               {"another one", "every user"},
		"https://evil.example/login.microsoftonline.com":                           {"another one", "every user"},
		"\x00": {"another one", "every user"},
		"":     {"another one", "every user"},
	} {
		if got := ProviderOf(issuer); got.Name != want[0] || !strings.Contains(got.Admits, want[1]) {
			t.Errorf("%q is of %s, which admits %s", issuer, got.Name, got.Admits)
		}
	}
}
