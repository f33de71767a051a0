package process

import (
	"fmt"
	"strings"

	"github.com/daypass/daypass/deviceflow"
	"github.com/daypass/daypass/secret"
)

// sessionName fills the template with claims of the ID token: the name stands in
// CloudTrail and in the ARN of the session. Without a template it is the e-mail
// address, unless the provider says it is not verified; else the preferred user
// name; else the subject.
//
// It is made of what AssumeRoleWithWebIdentity takes: [\w+=,.@-]{2,64}, ASCII.
func sessionName(template string, idToken secret.String) (string, error) {
	c, _, err := deviceflow.Inspect(idToken)
	if err != nil {
		return "", err
	}
	if template == "" {
		template = "{sub}"
		if c.PreferredUsername != "" {
			template = "{preferred_username}"
		}
		if c.Email != "" && (c.EmailVerified == nil || *c.EmailVerified) {
			template = "{email}"
		}
	}
	var name strings.Builder
	for rest := template; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		name.WriteString(before)
		if !found {
			break
		}
		claim, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("daypass_session_name %q: a { is not closed", template)
		}
		value, err := claimText(c.All, claim)
		if err != nil {
			return "", fmt.Errorf("daypass_session_name %q: %w", template, err)
		}
		name.WriteString(value)
		rest = tail
	}
	return sanitise(name.String()), nil
}

// claimText is a claim as text: a string, a number or a truth value.
func claimText(claims map[string]any, name string) (string, error) {
	switch value := claims[name].(type) {
	case nil:
		return "", fmt.Errorf("the ID token has no claim %q", name)
	case string:
		return value, nil
	case map[string]any, []any:
		return "", fmt.Errorf("the claim %q is not a text", name)
	default:
		return fmt.Sprint(value), nil
	}
}

// sanitise maps what AWS does not take to "-", and keeps 2 to 64 characters.
func sanitise(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+=,.@-", r) {
			return r
		}
		return '-'
	}, name)
	if len(clean) > 64 {
		clean = clean[:64]
	}
	for len(clean) < 2 {
		clean += "-"
	}
	return clean
}
