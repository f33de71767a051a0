package process

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/daypass/daypass/idp"
)

// sessionName fills the template with claims of the ID token: CloudTrail and the
// ARN of the session show the name. Without a template it is the e-mail address,
// unless the provider says that it is not verified, else the preferred user name,
// else the subject; it is the subject as well if nothing is left of a name in
// another script, which would make everybody the same "--@--.jp".
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
	var missing error
	name := regexp.MustCompile(`\{([^}]*)\}?`).ReplaceAllStringFunc(template, func(placeholder string) string {
		claim, closed := strings.CutSuffix(placeholder[1:], "}")
		value, err := claimText(t.All, claim)
		if !closed {
			err = errors.New("a { is not closed")
		}
		if err != nil && missing == nil {
			missing = fmt.Errorf("daypass_session_name %q: %w", template, err)
		}
		return value
	})
	if missing != nil {
		return "", missing
	}
	name = sanitise(name)
	letter := regexp.MustCompile(`[0-9A-Za-z]`)
	if local, _, _ := strings.Cut(name, "@"); !letter.MatchString(local) || len(letter.FindAllString(name, 2)) < 2 {
		name = sanitise(t.Subject)
	}
	return name, nil
}

// claimText is a claim as text: a string, a number or a truth value.
func claimText(claims map[string]any, name string) (string, error) {
	switch value := claims[name].(type) {
	case nil:
		return "", fmt.Errorf("the ID token has no claim %q", name)
	case map[string]any, []any:
		return "", fmt.Errorf("the claim %q is not text", name)
	default:
		return fmt.Sprint(value), nil
	}
}

// sanitise makes of a name what AssumeRoleWithWebIdentity accepts:
// [\w+=,.@-]{2,64}, ASCII.
func sanitise(name string) string {
	name = regexp.MustCompile(`[^\w+=,.@-]`).ReplaceAllString(name, "-")
	return name[:min(len(name), 64)] + strings.Repeat("-", max(0, 2-len(name)))
}
