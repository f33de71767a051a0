package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OutboundIssuer is the issuer of the tokens of GetWebIdentityToken.
const OutboundIssuer = "https://1a2b3c4d.tokens.sts.global.api.aws"

func (s *Sandbox) stsRoute(r *http.Request) route {
	switch r.PostForm.Get("Action") {
	case "GetCallerIdentity":
		return route{"identity", http.MethodPost, s.callerIdentity}
	case "AssumeRole":
		return route{"sts:chained", http.MethodPost, s.assumeChainedRole}
	case "GetWebIdentityToken":
		return route{"webidentity", http.MethodPost, s.outboundToken}
	}
	return route{"sts", http.MethodPost, s.assumeRole}
}

// outboundToken answers GetWebIdentityToken; s.mu is held.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
func (s *Sandbox) outboundToken(r *http.Request) answer {
	caller, refusal := s.caller(r)
	if refusal != nil {
		return s.stsError(*refusal)
	}
	if fail, due := s.failure("webidentity"); due {
		return s.stsError(fail)
	}
	seconds := 300
	if text := r.PostForm.Get("DurationSeconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 60 || seconds > 3600 {
			return s.stsError(STSError{Code: "ValidationError", Message: "DurationSeconds must be between 60 and 3600."})
		}
	}
	expires := s.now().Add(time.Duration(seconds) * time.Second)
	audience := r.PostForm.Get("Audience.member.1")
	switch {
	case s.options.NoOutboundFederation:
		return s.stsError(STSError{Code: "OutboundWebIdentityFederationDisabledException", Status: http.StatusForbidden,
			Message: "Outbound web identity federation is not enabled for this account."})
	case r.PostForm.Get("Version") != "2011-06-15", audience == "":
		return s.stsError(STSError{Code: "ValidationError", Message: "Audience is missing."})
	case r.PostForm.Get("SigningAlgorithm") != string(jose.RS256): // ES384 is not played
		return s.stsError(STSError{Code: "ValidationError", Message: "SigningAlgorithm is not known."})
	case r.Host == "sts.amazonaws.com":
		return s.stsError(STSError{Code: "InvalidAction", Message: "The action is not available on the global endpoint."})
	case expires.After(caller.expires):
		return s.stsError(STSError{Code: "SessionDurationEscalationException", Status: http.StatusForbidden,
			Message: "The requested token duration would extend the session beyond its original expiration time."})
	}
	if s.options.OutboundTokenLife > 0 {
		expires = s.now().Add(s.options.OutboundTokenLife)
	}
	token, err := s.signAs(jose.RS256, map[string]any{
		"iss": OutboundIssuer, "aud": audience, "sub": caller.role, "iat": s.now().Unix(), "exp": expires.Unix(),
		"jti": fmt.Sprint(len(s.issued)), "https://sts.amazonaws.com/": map[string]any{"aws_account": caller.account, "principal_id": caller.arn},
	})
	if err != nil {
		return textAnswer(http.StatusInternalServerError, err.Error())
	}
	return xmlAnswer(http.StatusOK, `<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetWebIdentityTokenResult>
    <WebIdentityToken>%[2]s</WebIdentityToken>
    <Expiration>%[3]s</Expiration>
  </GetWebIdentityTokenResult>
  <ResponseMetadata><RequestId>%[1]s</RequestId></ResponseMetadata>
</GetWebIdentityTokenResponse>
`, token, expires.UTC().Format(time.RFC3339))
}
