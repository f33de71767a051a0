package profile

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// readRole fills in which role is assumed, for how long and how narrowly.
func (p *Profile) readRole(own *settings) {
	role := own.required("daypass_role_arn", "the role to assume, arn:aws:iam::ACCOUNT:role/NAME")
	arn, ok := parseIAM(role.value, "role/")
	if !ok || !isAccount(arn.account) {
		own.fail(role.wrong(arnHint(role.value), "want the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME, the account in 12 digits"))
	}
	if _, ok := PartitionNamed(arn.partition); !ok {
		own.fail(role.wrong("", "there is no partition %s; want one of %s", shown(arn.partition), strings.Join(partitionNames(), ", ")))
	}
	p.RoleARN, p.AccountID, p.RoleName, p.Partition = role.value, arn.account, arn.name, arn.partition
	p.Duration = own.duration("daypass_duration", time.Hour, 15*time.Minute, 12*time.Hour, "15m to 12h")
	p.SessionName = own.sessionName()
	p.PolicyARNs = own.policyARNs(arn)
	p.Policy = own.policy()
}

// iamARN is an IAM ARN in its parts.
type iamARN struct{ partition, account, name string }

// parseIAM reads arn:PARTITION:iam::ACCOUNT:KIND/path/name. Lengths and
// characters are those of the IAM and STS API references (RoleArn, path, role
// and policy names).
func parseIAM(text, kind string) (iamARN, bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || len(text) < 20 || len(text) > 2048 ||
		parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return iamARN{}, false
	}
	path, found := strings.CutPrefix(parts[5], kind)
	if !found || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return iamARN{}, false
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	most := 64
	if kind == "policy/" {
		most = 128
	}
	if name == "" || len(name) > most || strings.HasPrefix(path, "/") || strings.Trim(name, nameCharacters) != "" {
		return iamARN{}, false
	}
	return iamARN{partition: parts[1], account: parts[4], name: name}, true
}

// nameCharacters are those of IAM names: [\w+=,.@-].
const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// arnHint recognizes what people paste instead of a role's ARN.
func arnHint(value string) string {
	switch {
	case strings.Contains(value, ":assumed-role/"):
		return "This names a session of a role; the role itself is arn:aws:iam::ACCOUNT:role/NAME."
	case strings.Contains(value, "*"):
		return "A role is named without wildcards."
	}
	return ""
}

// sessionName checks the form of a template: text and {claim}, where a claim name
// is anything without braces (Auth0 names claims by URL).
func (s *settings) sessionName() string {
	const most = 256 // AWS accepts 64 characters of what it becomes
	got := s.get("daypass_session_name")
	if len(got.value) > most {
		s.fail(got.wrong("", "want at most %d characters", most))
	}
	for rest := got.value; rest != ""; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			break
		}
		size := strings.IndexAny(rest[open+1:], "{}")
		if rest[open] == '}' || size < 0 || rest[open+1+size] == '{' {
			s.fail(got.wrong("", "want text and {claim}, as in {email}; a brace stands alone"))
			break
		}
		if strings.TrimSpace(rest[open+1:open+1+size]) == "" {
			s.fail(got.wrong("", "want the name of a claim between the braces, as in {email}"))
		}
		rest = rest[open+1+size+1:]
	}
	return got.value
}

// policyARNs reads managed policies, separated by commas or spaces. STS accepts
// ten, of the role's own account or of AWS.
func (s *settings) policyARNs(role iamARN) []string {
	got := s.get("daypass_policy_arns")
	if got.value == "" {
		return nil
	}
	arns := strings.FieldsFunc(got.value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(arns) > 10 {
		s.fail(got.wrong("", "want at most 10 policies, not %d", len(arns)))
	}
	for _, text := range arns {
		arn, ok := parseIAM(text, "policy/")
		switch {
		case !ok || arn.account != "aws" && !isAccount(arn.account):
			s.fail(got.wrong("", "%s is not the ARN of a policy; want arn:aws:iam::ACCOUNT:policy/NAME, separated by commas", shown(text)))
		case arn.partition != role.partition || arn.account != "aws" && arn.account != role.account:
			s.fail(got.wrong("", "%s is not in the account and partition of the role", shown(text)))
		}
	}
	return arns
}

// policy reads an inline session policy: a JSON object of at most 2048 characters
// of Latin-1 (STS API reference, AssumeRoleWithWebIdentity, Policy).
func (s *settings) policy() string {
	got := s.get("daypass_policy")
	switch n := utf8.RuneCountInString(got.value); {
	case n == 0:
	case n > 2048:
		s.fail(got.wrong("", "%d characters; a session policy has at most 2048", n))
	case !json.Valid([]byte(got.value)) || !strings.HasPrefix(strings.TrimSpace(got.value), "{"):
		s.fail(got.wrong(`Write the policy on one line, or indent its further lines. " #" and " ;" begin a comment.`, "want a policy in JSON, {...}"))
	case strings.ContainsFunc(got.value, func(r rune) bool { return r > 0xff }):
		s.fail(got.wrong(`Write other characters as \u....`, "AWS accepts only Latin-1 characters in a session policy"))
	}
	return got.value
}
