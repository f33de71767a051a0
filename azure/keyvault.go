package azure

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// VaultScope is that of tokens for Key Vault.
const VaultScope = "https://vault.azure.net/.default"

// VaultSecret returns the secret NAME or NAME/VERSION of a vault, all of them bare
// names. The token goes to the vault's own host alone, wherever an answer points. Every
// error is a [*failure.Error].
//
// https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
func VaultSecret(ctx context.Context, c cloud.Client, token secret.String, vault, name string) (secret.String, error) {
	host := vault + ".vault.azure.net"
	q := cloud.Question{
		Who: host, What: "the secret " + name, Advice: "Check the name of the vault, and the network. Behind a proxy, set HTTPS_PROXY.",
		URL: "https://" + host + "/secrets/" + name + "?api-version=7.4", Header: http.Header{"Authorization": {"Bearer " + token.Reveal()}},
		Sent: []secret.String{token}, Read: readVaultError, Refusals: vaultRefusals(),
	}
	return cloud.Ask(ctx, c, q, func(body []byte) (secret.String, error) { return reference.Value(string(body), "value") })
}

// readVaultError takes the codes: an inner one tells more than the status.
//
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
func readVaultError(r *cloud.Refused) {
	r.Code, r.Message = r.Text("/error/code"), r.Text("/error/message")
	r.Codes = []string{r.Text("/error/innererror/code"), strconv.Itoa(r.Status)}
	r.Fill = []string{"{tenant}", tenantAdvice(r.Header.Get("WWW-Authenticate"))}
}

func vaultRefusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "SecretDisabled", Lines: []string{"{what} in {who} is disabled ({said}).", "Enable it, or name another version."}},
		{Codes: "ForbiddenByFirewall", Lines: []string{"the firewall of {who} does not let this machine in ({said}).", "Its admin has to allow this network."}},
		{Codes: "401", Lines: []string{"{who} does not accept the token of profile {profile} ({said}).", "{tenant}"}},
		{Codes: "403", Lines: []string{"profile {profile} may not read {what} in {who} ({said}).",
			"Its identity needs the role Key Vault Secrets User on the vault, or an access policy with Get."}},
		{Codes: "404", Lines: []string{"{who} knows nothing of {what} ({said}).", "Check its name and version."}},
		{Lines: []string{"{who} refuses {what} ({said}).", "The text in brackets is Key Vault's."}},
	}
}

// tenantAdvice reads the one thing of a challenge that is of use here: in which
// tenant the vault is.
//
// https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses#authentication
func tenantAdvice(challenge string) string {
	_, rest, _ := strings.Cut(challenge, `authorization="`+authority)
	tenant, _, closed := strings.Cut(rest, `"`)
	if !closed || tenant == "" || strings.Trim(tenant, "0123456789abcdefABCDEF-") != "" {
		return "The vault may be in another tenant than the one that profile {profile} signs in to."
	}
	return "The vault is in tenant " + tenant + ". Does profile {profile} sign in to that one (daypass_azure_tenant)?"
}
