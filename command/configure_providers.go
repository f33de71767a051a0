package command

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// preset is what is known of one identity provider: the form of its issuer, and
// what has to be switched on there.
type preset struct {
	name     string // as people call it
	question string
	example  string
	usual    string // the answer of most people, if there is one
	fixed    string // the issuer, where everybody has the same
	suffix   string // what the issuer ends in, behind what was asked for
	owns     func(host, path string) bool
	check    func(host, path string) error // of an issuer, nil: any
	// devicePath follows the issuer, where the discovery document leaves the device
	// endpoint out.
	devicePath string
	secret     bool // the provider demands a client secret
	others     bool // it stands for many providers, and nothing more is known of them
	switchOn   string
}

// presets are the providers to choose from. The forms of their issuers are those
// of their discovery documents; the last one is for all others.
func presets() []preset {
	return []preset{{
		name: "Auth0", question: "Auth0 domain", example: "TENANT.REGION.auth0.com", suffix: "/",
		owns:     func(host, _ string) bool { return strings.HasSuffix(host, ".auth0.com") },
		switchOn: "in the application (type Native): Advanced Settings > Grant Types > Device Code and Refresh Token",
	}, {
		name: "Okta", question: "Okta domain", example: "ORG.okta.com, or ORG.okta.com/oauth2/default",
		owns: func(host, _ string) bool {
			return strings.HasSuffix(host, ".okta.com") || strings.HasSuffix(host, ".oktapreview.com") || strings.HasSuffix(host, ".okta-emea.com")
		},
		switchOn: "in the application (type Native) and in the access policy rule of its authorization server: Device Authorization",
	}, {
		name: "Entra ID", question: "Entra tenant id", example: "1b9e0000-0000-0000-0000-000000000000", suffix: "/v2.0",
		owns:     func(host, _ string) bool { return strings.HasPrefix(host, "login.microsoftonline.") },
		check:    checkEntra,
		switchOn: "in the app registration: Authentication > Allow public client flows",
	}, {
		name: "Google", fixed: "https://accounts.google.com", secret: true,
		owns:     func(host, _ string) bool { return host == "accounts.google.com" },
		switchOn: "an OAuth client of the type \"TVs and Limited Input devices\"",
	}, {
		name: "Keycloak", question: "Realm address", example: "https://HOST/realms/REALM",
		owns:     func(_, path string) bool { return strings.Contains(path, "/realms/") },
		check:    checkKeycloak,
		switchOn: "in the client: Capability config > OAuth 2.0 Device Authorization Grant",
	}, {
		name: "GitLab", question: "GitLab address", usual: "https://gitlab.com", devicePath: "/oauth/authorize_device",
		owns:     func(host, _ string) bool { return host == "gitlab.com" },
		switchOn: "GitLab 17.9 or newer, and an application that is not confidential",
	}, {
		name: "another one", others: true, question: "Issuer URL", example: "https://login.example.com",
		owns:     func(string, string) bool { return true },
		switchOn: "the device grant (device code flow), for the client",
	}}
}

// presetOf returns the preset that an issuer is of.
func presetOf(issuer string) preset {
	all := presets()
	if u, err := url.Parse(issuer); err == nil {
		for _, p := range all {
			if p.owns(strings.ToLower(u.Hostname()), u.Path) {
				return p
			}
		}
	}
	return all[len(all)-1]
}

// issuer makes the issuer of an answer: an address, with or without https://, or
// what is asked for alone.
func (p preset) issuer(answer string) (string, error) {
	answer = strings.TrimSuffix(answer, "/.well-known/openid-configuration")
	if p.name == "Entra ID" && !strings.ContainsAny(answer, "/:") {
		answer = "login.microsoftonline.com/" + answer
	}
	if !strings.Contains(answer, "://") {
		answer = "https://" + answer
	}
	if p.suffix != "" {
		answer = strings.TrimSuffix(strings.TrimSuffix(answer, "/"), p.suffix) + p.suffix
	}
	u, err := url.Parse(answer)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no address; want %s", answer, p.example)
	}
	if p.check != nil {
		if err := p.check(u.Host, u.Path); err != nil {
			return "", err
		}
	}
	return answer, nil
}

// checkEntra refuses the addresses that stand for any tenant: AWS needs to know
// whose tokens it trusts.
func checkEntra(_, path string) error {
	switch tenant, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); tenant {
	case "", "common", "organizations", "consumers":
		return errors.New("AWS trusts the tokens of one tenant: give its id (Entra admin center > Overview > Tenant ID)")
	}
	return nil
}

func checkKeycloak(_, path string) error {
	if _, realm, found := strings.Cut(path, "/realms/"); !found || realm == "" || strings.Contains(realm, "/") {
		return errors.New("a realm's address ends in /realms/REALM")
	}
	return nil
}

// sectionName makes a name for [daypass-idp NAME] of an issuer: how people call
// that provider in short.
func sectionName(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return "company"
	}
	if _, realm, found := strings.Cut(u.Path, "/realms/"); found && realm != "" {
		return namely(realm)
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case strings.HasPrefix(host, "login.microsoftonline."):
		return "entra"
	case strings.HasSuffix(host, "google.com"):
		return "google"
	}
	labels := strings.Split(host, ".")
	if strings.Trim(host, "0123456789.:") == "" || len(labels) == 1 {
		return "company"
	}
	for len(labels) > 2 && isUsualHost(labels[0]) {
		labels = labels[1:]
	}
	return namely(labels[0])
}

// isUsualHost tells names of hosts that say nothing about whose they are.
func isUsualHost(label string) bool {
	switch label {
	case "login", "sso", "auth", "id", "idp", "accounts", "account", "www", "identity", "keycloak", "oidc", "signin":
		return true
	}
	return false
}

// namely keeps the characters that a name may have.
func namely(text string) string {
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, text)
	if name = strings.TrimLeft(name, "-"); name == "" {
		return "company"
	}
	return name
}
