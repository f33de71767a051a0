// Package azure asks Azure for tokens and secrets, over plain HTTP requests:
// Microsoft's libraries weigh more than the rest of daypass.
package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// Token is a token of Entra ID.
type Token struct {
	Value   secret.String
	Expires time.Time
}

// ManagedIdentityToken returns a token for the resource, a URI such as
// "https://vault.azure.net", in the name of a managed identity of this machine: by
// the instance metadata service of a VM, or by App Service's endpoint if
// IDENTITY_ENDPOINT and IDENTITY_HEADER are set. identity says which: "system",
// "client_id:X", "object_id:X" or "resource_id:X". Every error is a
// [*failure.Error].
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func ManagedIdentityToken(ctx context.Context, c cloud.Client, identity, resource string) (token Token, err error) {
	m := cloud.Metadata{
		Service: "Azure's metadata service", Header: "Metadata", Value: secret.New("true"),
		Advice: "It is there on virtual machines of Azure; the identity must be assigned to this one.",
	}
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {resource}}
	selectors := map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}
	base, err := c.Base("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254")
	base += "/metadata/identity/oauth2/token"
	if endpoint, header := c.Getenv("IDENTITY_ENDPOINT"), c.Getenv("IDENTITY_HEADER"); endpoint != "" && header != "" {
		m.Service, m.Advice = "App Service's identity endpoint", "The identity must be assigned to this app."
		m.Header, m.Value = "X-IDENTITY-HEADER", secret.New(header)
		query.Set("api-version", "2019-08-01")
		selectors["object_id"], selectors["resource_id"] = "principal_id", "mi_res_id"
		base, err = endpoint, checkEndpoint(endpoint)
	}
	if err != nil {
		return Token{}, err
	}
	if kind, value, given := strings.Cut(identity, ":"); given {
		query.Set(selectors[kind], value)
	}
	m.URL = base + "?" + query.Encode()
	err = c.Get(ctx, m, func(body []byte) (err error) {
		token, err = readToken(body)
		return err
	})
	return token, err
}

// checkEndpoint lets the secret of IDENTITY_HEADER go only where App Service has its
// endpoints: over https, or in plain text to an address that no network routes
// beyond this host.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err == nil && u.RawQuery == "" && u.Fragment == "" && u.User == nil && (address.Check(endpoint, true) == nil || u.Scheme == "http" && address.IsPrivate(u.Hostname())) {
		return nil
	}
	return failure.New(failure.ExitUsage, nil, fmt.Sprintf("IDENTITY_ENDPOINT %q is not an address of App Service.", address.WithoutQuery(endpoint)),
		"App Service sets it by itself. Elsewhere, unset IDENTITY_ENDPOINT and IDENTITY_HEADER.")
}

func readToken(body []byte) (Token, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresOn   any    `json:"expires_on"`
	}
	_ = json.Unmarshal(body, &answer)
	at := asSeconds(answer.ExpiresOn)
	if !(0 < at && at < 1e11) || !usable(answer.AccessToken) {
		return Token{}, errors.New("it holds no token that can be used")
	}
	return Token{secret.New(answer.AccessToken), time.Unix(int64(at), 0)}, nil
}

// asSeconds reads a number, which is text at some services; 0 if it is none.
func asSeconds(value any) float64 {
	seconds, _ := strconv.ParseFloat(fmt.Sprint(value), 64)
	return seconds
}

// usable reports whether text can be a token in a header. Real ones have a few
// thousand bytes.
func usable(text string) bool {
	return text != "" && len(text) <= 64<<10 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
