package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// vaultSuffix ends the hosts of vaults, which are Microsoft's own.
const vaultSuffix = ".vault.azure.net"

// vaultError is an error answer of Key Vault.
//
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
type vaultError struct {
	status      int
	code, inner string
	said        string
	challenge   string // of a 401
}

func (e *vaultError) Error() string { return e.said }

func (e *vaultError) passing() bool { return e.status >= 500 || e.status == http.StatusTooManyRequests }

// VaultSecret returns a secret of a vault; version is "" for the current one. The
// token goes to the vault's own host alone, wherever an answer points. vault, name
// and version are bare names. Every error is a [*failure.Error].
//
// https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
func (c Client) VaultSecret(ctx context.Context, token secret.String, vault, name, version string) (secret.String, error) {
	host := vault + vaultSuffix
	address := "https://" + host + "/secrets/" + name
	if version != "" {
		address += "/" + version
	}
	for try := 1; ; try++ {
		value, err := c.askVault(ctx, token, address+"?api-version=7.4")
		if err == nil {
			return value, nil
		}
		var e *vaultError
		if try == 3 || ctx.Err() != nil || errors.As(err, &e) && !e.passing() || c.Sleep(ctx, time.Duration(try)*time.Second) != nil {
			return secret.String{}, explainVault(ctx, err, host, name)
		}
	}
}

func (c Client) askVault(ctx context.Context, token secret.String, address string) (secret.String, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return secret.String{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	response, body, err := c.Ask(request)
	if err != nil {
		return secret.String{}, err
	}
	var answer struct {
		Value *string
		Error struct {
			Code, Message string
			InnerError    struct{ Code string }
		}
	}
	_ = json.Unmarshal(body, &answer)
	switch {
	case response.StatusCode != http.StatusOK:
		e := &vaultError{
			status: response.StatusCode, code: answer.Error.Code, inner: secret.Foreign(answer.Error.InnerError.Code, token),
			said: fmt.Sprintf("status %d", response.StatusCode), challenge: response.Header.Get("WWW-Authenticate"),
		}
		if code := secret.Foreign(e.code, token); code != "" {
			e.said = code + ": " + secret.Foreign(answer.Error.Message, token)
		}
		return secret.String{}, e
	case answer.Value == nil:
		return secret.String{}, errors.New("its answer holds no secret")
	}
	return secret.New(*answer.Value), nil
}

// vaultRefusals are tried in order; the first that matches counts. A code is an inner
// one of Key Vault's, or a status.
func vaultRefusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "SecretDisabled", Lines: []string{"the secret {name} in {host} is disabled ({said}).", "Enable it, or name another version."}},
		{Codes: "ForbiddenByFirewall", Lines: []string{"the firewall of {host} does not let this machine in ({said}).", "Its admin has to allow this network."}},
		{Codes: "401", Lines: []string{"{host} does not accept the token of profile {profile} ({said}).", "{tenant}"}},
		{Codes: "403", Lines: []string{"profile {profile} may not read the secret {name} in {host} ({said}).",
			"Its identity needs the role Key Vault Secrets User on the vault, or an access policy with Get."}},
		{Codes: "404", Lines: []string{"there is no secret {name} in {host} ({said}).", "Check its name and version."}},
		{Lines: []string{"{host} refuses the secret {name} ({said}).", "The text in brackets is Key Vault's."}},
	}
}

// explainVault says why there is no secret.
func explainVault(ctx context.Context, err error, host, name string) *failure.Error {
	var (
		e       *vaultError
		unknown *net.DNSError
	)
	if errors.As(err, &unknown) && unknown.IsNotFound {
		return failure.New(failure.ExitNetwork, err, "there is no vault at "+host+", according to DNS.", "Check the name of the vault, and the network.")
	}
	if f := notAsked(ctx, err, host, &e); f != nil {
		return f
	}
	if e.passing() || e.code == "" {
		return failure.New(failure.ExitNetwork, err, host+" cannot answer now ("+e.said+").", "Try again later. Is there a proxy or a login page in between?")
	}
	return failure.Refused(err, vaultRefusals(), []string{e.inner, strconv.Itoa(e.status)},
		"{host}", host, "{name}", name, "{said}", e.said, "{tenant}", tenantAdvice(e.challenge))
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
