package google

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// The document that Google's client libraries read from an executable source. They
// show the message of a failure only if the program ends with 0, and some take what
// is on stderr for a part of the document.
//
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-providers#executable-sourced-credentials
type document struct {
	Version   int    `json:"version"`
	Success   bool   `json:"success"`
	TokenType string `json:"token_type,omitempty"`
	IDToken   string `json:"id_token,omitempty"`
	Expires   int64  `json:"expiration_time,omitempty"` // Unix time
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
}

// TokenType returns the type of token that the library asks for by
// GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE: an ID token is both of those that it can be.
// Without the variable, a person looks at the document.
func TokenType(getenv func(string) string) (string, error) {
	const idToken, jwt = "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"
	switch asked := getenv("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE"); asked {
	case "", idToken:
		return idToken, nil
	case jwt:
		return jwt, nil
	default:
		return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("Google's library asks for a token of type %q, but daypass has ID tokens.", asked),
			"Set subject_token_type in its file to "+idToken)
	}
}

// Token is the document for an ID token.
func Token(tokenType string, token secret.String, expires time.Time) []byte {
	return encode(document{Success: true, TokenType: tokenType, IDToken: token.Reveal(), Expires: expires.Unix()})
}

// Failure is the document that says why there is no token, with the exit code that
// it would have been.
func Failure(exit int, message string) []byte {
	return encode(document{Code: strconv.Itoa(exit), Message: message})
}

func encode(d document) []byte {
	d.Version = 1
	text, _ := json.Marshal(d) // text and numbers
	return append(text, '\n')
}

// WriteOutputFile replaces the file that the library also looks at for the document,
// with mode 0600, whole or not at all. Anything but a regular file is left alone.
func WriteOutputFile(path string, text []byte) {
	if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() {
		_ = cache.ReplaceFile(filepath.Dir(path), filepath.Base(path), text)
	}
}
