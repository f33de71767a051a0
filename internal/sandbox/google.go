package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Two providers of a workload identity pool: one trusts the roles of an AWS account,
// the other the logins of the sandbox's client. A service account lets both act as it.
const (
	googlePool          = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/daypass/providers/"
	GoogleProviderAWS   = googlePool + "aws"
	GoogleProviderLogin = googlePool + "corp"
	GoogleAccount       = "deploy@octo-project.iam.gserviceaccount.com"
)

// GoogleHosts are the hosts of Google Cloud that [Sandbox.Google] plays.
func GoogleHosts() []string {
	return []string{"sts.googleapis.com", "iamcredentials.googleapis.com", "cloudresourcemanager.googleapis.com"}
}

// Google plays Google Cloud, for [StartInternet].
func (s *Sandbox) Google(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = "/" + r.Host + r.URL.Path
	s.handle(w, r)
}

// googleRoute finds who answers below a host of Google's.
func (s *Sandbox) googleRoute(path string) (route, bool) {
	switch {
	case path == "/sts.googleapis.com/v1/token":
		return route{"google:token", http.MethodPost, s.googleToken}, true
	case path == "/iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+GoogleAccount+":generateAccessToken":
		return route{"google:account", http.MethodPost, s.googleAccount}, true
	case strings.HasPrefix(path, "/cloudresourcemanager.googleapis.com/v1/projects/"):
		return route{"google:project", http.MethodGet, func(*http.Request) answer {
			return jsonAnswer(http.StatusOK, map[string]string{"projectId": "octo-project", "projectNumber": "123456789012"})
		}}, true
	}
	return route{}, false
}

// googleToken answers Google's security token service (RFC 8693); s.mu is held.
//
// https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
func (s *Sandbox) googleToken(r *http.Request) answer {
	form := r.PostForm
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || form.Get("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token" || form.Get("scope") == "" {
		return s.oauthError("invalid_request", "Invalid grant_type, requested_token_type or scope")
	}
	refused := "Invalid value for \"audience\"."
	switch kind := strings.TrimPrefix(form.Get("subject_token_type"), "urn:ietf:params:"); form.Get("audience") {
	case GoogleProviderAWS:
		if refused = "The subject token type does not fit the provider"; kind == "aws:token-type:aws4_request" {
			refused = s.checkAWSRequest(form.Get("subject_token"))
		}
	case GoogleProviderLogin:
		if refused = "The subject token type does not fit the provider"; kind == "oauth:token-type:id_token" || kind == "oauth:token-type:jwt" {
			refused = s.checkIDToken(form.Get("subject_token"))
		}
	}
	if refused != "" {
		return s.oauthError("invalid_grant", refused)
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"access_token": s.issue("ya29.federated-", 60), "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3600,
	})
}

// checkIDToken says what is wrong with a token of the sandbox's provider, or "".
func (s *Sandbox) checkIDToken(raw string) string {
	identity, refused := s.webIdentity(raw)
	switch {
	case refused != nil:
		return refused.Message
	case identity.issuer != s.Issuer:
		return "The issuer in ID Token does not match the expected ones"
	case !slices.Contains(identity.audiences, s.ClientID):
		return "The audience in ID Token does not match the expected audience"
	}
	return ""
}

// checkAWSRequest says what is wrong with a signed GetCallerIdentity, or "".
func (s *Sandbox) checkAWSRequest(subject string) string {
	var signed struct {
		URL, Method string
		Headers     []struct{ Key, Value string }
	}
	text, err := url.QueryUnescape(subject)
	if err != nil || json.Unmarshal([]byte(text), &signed) != nil {
		return "Unable to parse the AWS request"
	}
	request, err := http.NewRequest(signed.Method, signed.URL, nil)
	if err != nil || request.URL.Scheme != "https" || request.URL.Query().Get("Action") != "GetCallerIdentity" || request.Method != http.MethodPost {
		return "The AWS request is not a GetCallerIdentity"
	}
	for _, header := range signed.Headers {
		request.Header.Set(header.Key, header.Value)
	}
	request.Host = request.URL.Host
	region, ours := strings.CutSuffix(request.Host, ".amazonaws.com")
	region, isSTS := strings.CutPrefix(region, "sts.")
	signature, isSigned := parseSignature(request)
	if !ours || !isSTS || !isSigned {
		return "The AWS request is not signed, or not for STS"
	}
	caller, known := s.sessions[signature.keyID()]
	at, err := time.Parse("20060102T150405Z", request.Header.Get("X-Amz-Date"))
	switch {
	// Go's libraries sign the header, npm's does not.
	case request.Header.Get("X-Goog-Cloud-Target-Resource") != GoogleProviderAWS:
		return "The x-goog-cloud-target-resource is not the audience"
	case !known || !s.now().Before(caller.expires) || request.Header.Get("X-Amz-Security-Token") != caller.token:
		return "AWS: InvalidClientTokenId"
	case err != nil || s.now().Sub(at).Abs() > 5*time.Minute:
		return "The AWS request is too old"
	case signature.credential[2] != region || signature.credential[3] != "sts" || !signature.matches(request, nil, caller):
		return "AWS: SignatureDoesNotMatch"
	case caller.account != "111122223333":
		return "The AWS account is not that of the provider"
	}
	return ""
}

// googleAccount answers a request to act as the service account; s.mu is held.
func (s *Sandbox) googleAccount(r *http.Request) answer {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !strings.HasPrefix(token, "ya29.federated-") || !slices.Contains(s.issued, token) {
		return jsonAnswer(http.StatusUnauthorized, map[string]any{"error": map[string]any{"code": 401, "message": "Request had invalid authentication credentials."}})
	}
	return jsonAnswer(http.StatusOK, map[string]any{"accessToken": s.issue("ya29.account-", 60), "expireTime": s.now().Add(time.Hour).UTC().Format(time.RFC3339)})
}
