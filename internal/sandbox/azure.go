package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// AzureTenant is that of the managed identities.
	AzureTenant = "72f988bf-0000-4000-8000-2d7cd011db47"

	entraHost   = "login.microsoftonline.com"
	vaultSuffix = ".vault.azure.net"
	keyVault    = "keyvault"
)

// FederatedCredential says whose tokens an application of a tenant takes for its
// own. All of it is compared byte for byte, as at Entra ID.
type FederatedCredential struct{ Tenant, ClientID, Issuer, Subject, Audience string }

// Federate adds a federated credential, and with it the tenant and application.
func (s *Sandbox) Federate(c FederatedCredential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.federated = append(s.federated, c)
}

// PutVaultSecret has a vault, which lies in a tenant, keep a secret.
func (s *Sandbox) PutVaultSecret(tenant, vault, name, value string) {
	s.put(secretKey{keyVault, vault, name}, value)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vaults[vault] = tenant
}

// azureToken is what Entra ID remembers of an access token.
type azureToken struct {
	tenant, resource string
	expires          time.Time
}

func (s *Sandbox) entraRoute(r *http.Request) route {
	path := strings.Trim(r.URL.Path, "/")
	tenant, rest, _ := strings.Cut(path, "/")
	switch {
	case rest == "oauth2/v2.0/token":
		return route{"entra", http.MethodPost, s.entraToken}
	case rest == "discovery/instance": // MSAL asks these two before the token endpoint
		return route{"entra:discovery", http.MethodGet, func(r *http.Request) answer {
			named, _, _ := strings.Cut(strings.TrimPrefix(r.Form.Get("authorization_endpoint"), "https://"+entraHost+"/"), "/")
			return jsonAnswer(http.StatusOK, map[string]any{
				"tenant_discovery_endpoint": "https://" + entraHost + "/" + named + "/v2.0/.well-known/openid-configuration",
				"api-version":               "1.1",
				"metadata":                  []map[string]any{{"preferred_network": entraHost, "preferred_cache": "login.windows.net", "aliases": []string{entraHost, "login.windows.net"}}},
			})
		}}
	case rest == "v2.0/.well-known/openid-configuration":
		return route{"entra:discovery", http.MethodGet, func(*http.Request) answer {
			base := "https://" + entraHost + "/" + tenant
			return jsonAnswer(http.StatusOK, map[string]any{
				"issuer": base + "/v2.0", "token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
				"device_authorization_endpoint": base + "/oauth2/v2.0/devicecode", "jwks_uri": base + "/discovery/v2.0/keys",
			})
		}}
	}
	return route{"entra:other", "", func(*http.Request) answer { return textAnswer(http.StatusNotFound, "no such page at Entra ID") }}
}

// entraToken answers a client credentials request with a client assertion; s.mu is
// held.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
func (s *Sandbox) entraToken(r *http.Request) answer {
	form := r.PostForm
	if fail, due := s.failure("entra"); due {
		if fail.Status >= 500 || fail.Status == http.StatusTooManyRequests {
			return textAnswer(fail.Status, "busy")
		}
		return entraError(fail.Code, cmp.Or(fail.Message, "No matching federated identity record found for presented assertion."))
	}
	tenant, _, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	client := form.Get("client_id")
	in := func(match func(FederatedCredential) bool) bool { return slices.ContainsFunc(s.federated, match) }
	ours := func(c FederatedCredential) bool { return c.Tenant == tenant && c.ClientID == client }
	switch {
	case !in(func(c FederatedCredential) bool { return c.Tenant == tenant }):
		return entraError("90002", "Tenant '"+tenant+"' not found.")
	case !in(ours):
		return entraError("700016", "Application with identifier '"+client+"' was not found in the directory.")
	case form.Get("grant_type") != "client_credentials", form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		return entraError("900144", "The request body must contain the parameter 'client_assertion'.")
	}
	token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256, jose.RS512})
	var claims jwt.Claims
	if err == nil {
		err = token.Claims(s.keys[0].rsa.Public(), &claims)
	}
	now := s.now()
	issuer := func(c FederatedCredential) bool { return ours(c) && c.Issuer == claims.Issuer }
	subject := func(c FederatedCredential) bool { return issuer(c) && c.Subject == claims.Subject }
	audience := func(c FederatedCredential) bool { return subject(c) && slices.Contains(claims.Audience, c.Audience) }
	switch {
	case err != nil || claims.Expiry == nil:
		return entraError("50027", "JWT token is invalid or malformed.")
	case !now.Before(claims.Expiry.Time()), claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(5*time.Minute)):
		return entraError("700024", "Client assertion is not within its valid time range.")
	case !in(issuer):
		return entraError("700211", "No matching federated identity record found for presented assertion issuer '"+claims.Issuer+"'.")
	case !in(subject):
		return entraError("700213", "No matching federated identity record found for presented assertion subject '"+claims.Subject+"'.")
	case !in(audience):
		return entraError("700212", "No matching federated identity record found for presented assertion audience '"+strings.Join(claims.Audience, ",")+"'.")
	}
	for scope := range strings.FieldsSeq(form.Get("scope")) { // MSAL adds openid and the like
		if resource, all := strings.CutSuffix(scope, "/.default"); all {
			access := s.issue("eyJ0eXAiOiJKV1Qi.", 400)
			s.azureTokens[access] = azureToken{tenant, resource, s.now().Add(time.Hour)}
			return jsonAnswer(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": access})
		}
	}
	return entraError("1002012", "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier.")
}

func entraError(code, text string) answer {
	number, _ := strconv.Atoi(code) // it is one
	a := jsonAnswer(http.StatusBadRequest, map[string]any{
		"error": "invalid_client", "error_codes": []int{number},
		"error_description": "AADSTS" + code + ": " + text + " Trace ID: 0b1c2d3e-0000-0000-0000-000000000000 Correlation ID: 4f5a6b7c-0000-0000-0000-000000000000 Timestamp: 2026-11-26 09:00:00Z",
		"trace_id":          "0b1c2d3e-0000-0000-0000-000000000000", "correlation_id": "4f5a6b7c-0000-0000-0000-000000000000",
	})
	a.code = "AADSTS" + code
	return a
}

// vaultSecret answers a request for a secret of a vault; s.mu is held.
//
// https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
func (s *Sandbox) vaultSecret(r *http.Request) answer {
	vault := strings.TrimSuffix(hostname(r.Host), vaultSuffix)
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, known := s.azureTokens[bearer]
	if !known || token.tenant != s.vaults[vault] || strings.TrimSuffix(token.resource, "/") != "https://vault.azure.net" || !s.now().Before(token.expires) {
		a := vaultError(http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", "")
		if bearer != "" {
			a = vaultError(http.StatusUnauthorized, "Unauthorized", "AKV10032: Invalid issuer.", "")
		}
		a.header.Set("WWW-Authenticate", `Bearer authorization="https://`+entraHost+"/"+s.vaults[vault]+`", resource="https://vault.azure.net"`)
		return a
	}
	if fail, due := s.failure("keyvault"); due {
		code, inner, _ := strings.Cut(fail.Code, "/")
		return vaultError(fail.Status, code, fail.Message, inner)
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Form.Get("api-version") == "" || len(parts) < 2 || len(parts) > 3 || parts[0] != "secrets" {
		return vaultError(http.StatusBadRequest, "BadParameter", "The request is malformed.", "")
	}
	name := parts[1]
	if len(parts) == 3 && parts[2] != "" {
		name += "/" + parts[2]
	}
	value, found := s.secrets[secretKey{keyVault, vault, name}]
	if !found {
		return vaultError(http.StatusNotFound, "SecretNotFound", "A secret with (name/id) "+name+" was not found in this key vault.", "")
	}
	return jsonAnswer(http.StatusOK, map[string]any{"value": value, "id": "https://" + hostname(r.Host) + "/secrets/" + name, "attributes": map[string]any{"enabled": true}})
}

func vaultError(status int, code, message, inner string) answer {
	body := map[string]any{"code": code, "message": message}
	if inner != "" {
		body["innererror"] = map[string]any{"code": inner}
	}
	a := jsonAnswer(status, map[string]any{"error": body})
	a.code = code
	return a
}
