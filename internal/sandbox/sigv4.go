package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

const sigv4Algorithm = "AWS4-HMAC-SHA256"

// requestSignature is an Authorization header of Signature Version 4,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
type requestSignature struct {
	keyID         string
	scope         []string // date, region, service, "aws4_request"
	signedHeaders string
	signature     string
}

func parseSignature(r *http.Request) (requestSignature, error) {
	fields, found := strings.CutPrefix(r.Header.Get("Authorization"), sigv4Algorithm+" ")
	if !found {
		return requestSignature{}, errors.New("not signed")
	}
	var parsed requestSignature
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			keyID, scope, _ := strings.Cut(value, "/")
			parsed.keyID, parsed.scope = keyID, strings.Split(scope, "/")
		case "SignedHeaders":
			parsed.signedHeaders = value
		case "Signature":
			parsed.signature = value
		}
	}
	if len(parsed.scope) != 4 || parsed.scope[3] != "aws4_request" || parsed.signedHeaders == "" || parsed.signature == "" {
		return requestSignature{}, errors.New("malformed signature")
	}
	return parsed, nil
}

// matches calculates the signature anew with the secret key and compares.
func (s requestSignature) matches(r *http.Request, body []byte, secretKey string) bool {
	var headers strings.Builder
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host": // net/http keeps these two out of the header map
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	digest := sha256.Sum256(body)
	canonical := sha256.Sum256([]byte(strings.Join([]string{
		r.Method,
		r.URL.EscapedPath(),
		strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20"),
		headers.String(),
		s.signedHeaders,
		hex.EncodeToString(digest[:]),
	}, "\n")))
	key := []byte("AWS4" + secretKey)
	for _, part := range s.scope {
		key = sign(key, part)
	}
	want := sign(key, strings.Join([]string{
		sigv4Algorithm,
		r.Header.Get("X-Amz-Date"),
		strings.Join(s.scope, "/"),
		hex.EncodeToString(canonical[:]),
	}, "\n"))
	return hmac.Equal([]byte(hex.EncodeToString(want)), []byte(s.signature))
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
