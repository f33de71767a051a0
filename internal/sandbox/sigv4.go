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
