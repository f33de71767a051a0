package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The issuers of the tokens that workloads get, as IAM knows them.
const (
	IssuerGitHub = "https://token.actions.githubusercontent.com"
	IssuerAzure  = "https://sts.windows.net/" + AzureTenant + "/"
	IssuerGoogle = "https://accounts.google.com"
)

// What the metadata services know: a job, the managed identities of a machine, a
// service account.
const (
	JobSubject      = "repo:octo-org/octo-repo:ref:refs/heads/main"
	AppIDURI        = "api://daypass-aws" // of the app registration that stands for AWS
	SystemObjectID  = "11111111-0000-4000-8000-000000000001"
	UserObjectID    = "22222222-0000-4000-8000-000000000002"
	UserClientID    = "33333333-0000-4000-8000-000000000003"
	UserResourceID  = "/subscriptions/44444444/resourceGroups/ci/providers/Microsoft.ManagedIdentity/userAssignedIdentities/deploy"
	ServiceAccount  = "107517467455664443765" // its unique id
	serviceMail     = "deploy@octo-project.iam.gserviceaccount.com"
	metadataPath    = "/metadata/identity/oauth2/token"
	appServicePath  = "/msi/token"
	gcpIdentityPath = "/computeMetadata/v1/instance/service-accounts/default/identity"
	gitHubPath      = "/github/token"
)

// WorkloadEnvironment returns what a platform sets for its workloads. GitHub's
// endpoint is where [Sandbox.Handler] is served over https.
func (s *Sandbox) WorkloadEnvironment(platform, https string) map[string]string {
	switch platform {
	case "github-actions":
		return map[string]string{
			"ACTIONS_ID_TOKEN_REQUEST_URL":   https + gitHubPath + "?api-version=2.0",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN": s.workloadSecret,
		}
	case "azure-imds":
		return map[string]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST": s.URL}
	case "app-service":
		return map[string]string{"IDENTITY_ENDPOINT": s.URL + appServicePath, "IDENTITY_HEADER": s.workloadSecret}
	case "gcp-metadata":
		return map[string]string{"GCE_METADATA_HOST": strings.TrimPrefix(s.URL, "http://")}
	}
	return nil
}

// WorkloadToken returns a new token as the platform gives it.
func (s *Sandbox) WorkloadToken(claims map[string]any) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sign(claims)
}

// proxied reports whether a request came through a proxy, by what those put into it.
func proxied(r *http.Request) bool {
	return r.URL.IsAbs() || r.Header.Get("Via")+r.Header.Get("X-Forwarded-For")+r.Header.Get("Forwarded")+r.Header.Get("Proxy-Connection") != ""
}

// metadataError is an answer {"error": ..., "error_description": ...}.
func metadataError(status int, code, description string) answer {
	a := jsonAnswer(status, map[string]string{"error": code, "error_description": description})
	a.code = code
	return a
}

// imds answers Azure's instance metadata service, and appService App Service's
// endpoint; s.mu is held.
//
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (s *Sandbox) imds(r *http.Request) answer {
	switch {
	case r.Header.Get("Metadata") != "true" || proxied(r):
		return metadataError(http.StatusBadRequest, "invalid_request", "bad_request_102: Required metadata header not specified")
	case r.Form.Get("api-version") < "2018-02-01":
		return metadataError(http.StatusBadRequest, "invalid_request", "The api-version is missing or too old")
	}
	return s.managedIdentity(r.Form, map[string]string{"client_id": UserClientID, "object_id": UserObjectID, "msi_res_id": UserResourceID}, true)
}

func (s *Sandbox) appService(r *http.Request) answer {
	switch {
	case r.Header.Get("X-Identity-Header") != s.workloadSecret || proxied(r):
		return jsonAnswer(http.StatusUnauthorized, map[string]any{"statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or wrong."})
	case r.Form.Get("api-version") != "2019-08-01":
		return jsonAnswer(http.StatusBadRequest, map[string]any{"statusCode": 400, "message": "The api-version is not supported."})
	}
	return s.managedIdentity(r.Form, map[string]string{"client_id": UserClientID, "principal_id": UserObjectID, "object_id": UserObjectID, "mi_res_id": UserResourceID}, false)
}

// managedIdentity is a token for the identity that the selectors name.
func (s *Sandbox) managedIdentity(form url.Values, selectors map[string]string, numbersAreText bool) answer {
	resource, object := form.Get("resource"), SystemObjectID
	for name := range form {
		switch value, known := selectors[name]; {
		case known && form.Get(name) == value:
			object = UserObjectID
		case name != "resource" && name != "api-version":
			return metadataError(http.StatusBadRequest, "invalid_request", "Identity not found")
		}
	}
	if resource == "" {
		return metadataError(http.StatusBadRequest, "invalid_resource", "The resource is missing")
	}
	if resource != AppIDURI && resource != "https://vault.azure.net" {
		return metadataError(http.StatusBadRequest, "invalid_resource", "AADSTS500011: The resource principal named "+resource+" was not found in the tenant")
	}
	expires := s.now().Add(24 * time.Hour).Unix()
	token, err := s.sign(map[string]any{
		"iss": IssuerAzure, "aud": resource, "sub": object, "oid": object, "appid": UserClientID, "ver": "1.0", "iat": s.now().Unix(), "exp": expires,
	})
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	s.azureTokens[token] = azureToken{AzureTenant, resource, s.now().Add(24 * time.Hour)}
	var on any = expires
	if numbersAreText {
		on = fmt.Sprint(expires)
	}
	return jsonAnswer(http.StatusOK, map[string]any{"access_token": token, "refresh_token": "", "expires_on": on, "resource": resource, "token_type": "Bearer"})
}

// gcpIdentity answers Google's metadata server; s.mu is held.
//
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
func (s *Sandbox) gcpIdentity(r *http.Request) answer {
	audience := r.Form.Get("audience")
	switch {
	case r.Header.Get("Metadata-Flavor") != "Google" || proxied(r):
		return textAnswer(http.StatusForbidden, "Missing required header: Metadata-Flavor: Google, or a proxy is in between")
	case audience == "":
		return textAnswer(http.StatusBadRequest, "non-empty audience parameter required")
	}
	claims := map[string]any{
		"iss": IssuerGoogle, "aud": audience, "azp": ServiceAccount, "sub": ServiceAccount, "iat": s.now().Unix(), "exp": s.now().Add(time.Hour).Unix(),
	}
	if r.Form.Get("format") == "full" {
		claims["email"], claims["email_verified"] = serviceMail, true
		claims["google"] = map[string]any{"compute_engine": map[string]any{"project_id": "octo-project", "instance_name": "ci"}}
	}
	token, err := s.sign(claims)
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return answer{status: http.StatusOK, header: http.Header{"Metadata-Flavor": {"Google"}, "Content-Type": {"text/html"}}, body: []byte(token)}
}

// gitHubToken answers the token endpoint of a job; s.mu is held.
//
// https://docs.github.com/actions/reference/security/oidc
func (s *Sandbox) gitHubToken(r *http.Request) answer {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token != s.workloadSecret || r.TLS == nil {
		return jsonAnswer(http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
	}
	audience := r.Form.Get("audience")
	if audience == "" {
		audience = "https://github.com/octo-org"
	}
	signed, err := s.sign(map[string]any{
		"iss": IssuerGitHub, "aud": audience, "sub": JobSubject, "repository": "octo-org/octo-repo", "ref": "refs/heads/main",
		"iat": s.now().Unix(), "nbf": s.now().Add(-5 * time.Minute).Unix(), "exp": s.now().Add(5 * time.Minute).Unix(),
	})
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return jsonAnswer(http.StatusOK, map[string]any{"count": len(signed), "value": signed})
}

// sign signs claims with the newest key; s.mu is held.
func (s *Sandbox) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	signer, err := s.signer()
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("serialize ID token: %w", err)
	}
	s.issued = append(s.issued, token)
	return token, nil
}
