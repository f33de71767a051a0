package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// STSError is a refusal of STS, see [Sandbox.FailSTS].
type STSError struct {
	Code    string // as on the wire, such as "IDPCommunicationError"
	Status  int    // 0: the status that AWS sends with Code, 400 if unknown
	Message string // "": a message in AWS's words
}

// FailSTS has the next calls of AssumeRoleWithWebIdentity answered with these
// errors, one each, whatever they ask for. It is for what depends on AWS's own
// state: IDPCommunicationError, IDPRejectedClaim, RegionDisabledException,
// Throttling, InternalFailure.
func (s *Sandbox) FailSTS(errors ...STSError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stsErrors = append(s.stsErrors, errors...)
}

// session is what STS remembers of credentials that it handed out.
type session struct {
	secretKey, token string
	arn, userID      string
	account          string
	expires          time.Time
}

// assumeRole answers AssumeRoleWithWebIdentity; s.mu is held. First the form is
// checked, then the token, then what the role allows. AWS also takes the call as
// GET; the sandbox does not, for a token has no place in a URL.
func (s *Sandbox) assumeRole(r *http.Request) answer {
	form := r.PostForm
	if form.Get("Action") != "AssumeRoleWithWebIdentity" || form.Get("Version") != "2011-06-15" {
		return s.stsError(STSError{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", form.Get("Action"), form.Get("Version"))})
	}
	if len(s.stsErrors) > 0 {
		fail := s.stsErrors[0]
		s.stsErrors = s.stsErrors[1:]
		return s.stsError(fail)
	}
	duration, refusal := checkAssumeRole(form)
	if refusal != nil {
		return s.stsError(*refusal)
	}
	identity, refusal := s.webIdentity(form.Get("WebIdentityToken"))
	if refusal != nil {
		return s.stsError(*refusal)
	}
	role, err := parseRole(form.Get("RoleArn"))
	if err != nil {
		return s.stsError(STSError{Code: "ValidationError", Message: err.Error()})
	}
	if !s.allowed(role, identity, form.Get("RoleSessionName")) {
		return s.stsError(STSError{Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"})
	}
	if limit := orDefault(s.options.RoleMaxDuration, time.Hour); duration > limit {
		return s.stsError(STSError{Code: "ValidationError", Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."})
	}
	if size := len(form.Get("Policy")) + identity.tagBytes; size > maxPacked {
		return s.stsError(STSError{Code: "PackedPolicyTooLarge", Message: fmt.Sprintf("Packed size of session tags and policy consumes %d%% of allotted space.", size*100/maxPacked)})
	}

	tokenSize := s.options.SessionTokenSize
	if tokenSize == 0 {
		tokenSize = 900
	}
	keyID := "ASIA" + rand.Text()[:16]
	given := session{
		secretKey: s.issue("", 40),
		token:     s.issue("IQoJb3JpZ2luX2Vj", tokenSize),
		arn:       fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", role.partition, role.account, role.name, form.Get("RoleSessionName")),
		userID:    role.id() + ":" + form.Get("RoleSessionName"),
		account:   role.account,
		expires:   s.now().Add(duration).Truncate(time.Second),
	}
	s.sessions[keyID] = given

	var body struct {
		XMLName xml.Name `xml:"AssumeRoleWithWebIdentityResponse"`
		Xmlns   string   `xml:"xmlns,attr"`
		Result  struct {
			SubjectFromWebIdentityToken string
			Audience                    string
			AssumedRoleUser             struct {
				AssumedRoleId string
				Arn           string
			}
			Credentials struct {
				AccessKeyId     string
				SecretAccessKey string
				SessionToken    string
				Expiration      string
			}
			Provider         string
			SourceIdentity   string `xml:",omitempty"`
			PackedPolicySize int    `xml:",omitempty"`
		} `xml:"AssumeRoleWithWebIdentityResult"`
		RequestID string `xml:"ResponseMetadata>RequestId"`
	}
	body.Xmlns = stsNamespace
	body.Result.SubjectFromWebIdentityToken = identity.subject
	body.Result.Audience = identity.audiences[0]
	body.Result.AssumedRoleUser.AssumedRoleId = given.userID
	body.Result.AssumedRoleUser.Arn = given.arn
	body.Result.Credentials.AccessKeyId = keyID
	body.Result.Credentials.SecretAccessKey = given.secretKey
	body.Result.Credentials.SessionToken = given.token
	body.Result.Credentials.Expiration = given.expires.UTC().Format(time.RFC3339)
	body.Result.Provider = identity.issuer
	body.Result.SourceIdentity = identity.sourceIdentity
	body.Result.PackedPolicySize = (len(form.Get("Policy")) + identity.tagBytes) * 100 / maxPacked
	body.RequestID = newRequestID()
	return xmlAnswer(http.StatusOK, body, body.RequestID)
}

// maxPacked is the room for session policy and tags. AWS packs them in a form
// that is not documented; here they count as they are.
const maxPacked = 2048

// checkAssumeRole checks the form against the limits of the API reference.
func checkAssumeRole(form url.Values) (time.Duration, *STSError) {
	invalid := func(format string, args ...any) (time.Duration, *STSError) {
		return 0, &STSError{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
	}
	constraint := func(parameter, rule string) (time.Duration, *STSError) {
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must %s", parameter, rule)
	}
	if n := len(form.Get("RoleArn")); n < 20 || n > 2048 {
		return constraint("roleArn", "have length between 20 and 2048")
	}
	if n := len(form.Get("WebIdentityToken")); n < 4 || n > 20000 {
		return constraint("webIdentityToken", "have length between 4 and 20000")
	}
	name := form.Get("RoleSessionName")
	if len(name) < 2 || len(name) > 64 {
		return constraint("roleSessionName", "have length between 2 and 64")
	}
	if strings.ContainsFunc(name, func(c rune) bool { return !isNameRune(c) }) {
		return constraint("roleSessionName", `satisfy regular expression pattern: [\w+=,.@-]*`)
	}
	if form.Has("ProviderId") {
		return invalid("ProviderId must not be given for OpenID Connect providers")
	}
	duration := time.Hour
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 900 || seconds > 43200 {
			return constraint("durationSeconds", "be a number between 900 and 43200")
		}
		duration = time.Duration(seconds) * time.Second
	}
	if policy := form.Get("Policy"); policy != "" {
		if len(policy) > 2048 {
			return constraint("policy", "have length less than or equal to 2048")
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(policy), &object); err != nil {
			return 0, &STSError{Code: "MalformedPolicyDocument", Message: "This policy contains invalid Json"}
		}
		if object["Statement"] == nil {
			return 0, &STSError{Code: "MalformedPolicyDocument", Message: "Syntax errors in policy."}
		}
	}
	for i := 1; form.Has(fmt.Sprintf("PolicyArns.member.%d.arn", i)); i++ {
		if i > 10 {
			return constraint("policyArns", "have length less than or equal to 10")
		}
		if arn := form.Get(fmt.Sprintf("PolicyArns.member.%d.arn", i)); !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":policy/") {
			return invalid("ARN %s is not valid.", arn)
		}
	}
	return duration, nil
}

func isNameRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_+=,.@-", c)
}

// callerIdentity answers GetCallerIdentity to whoever signs with credentials
// that the sandbox handed out; s.mu is held. The date of the signature is not
// compared with the clock, which may be a test's.
func (s *Sandbox) callerIdentity(r *http.Request) answer {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return textAnswer(http.StatusBadRequest, "unreadable body")
	}
	signature, err := parseSignature(r)
	if err != nil {
		return s.stsError(STSError{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"})
	}
	caller, known := s.sessions[signature.keyID]
	if !known || r.Header.Get("X-Amz-Security-Token") != caller.token {
		return s.stsError(STSError{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."})
	}
	if !signature.matches(r, body, caller.secretKey) {
		return s.stsError(STSError{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."})
	}
	if !s.now().Before(caller.expires) {
		return s.stsError(STSError{Code: "ExpiredToken", Message: "The security token included in the request is expired"})
	}
	var identity struct {
		XMLName xml.Name `xml:"GetCallerIdentityResponse"`
		Xmlns   string   `xml:"xmlns,attr"`
		Result  struct {
			Arn     string
			UserId  string
			Account string
		} `xml:"GetCallerIdentityResult"`
		RequestID string `xml:"ResponseMetadata>RequestId"`
	}
	identity.Xmlns = stsNamespace
	identity.Result.Arn = caller.arn
	identity.Result.UserId = caller.userID
	identity.Result.Account = caller.account
	identity.RequestID = newRequestID()
	return xmlAnswer(http.StatusOK, identity, identity.RequestID)
}

// stsError is an error answer in AWS's query protocol.
func (s *Sandbox) stsError(e STSError) answer {
	usual := STSError{Status: http.StatusBadRequest, Message: "The request was refused."}
	switch e.Code {
	case "AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "MissingAuthenticationToken":
		usual.Status = http.StatusForbidden
	case "IDPRejectedClaim":
		usual = STSError{Status: http.StatusForbidden, Message: "The identity provider rejected the claim."}
	case "RegionDisabledException":
		usual = STSError{Status: http.StatusForbidden, Message: "STS is not activated in this region for account:111122223333. Your account administrator can activate STS in this region using the IAM Console."}
	case "IDPCommunicationError":
		usual.Message = "Couldn't communicate with the identity provider."
	case "Throttling":
		usual.Message = "Rate exceeded"
	case "InternalFailure":
		usual = STSError{Status: http.StatusInternalServerError, Message: "The request processing has failed because of an unknown error."}
	case "ServiceUnavailable":
		usual = STSError{Status: http.StatusServiceUnavailable, Message: "The service is temporarily unavailable."}
	}
	if e.Status == 0 {
		e.Status = usual.Status
	}
	if e.Message == "" {
		e.Message = usual.Message
	}
	var body struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Xmlns   string   `xml:"xmlns,attr"`
		Error   struct {
			Type, Code, Message string
		}
		RequestID string `xml:"RequestId"`
	}
	body.Xmlns = stsNamespace
	body.Error.Type = "Sender"
	if e.Status >= 500 {
		body.Error.Type = "Receiver"
	}
	body.Error.Code = e.Code
	body.Error.Message = e.Message
	body.RequestID = newRequestID()
	a := xmlAnswer(e.Status, body, body.RequestID)
	a.code = e.Code
	return a
}

func xmlAnswer(status int, value any, requestID string) answer {
	body, err := xml.MarshalIndent(value, "", "  ")
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/xml"}, "X-Amzn-Requestid": {requestID}},
		body:   append(body, '\n'),
	}
}

// newRequestID makes an id in the form that AWS uses, a random UUID.
func newRequestID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
}
