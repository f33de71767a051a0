package process

import (
	"fmt"
	"strings"

	"github.com/daypass/daypass/idp"
)

// sessionName fills the template with claims of the ID token: CloudTrail and the
// ARN of the session show the name. Without a template it is the e-mail address,
// unless the provider says that it is not verified; else the preferred user name;
// else the subject. It is the subject as well if nothing is left of a name in
// another script, which would make everybody the same "--@--.jp".
//
// It consists of what AssumeRoleWithWebIdentity accepts: [\w+=,.@-]{2,64}, ASCII.
func sessionName(template string, t idp.Token) (string, error) {
	if template == "" {
		template = "{sub}"
		if t.PreferredUsername != "" {
			template = "{preferred_username}"
		}
		if t.Email != "" && (t.EmailVerified == nil || *t.EmailVerified) {
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
		value, err := claimText(t.All, claim)
		if err != nil {
			return "", fmt.Errorf("daypass_session_name %q: %w", template, err)
		}
		name.WriteString(value)
		rest = tail
	}
	clean := sanitise(name.String())
	if local, _, _ := strings.Cut(clean, "@"); !strings.ContainsFunc(local, isAlphanumeric) || countAlphanumeric(clean) < 2 {
		clean = sanitise(t.Subject)
	}
	return clean, nil
}

// claimText is a claim as text: a string, a number or a truth value.
func claimText(claims map[string]any, name string) (string, error) {
	switch value := claims[name].(type) {
	case nil:
		return "", fmt.Errorf("the ID token has no claim %q", name)
	case string:
		return value, nil
	case map[string]any, []any:
		return "", fmt.Errorf("the claim %q is not text", name)
	default:
		return fmt.Sprint(value), nil
	}
}

// sanitise maps what AWS does not accept to "-", and keeps 2 to 64 characters.
func sanitise(name string) string {
	clean := strings.Map(func(r rune) rune {
		if isAlphanumeric(r) || strings.ContainsRune("_+=,.@-", r) {
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

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func countAlphanumeric(text string) int {
	n := 0
	for _, r := range text {
		if isAlphanumeric(r) {
			n++
		}
	}
	return n
}
