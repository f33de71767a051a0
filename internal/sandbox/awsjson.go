package sandbox

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The services that speak AWS's JSON 1.1 protocol, and Amazon Cognito's issuer.
const (
	secretsManager = "secretsmanager"
	parameterStore = "ssm"
	cognito        = "cognito-identity"

	cognitoIssuer = "https://cognito-identity.amazonaws.com"
)

// secretKey is where a secret is kept; in Key Vault the region is a vault.
type secretKey struct{ service, region, name string }

// binaryMark begins a secret that is not text.
const binaryMark = "\x00binary"

// PutSecret has Secrets Manager keep a secret, and returns its ARN.
func (s *Sandbox) PutSecret(region, name, value string) string {
	s.put(secretKey{secretsManager, region, name}, value)
	return "arn:aws:secretsmanager:" + region + ":111122223333:secret:" + name + "-AbCdEf"
}

// PutBinarySecret has Secrets Manager keep a secret that is not text.
func (s *Sandbox) PutBinarySecret(region, name string) {
	s.put(secretKey{secretsManager, region, name}, binaryMark)
}

// PutParameter has SSM's Parameter Store keep a parameter.
func (s *Sandbox) PutParameter(region, name, value string) {
	s.put(secretKey{parameterStore, region, name}, value)
}

func (s *Sandbox) put(key secretKey, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[key] = value
	s.issued = append(s.issued, value)
}

// awsService is the service that a request is for, and the region if its host names
// one: SERVICE.REGION.amazonaws.com, or the first part of the path.
func awsService(r *http.Request) (service, region string) {
	if labels := strings.Split(hostname(r.Host), "."); len(labels) == 4 && strings.HasSuffix(r.Host, ".amazonaws.com") {
		return strings.TrimSuffix(labels[0], "-fips"), labels[1]
	}
	return strings.Trim(r.URL.Path, "/"), ""
}

func (s *Sandbox) jsonRoute(r *http.Request) route {
	service, _ := awsService(r)
	return route{service, http.MethodPost, s.jsonCall}
}

// jsonCall answers a call in AWS's JSON 1.1 protocol; s.mu is held.
func (s *Sandbox) jsonCall(r *http.Request) answer {
	service, region := awsService(r)
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return awsJSONError(STSError{Code: "SerializationException"})
	}
	signature, _, wrong := s.authenticate(r, body, service, region)
	if wrong != "" {
		code := map[fault]string{unsigned: "MissingAuthenticationTokenException", unknownKey: "UnrecognizedClientException", oldKey: "ExpiredTokenException"}[wrong]
		return awsJSONError(STSError{Code: cmp.Or(code, "InvalidSignatureException"), Message: string(wrong)})
	}
	if fail, due := s.failure(service); due {
		return awsJSONError(fail)
	}
	var input struct {
		SecretID       string `json:"SecretId"`
		Name           string
		WithDecryption bool
		Pool           string            `json:"IdentityPoolId"`
		Logins         map[string]string `json:"Logins"`
		TokenDuration  int
	}
	if json.Unmarshal(body, &input) != nil {
		return awsJSONError(STSError{Code: "SerializationException"})
	}
	region = signature.credential[2]
	switch target := r.Header.Get("X-Amz-Target"); {
	case service == secretsManager && target == "secretsmanager.GetSecretValue":
		return s.secretValue(input.SecretID, region)
	case service == parameterStore && target == "AmazonSSM.GetParameter":
		return s.parameter(input.Name, region, input.WithDecryption)
	case service == cognito && target == "AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity":
		if !strings.HasPrefix(input.Pool, region+":") {
			return awsJSONError(STSError{Code: "ResourceNotFoundException", Message: "IdentityPool '" + input.Pool + "' not found."})
		}
		return s.developerToken(input.Pool, input.Logins, time.Duration(input.TokenDuration)*time.Second)
	}
	return awsJSONError(STSError{Code: "UnknownOperationException"})
}

func (s *Sandbox) secretValue(id, region string) answer {
	name := id
	if parts := strings.Split(id, ":"); len(parts) == 7 && parts[2] == secretsManager {
		if parts[3] != region {
			return awsJSONError(STSError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."})
		}
		name = parts[6][:max(0, len(parts[6])-7)]
	}
	value, found := s.secrets[secretKey{secretsManager, region, name}]
	switch {
	case !found:
		return awsJSONError(STSError{Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."})
	case value == binaryMark:
		return awsJSON(map[string]any{"Name": name, "SecretBinary": []byte("binary")})
	}
	return awsJSON(map[string]any{"Name": name, "SecretString": value, "VersionStages": []string{"AWSCURRENT"}})
}

func (s *Sandbox) parameter(name, region string, decrypted bool) answer {
	if strings.Contains(strings.TrimPrefix(name, "/"), "/") && name[0] != '/' && !strings.HasPrefix(name, "arn:") {
		return awsJSONError(STSError{Code: "ValidationException", Message: "Parameter name must be a fully qualified name."})
	}
	value, found := s.secrets[secretKey{parameterStore, region, name}]
	switch {
	case !found:
		return awsJSONError(STSError{Code: "ParameterNotFound"})
	case !decrypted:
		value = "AQICAHg=" // what is encrypted stays so
	}
	return awsJSON(map[string]any{"Parameter": map[string]any{"Name": name, "Type": "SecureString", "Value": value}})
}

func (s *Sandbox) developerToken(pool string, logins map[string]string, life time.Duration) answer {
	if len(logins) != 1 || life < 0 || life > 24*time.Hour {
		return awsJSONError(STSError{Code: "InvalidParameterException"})
	}
	subject := ""
	for provider, user := range logins {
		if provider != "azure-access" {
			return awsJSONError(STSError{Code: "InvalidParameterException", Message: "Please provide a valid public provider or the developer provider of the pool."})
		}
		subject = s.CognitoSubject(pool, user)
	}
	token, err := s.signAs(jose.RS512, map[string]any{
		"iss": cognitoIssuer, "aud": pool, "sub": subject, "amr": []string{"authenticated", "azure-access"},
		"iat": s.now().Unix(), "exp": s.now().Add(orDefault(life, 15*time.Minute)).Unix(),
	})
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return awsJSON(map[string]any{"IdentityId": subject, "Token": token})
}

// CognitoSubject is a user's identity in a pool, the sub of its tokens: always the same,
// and another one for each user.
func (s *Sandbox) CognitoSubject(pool, user string) string {
	region, _, _ := strings.Cut(pool, ":")
	return region + ":" + role{arn: user}.id()
}

// signAs makes a token of AWS's own; s.mu is held.
func (s *Sandbox) signAs(algorithm jose.SignatureAlgorithm, claims map[string]any) (string, error) {
	key := s.keys[0]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key.rsa, KeyID: key.id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	s.issued = append(s.issued, token)
	return token, err
}

func awsJSON(value any) answer {
	a := jsonAnswer(http.StatusOK, value)
	a.header.Set("Content-Type", "application/x-amz-json-1.1")
	return a
}

func awsJSONError(e STSError) answer {
	body := map[string]any{"__type": "com.amazonaws.service#" + e.Code, "message": e.Message}
	if e.Code == "AccessDeniedException" {
		body = map[string]any{"__type": e.Code, "Message": e.Message}
	}
	a := jsonAnswer(cmp.Or(e.Status, http.StatusBadRequest), body)
	a.header.Set("Content-Type", "application/x-amz-json-1.1")
	a.code = e.Code
	return a
}
