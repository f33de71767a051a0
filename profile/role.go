package profile

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// readRole fills in which role is assumed, for how long and how narrowly.
func (p *Profile) readRole(own settings) error {
	role, err := own.required("daypass_role_arn", "the role to assume, arn:aws:iam::ACCOUNT:role/NAME")
	if err != nil {
		return err
	}
	arn, ok := parseIAM(role.value, "role/")
	if !ok || !isAccount(arn.account) {
		return role.wrong(arnHint(role.value), "want the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME, the account in 12 digits")
	}
	if partitionNamed(arn.partition) == nil {
		return role.wrong("", "there is no partition %s; want one of %s", shown(arn.partition), strings.Join(partitionNames(), ", "))
	}
	p.RoleARN, p.AccountID, p.RoleName, p.Partition = role.value, arn.account, arn.name, arn.partition
	if p.Duration, err = readDuration(own.get("daypass_duration"), time.Hour, 15*time.Minute, 12*time.Hour, "15m to 12h"); err != nil {
		return err
	}
	if p.SessionName, err = readSessionName(own.get("daypass_session_name")); err != nil {
		return err
	}
	if p.PolicyARNs, err = readPolicyARNs(own.get("daypass_policy_arns"), arn); err != nil {
		return err
	}
	p.Policy, err = readPolicy(own.get("daypass_policy"))
	return err
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

// arnHint tells what people paste instead of a role's ARN.
func arnHint(value string) string {
	switch {
	case strings.Contains(value, ":assumed-role/"):
		return "this names a session of a role; the role itself is arn:aws:iam::ACCOUNT:role/NAME"
	case strings.Contains(value, ":instance-profile/"):
		return "this names an instance profile; take the ARN of its role"
	case strings.Contains(value, "*"):
		return "a role is named without wildcards"
	}
	return ""
}

// readPolicyARNs reads managed policies, separated by commas or spaces. STS
// takes ten, of the role's own account or of AWS.
func readPolicyARNs(s setting, role iamARN) ([]string, error) {
	if s.value == "" {
		return nil, nil
	}
	arns := strings.FieldsFunc(s.value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(arns) > 10 {
		return nil, s.wrong("", "want at most 10 policies, not %d", len(arns))
	}
	for _, text := range arns {
		arn, ok := parseIAM(text, "policy/")
		if !ok || arn.account != "aws" && !isAccount(arn.account) {
			return nil, s.wrong("", "%s is not the ARN of a policy; want arn:aws:iam::ACCOUNT:policy/NAME, separated by commas", shown(text))
		}
		if arn.partition != role.partition || arn.account != "aws" && arn.account != role.account {
			return nil, s.wrong("", "%s is not in the account and partition of the role", shown(text))
		}
	}
	return arns, nil
}

// readPolicy reads an inline session policy: a JSON object of at most 2048
// characters of Latin-1 (STS API reference, AssumeRoleWithWebIdentity, Policy).
func readPolicy(s setting) (string, error) {
	if s.value == "" {
		return "", nil
	}
	if n := utf8.RuneCountInString(s.value); n > 2048 {
		return "", s.wrong("", "%d characters; a session policy has at most 2048", n)
	}
	if !json.Valid([]byte(s.value)) || !strings.HasPrefix(strings.TrimSpace(s.value), "{") {
		return "", s.wrong(`the policy must stand on one line, or on lines that are indented; " #" and " ;" begin a comment`, "want a policy in JSON, {...}")
	}
	if strings.ContainsFunc(s.value, func(r rune) bool { return r > 0xff }) {
		return "", s.wrong(`write other characters as \u....`, "AWS takes only Latin-1 characters in a session policy")
	}
	return s.value, nil
}
