// Package azure asks Azure for tokens and secrets, over plain HTTP requests:
// Microsoft's libraries weigh more than the rest of daypass.
package azure

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// ManagedIdentityToken returns a token for the resource, a URI such as
// "https://vault.azure.net", in the name of a managed identity of this machine: by
// the instance metadata service of a VM, or by App Service's endpoint if
// IDENTITY_ENDPOINT and IDENTITY_HEADER are set. identity says which: "system",
// "client_id:X", "object_id:X" or "resource_id:X". Every error is a
// [*failure.Error].
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func ManagedIdentityToken(ctx context.Context, c cloud.Client, identity, resource string) (Token, error) {
	q := cloud.Question{
		Who: "Azure's metadata service", Advice: "It is there on virtual machines of Azure; the identity must be assigned to this one.",
		Header: http.Header{"Metadata": {"true"}},
	}
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {resource}}
	selectors := map[string]string{"client_id": "client_id", "object_id": "object_id", "resource_id": "msi_res_id"}
	base, err := c.Base("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://169.254.169.254")
	base += "/metadata/identity/oauth2/token"
	if endpoint, header := c.Getenv("IDENTITY_ENDPOINT"), c.Getenv("IDENTITY_HEADER"); endpoint != "" && header != "" {
		q.Who, q.Advice = "App Service's identity endpoint", "The identity must be assigned to this app."
		q.Header, q.Sent = http.Header{"X-Identity-Header": {header}}, []secret.String{secret.New(header)}
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
	q.URL = base + "?" + query.Encode()
	return cloud.AskMetadata(ctx, c, q, reader(c.Now))
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
