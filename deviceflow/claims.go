package deviceflow

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// maxIDToken bounds an ID token, in bytes. STS takes 20000 characters.
const maxIDToken = 64 << 10

// Claims are those of an ID token (OpenID Connect Core section 2).
type Claims struct {
	Issuer          string
	Subject         string
	Audience        []string
	AuthorizedParty string // azp, "" if absent

	Email             string
	EmailVerified     *bool // nil if absent
	PreferredUsername string
	Name              string

	IssuedAt  time.Time
	NotBefore time.Time // zero if absent
	Expires   time.Time

	// All holds every claim, with numbers as [json.Number].
	All map[string]any
}

// Inspect reads an ID token without verifying anything: for messages about one,
// not for decisions. alg is its signature algorithm (RFC 7515 section 4.1.1). With
// an error, the result holds what could be read.
func Inspect(idToken secret.String) (claims Claims, alg string, err error) {
	raw := idToken.Reveal()
	if len(raw) > maxIDToken {
		return Claims{}, "", &TokenError{Reason: fmt.Sprintf("it has %d bytes, more than %d", len(raw), maxIDToken)}
	}
	// Readers differ in what they skip in between, so nothing may be.
	if strings.ContainsFunc(raw, notCompact) {
		return Claims{}, "", &TokenError{Reason: "it is not a JSON Web Token in compact form"}
	}
	parts := strings.Split(raw, ".")
	if len(parts) == 5 {
		return Claims{}, "", &TokenError{Reason: "it is encrypted (a JWE, five parts), and AWS STS wants it signed only: " +
			"switch encryption of ID tokens off for this client (Authentik: no encryption key)"}
	}
	if len(parts) != 3 {
		return Claims{}, "", &TokenError{Reason: fmt.Sprintf("it has %d parts, a signed JSON Web Token has 3", len(parts))}
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return Claims{}, "", &TokenError{Reason: "its header does not parse: " + plain(err)}
	}
	alg = clean(textClaim(header, "alg"), 32)
	all, err := decodePart(parts[1])
	if err != nil {
		return Claims{}, alg, &TokenError{Reason: "its claims do not parse: " + plain(err)}
	}
	claims, err = readClaims(all)
	return claims, alg, err
}

func notCompact(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

func decodePart(part string) (map[string]any, error) {
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF || fields == nil {
		return nil, errors.New("not one JSON object")
	}
	return fields, nil
}

// readClaims reads the claims by their exact names (encoding/json would take
// "Email" for "email"). Those that identify must have the right type; of those
// that are shown, one of another type counts as absent.
func readClaims(all map[string]any) (Claims, error) {
	c := Claims{
		Issuer:            textClaim(all, "iss"),
		Subject:           textClaim(all, "sub"),
		AuthorizedParty:   textClaim(all, "azp"),
		Email:             textClaim(all, "email"),
		EmailVerified:     boolClaim(all, "email_verified"),
		PreferredUsername: textClaim(all, "preferred_username"),
		Name:              textClaim(all, "name"),
		All:               all,
	}
	switch aud := all["aud"].(type) {
	case string:
		c.Audience = []string{aud}
	case []any:
		for _, one := range aud {
			text, ok := one.(string)
			if !ok {
				return c, &TokenError{Claim: "aud", Reason: "claim aud holds something other than text"}
			}
			c.Audience = append(c.Audience, text)
		}
	}
	for _, name := range []string{"iss", "sub"} {
		if textClaim(all, name) == "" {
			return c, &TokenError{Claim: name, Reason: "claim " + name + " is missing or not text"}
		}
	}
	if len(c.Audience) == 0 {
		return c, &TokenError{Claim: "aud", Reason: "claim aud is missing or not text"}
	}
	if azp, there := all["azp"]; there && azp != nil && c.AuthorizedParty == "" {
		return c, &TokenError{Claim: "azp", Reason: "claim azp is not text"}
	}
	var err error
	if c.Expires, err = timeClaim(all, "exp", true); err != nil {
		return c, err
	}
	if c.IssuedAt, err = timeClaim(all, "iat", true); err != nil {
		return c, err
	}
	c.NotBefore, err = timeClaim(all, "nbf", false)
	return c, err
}

func textClaim(all map[string]any, name string) string {
	text, _ := all[name].(string)
	return text
}

// boolClaim takes a boolean, or its name as text (Amazon Cognito).
func boolClaim(all map[string]any, name string) *bool {
	switch value := all[name].(type) {
	case bool:
		return &value
	case string:
		if parsed, err := strconv.ParseBool(value); err == nil {
			return &parsed
		}
	}
	return nil
}

// timeClaim reads a NumericDate (RFC 7519 section 2): seconds, perhaps with a
// fraction; text that holds such a number too, as go-oidc does.
func timeClaim(all map[string]any, name string, required bool) (time.Time, error) {
	var number string
	switch value := all[name].(type) {
	case nil:
		if required {
			return time.Time{}, &TokenError{Claim: name, Reason: "claim " + name + " is missing"}
		}
		return time.Time{}, nil
	case json.Number:
		number = value.String()
	case string:
		number = value
	}
	const endOfYear9999 = 253402300799 // what a time can be written with
	seconds, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > endOfYear9999 {
		return time.Time{}, &TokenError{Claim: name, Reason: "claim " + name + " is not a time"}
	}
	return time.Unix(int64(seconds), 0), nil
}
