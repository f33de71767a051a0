package sandbox

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// requestSignature is an Authorization header of Signature Version 4,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
type requestSignature struct {
	header        string
	credential    []string // key id, date, region, service, "aws4_request"
	signedHeaders []string
}

// parseSignature returns false if the request is not signed.
func parseSignature(r *http.Request) (requestSignature, bool) {
	parsed := requestSignature{header: r.Header.Get("Authorization")}
	fields, found := strings.CutPrefix(parsed.header, "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			parsed.credential = strings.Split(value, "/")
		case "SignedHeaders":
			parsed.signedHeaders = strings.Split(value, ";")
		}
	}
	return parsed, found && len(parsed.credential) == 5
}

func (s requestSignature) keyID() string { return s.credential[0] }

// fault is what is wrong with the signature of a request.
type fault string

// The faults, in the words of AWS.
const (
	unsigned   fault = "Missing Authentication Token"
	unknownKey fault = "The security token included in the request is invalid."
	mismatch   fault = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	badScope   fault = "Credential should be scoped to a valid region and to the service that is called."
	oldKey     fault = "The security token included in the request is expired"
)

// authenticate returns who has signed a request to a service; s.mu is held. The
// region "" is any. The date of the signature is not compared with the clock, which
// may be a test's.
func (s *Sandbox) authenticate(r *http.Request, body []byte, service, region string) (requestSignature, session, fault) {
	signature, signed := parseSignature(r)
	if !signed {
		return signature, session{}, unsigned
	}
	caller, known := s.sessions[signature.keyID()]
	switch {
	case !known || r.Header.Get("X-Amz-Security-Token") != caller.token:
		return signature, caller, unknownKey
	case signature.credential[3] != service || region != "" && signature.credential[2] != region:
		return signature, caller, badScope
	case !signature.matches(r, body, caller):
		return signature, caller, mismatch
	case !s.now().Before(caller.expires):
		return signature, caller, oldKey
	}
	return signature, caller, ""
}

// matches signs the request anew, as its sender should have done, and compares.
func (s requestSignature) matches(r *http.Request, body []byte, caller session) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again := r.Clone(context.Background())
	again.URL.Host = r.Host
	again.Header = http.Header{}
	for _, name := range s.signedHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if !slices.Contains(s.signedHeaders, "content-length") {
		again.ContentLength = 0
	}
	digest := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: s.keyID(), SecretAccessKey: caller.secretKey, SessionToken: caller.token}
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(digest[:]), s.credential[3], s.credential[2], at)
	// Some clients put no blanks between the fields.
	compact := func(header string) []byte { return []byte(strings.ReplaceAll(header, ", ", ",")) }
	return err == nil && subtle.ConstantTimeCompare(compact(again.Header.Get("Authorization")), compact(s.header)) == 1
}
