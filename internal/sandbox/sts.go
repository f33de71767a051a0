package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

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
	role             string   // ARN
	chained          bool     // assumed by another role
	passed           []string // actions that a chained role must allow too
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
	sessionName := form.Get("RoleSessionName")
	keyID, given := s.beginSession(role, sessionName, duration, false, identity.passed...)
	return xmlAnswer(http.StatusOK, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>%[2]s</SubjectFromWebIdentityToken>
    <Audience>%[3]s</Audience>
    <AssumedRoleUser>
      <AssumedRoleId>%[4]s</AssumedRoleId>
      <Arn>%[5]s</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>%[6]s</AccessKeyId>
      <SecretAccessKey>%[7]s</SecretAccessKey>
      <SessionToken>%[8]s</SessionToken>
      <Expiration>%[9]s</Expiration>
    </Credentials>
    <Provider>%[10]s</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>%[1]s</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>
`, identity.subject, identity.audiences[0], given.userID, given.arn, keyID, given.secretKey, given.token,
		given.expires.UTC().Format(time.RFC3339), identity.issuer)
}

// beginSession hands out credentials; s.mu is held.
func (s *Sandbox) beginSession(role role, name string, duration time.Duration, chained bool, passed ...string) (keyID string, given session) {
	given = session{
		secretKey: s.issue("", 40),
		token:     s.issue("IQoJb3JpZ2luX2Vj", cmp.Or(s.options.SessionTokenSize, 900)),
		arn:       fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", role.partition, role.account, role.name, name),
		userID:    role.id() + ":" + name,
		account:   role.account,
		role:      role.arn,
		chained:   chained,
		passed:    passed,
		expires:   s.now().Add(duration).Truncate(time.Second),
	}
	keyID = "ASIA" + rand.Text()[:16]
	s.sessions[keyID] = given
	return keyID, given
}

// Session hands out credentials of the role RoleARN, for clients that have no way to
// log in.
func (s *Sandbox) Session() aws.Credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	role, _ := parseRole(s.RoleARN) // it is one
	keyID, given := s.beginSession(role, "session", time.Hour, false)
	return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: given.secretKey, SessionToken: given.token}
}

// assumeChainedRole answers AssumeRole to whoever signs with credentials that the
// sandbox handed out; s.mu is held.
func (s *Sandbox) assumeChainedRole(r *http.Request) answer {
	if len(s.stsErrors) > 0 {
		fail := s.stsErrors[0]
		s.stsErrors = s.stsErrors[1:]
		return s.stsError(fail)
	}
	caller, refusal := s.caller(r)
	if refusal != nil {
		return s.stsError(*refusal)
	}
	form := r.PostForm
	duration, refusal := checkSession(form)
	if refusal != nil {
		return s.stsError(*refusal)
	}
	if duration > time.Hour {
		return s.stsError(STSError{Code: "ValidationError", Message: "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"})
	}
	role, err := parseRole(form.Get("RoleArn"))
	if err != nil {
		return s.stsError(STSError{Code: "ValidationError", Message: err.Error()})
	}
	context := map[string][]string{"sts:rolesessionname": {form.Get("RoleSessionName")}}
	if form.Has("ExternalId") {
		context["sts:externalid"] = []string{form.Get("ExternalId")}
	}
	for _, action := range append([]string{"sts:AssumeRole"}, caller.passed...) {
		if policy, exists := s.roles[role.arn]; !exists || !policy.allows(action, caller.role, context) {
			return s.stsError(STSError{Code: "AccessDenied", Message: "User: " + caller.arn + " is not authorized to perform: " + action + " on resource: " + role.arn})
		}
	}
	keyID, given := s.beginSession(role, form.Get("RoleSessionName"), duration, true, caller.passed...)
	return xmlAnswer(http.StatusOK, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>%[2]s</AssumedRoleId>
      <Arn>%[3]s</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>%[4]s</AccessKeyId>
      <SecretAccessKey>%[5]s</SecretAccessKey>
      <SessionToken>%[6]s</SessionToken>
      <Expiration>%[7]s</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>%[1]s</RequestId></ResponseMetadata>
</AssumeRoleResponse>
`, given.userID, given.arn, keyID, given.secretKey, given.token, given.expires.UTC().Format(time.RFC3339))
}

// checkAssumeRole checks the form against the limits of the API reference.
func checkAssumeRole(form url.Values) (time.Duration, *STSError) {
	if n := len(form.Get("WebIdentityToken")); n < 4 || n > 20000 {
		return 0, &STSError{Code: "ValidationError", Message: "1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length between 4 and 20000"}
	}
	if form.Has("ProviderId") {
		return 0, &STSError{Code: "ValidationError", Message: "ProviderId must not be given for OpenID Connect providers"}
	}
	return checkSession(form)
}

// checkSession checks what both calls have.
func checkSession(form url.Values) (time.Duration, *STSError) {
	invalid := func(format string, args ...any) (time.Duration, *STSError) {
		return 0, &STSError{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
	}
	constraint := func(parameter, rule string) (time.Duration, *STSError) {
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must %s", parameter, rule)
	}
	if n := len(form.Get("RoleArn")); n < 20 || n > 2048 {
		return constraint("roleArn", "have length between 20 and 2048")
	}
	name := form.Get("RoleSessionName")
	if len(name) < 2 || len(name) > 64 {
		return constraint("roleSessionName", "have length between 2 and 64")
	}
	if !sessionNames.MatchString(name) {
		return constraint("roleSessionName", `satisfy regular expression pattern: [\w+=,.@-]*`)
	}
	duration := time.Hour
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 900 || seconds > 43200 {
			return constraint("durationSeconds", "be a number between 900 and 43200")
		}
		duration = time.Duration(seconds) * time.Second
	}
	if len(form.Get("Policy")) > 2048 {
		return constraint("policy", "have length less than or equal to 2048")
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

var sessionNames = regexp.MustCompile(`^[\w+=,.@-]*$`)

// callerIdentity answers GetCallerIdentity; s.mu is held.
func (s *Sandbox) callerIdentity(r *http.Request) answer {
	caller, refusal := s.caller(r)
	if refusal != nil {
		return s.stsError(*refusal)
	}
	return xmlAnswer(http.StatusOK, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>%[2]s</Arn>
    <UserId>%[3]s</UserId>
    <Account>%[4]s</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>%[1]s</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>
`, caller.arn, caller.userID, caller.account)
}

// caller returns who has signed a request to STS; s.mu is held.
func (s *Sandbox) caller(r *http.Request) (session, *STSError) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return session{}, &STSError{Code: "IncompleteSignature"}
	}
	_, region := awsService(r)
	_, caller, wrong := s.authenticate(r, body, "sts", region)
	if wrong == "" {
		return caller, nil
	}
	code := map[fault]string{unsigned: "MissingAuthenticationToken", unknownKey: "InvalidClientTokenId", oldKey: "ExpiredToken"}[wrong]
	return session{}, &STSError{Code: cmp.Or(code, "SignatureDoesNotMatch"), Message: string(wrong)}
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
	e.Status = cmp.Or(e.Status, usual.Status)
	fault := "Sender"
	if e.Status >= 500 {
		fault = "Receiver"
	}
	a := xmlAnswer(e.Status, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>%[2]s</Type>
    <Code>%[3]s</Code>
    <Message>%[4]s</Message>
  </Error>
  <RequestId>%[1]s</RequestId>
</ErrorResponse>
`, fault, e.Code, cmp.Or(e.Message, usual.Message))
	a.code = e.Code
	return a
}

// xmlAnswer fills a format in: a new request id is its first value, and the
// escaped values follow.
func xmlAnswer(status int, format string, values ...string) answer {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	requestID := fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
	escaped := []any{requestID}
	for _, value := range values {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(value)) // a Builder takes everything
		escaped = append(escaped, b.String())
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/xml"}, "X-Amzn-Requestid": {requestID}},
		body:   fmt.Appendf(nil, format, escaped...),
	}
}
