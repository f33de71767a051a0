package idp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/secret"
)

// maxIDToken bounds an ID token, in bytes. STS takes 20000 characters.
const maxIDToken = 64 << 10

// Token is an ID token that was parsed, once. Its claims are those of OpenID
// Connect Core sections 2 and 5.1; whatever is optional is empty if it is absent.
type Token struct {
	Raw       secret.String
	Algorithm string // of the signature (RFC 7515 section 4.1.1)

	Issuer          string
	Subject         string
	Audience        []string
	AuthorizedParty string // azp, optional

	Email             string // optional, like the next three
	EmailVerified     *bool
	PreferredUsername string
	Name              string

	IssuedAt  time.Time
	NotBefore time.Time // optional
	Expires   time.Time

	All   map[string]any // every claim, with numbers as [json.Number]
	keyID string         // kid, "" if the header has none
}

// Parse reads an ID token without verifying anything: for messages about one, or
// for one that was verified when it came. With an error, the result holds what
// could be read. The cause of an error is a [*TokenError].
func Parse(raw secret.String) (Token, error) {
	t := Token{Raw: raw}
	text := raw.Reveal()
	parts := strings.Split(text, ".")
	switch {
	case len(text) > maxIDToken:
		return t, badToken("Ask whoever runs {host} for fewer groups or claims in it.", "it has %d bytes, more than %d", len(text), maxIDToken)
	case len(parts) == 5:
		return t, badToken("Have encryption of ID tokens switched off for the client (Authentik: no encryption key).",
			"it is encrypted (a JWE, five parts), but AWS STS accepts signed ones only")
	// Readers differ in what they skip in between, so nothing may be.
	case len(parts) != 3, strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "":
		return t, badToken(tellProvider, "it is not a signed JSON Web Token in compact form")
	}
	header, err := decodePart(parts[0])
	if err != nil {
		return t, badToken(tellProvider, "its header does not parse: %s", plain(err))
	}
	t.Algorithm, t.keyID = clean(textClaim(header, "alg"), 32), textClaim(header, "kid")
	if t.All, err = decodePart(parts[1]); err != nil {
		return t, badToken(tellProvider, "its claims do not parse: %s", plain(err))
	}
	if err := t.readClaims(); err != nil {
		return t, badToken(tellProvider, "%s", err)
	}
	return t, nil
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
func (t *Token) readClaims() error {
	t.Email, t.PreferredUsername, t.Name = textClaim(t.All, "email"), textClaim(t.All, "preferred_username"), textClaim(t.All, "name")
	if verified, err := strconv.ParseBool(fmt.Sprint(t.All["email_verified"])); err == nil { // text at Amazon Cognito
		t.EmailVerified = &verified
	}
	switch aud := t.All["aud"].(type) {
	case string:
		t.Audience = []string{aud}
	case []any:
		for _, one := range aud {
			text, ok := one.(string)
			if !ok {
				return errors.New("claim aud holds something other than text")
			}
			t.Audience = append(t.Audience, text)
		}
	}
	t.Issuer, t.Subject, t.AuthorizedParty = textClaim(t.All, "iss"), textClaim(t.All, "sub"), textClaim(t.All, "azp")
	switch {
	case t.Issuer == "":
		return errors.New("claim iss is missing or not text")
	case t.Subject == "":
		return errors.New("claim sub is missing or not text")
	case len(t.Audience) == 0:
		return errors.New("claim aud is missing or not text")
	case t.AuthorizedParty == "" && t.All["azp"] != nil:
		return errors.New("claim azp is not text")
	}
	for name, at := range map[string]*time.Time{"exp": &t.Expires, "iat": &t.IssuedAt, "nbf": &t.NotBefore} {
		value := t.All[name]
		switch {
		case value == nil && name == "nbf":
			continue
		case value == nil:
			return fmt.Errorf("claim %s is missing", name)
		}
		// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction; or text
		// that holds such a number, as go-oidc accepts it too.
		const endOfYear9999 = 253402300799 // what a time can be written with
		seconds, err := strconv.ParseFloat(fmt.Sprint(value), 64)
		if err != nil || !(0 <= seconds && seconds <= endOfYear9999) {
			return fmt.Errorf("claim %s is not a time", name)
		}
		*at = time.Unix(int64(seconds), 0)
	}
	return nil
}

func textClaim(all map[string]any, name string) string {
	text, _ := all[name].(string)
	return text
}

// AskedActions returns the actions that a role's trust policy must allow in addition to
// sts:AssumeRoleWithWebIdentity, because the token asks for them. Otherwise AWS refuses
// the whole call.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
func (t Token) AskedActions() []string {
	const tags = "https://aws.amazon.com/tags"
	var actions []string
	for claim := range t.All {
		// Nested, or flat if the provider has no nested claims:
		// https://aws.amazon.com/tags/principal_tags/NAME
		if claim == tags || strings.HasPrefix(claim, tags+"/") {
			actions = []string{"sts:TagSession"}
		}
	}
	if _, ok := t.All["https://aws.amazon.com/source_identity"]; ok {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// PassedActions returns those of the AskedActions that a role must allow as well if it
// is assumed by a role of the token's session: a source identity goes on to it, and so
// do the tags if the token makes some of them transitive.
func (t Token) PassedActions() []string {
	tags, _ := t.All["https://aws.amazon.com/tags"].(map[string]any)
	_, flat := t.All["https://aws.amazon.com/tags/transitive_tag_keys"]
	if _, nested := tags["transitive_tag_keys"]; flat || nested {
		return t.AskedActions()
	}
	return slices.DeleteFunc(t.AskedActions(), func(action string) bool { return action == "sts:TagSession" })
}
