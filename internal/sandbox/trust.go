package sandbox

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// trustPolicy is a role's trust policy document, as far as it can concern
// AssumeRoleWithWebIdentity and AssumeRole.
type trustPolicy struct {
	Statement list[statement]
}

type statement struct {
	Effect    string
	Principal principal
	Action    list[string]
	Condition map[string]map[string]list[string] // operator, key, values
}

type principal struct {
	Federated, AWS list[string]
}

// UnmarshalJSON also reads "*", which means everybody.
func (p *principal) UnmarshalJSON(data []byte) error {
	if string(data) == `"*"` {
		p.Federated, p.AWS = list[string]{"*"}, list[string]{"*"}
		return nil
	}
	type plain principal
	return json.Unmarshal(data, (*plain)(p))
}

// list is one value or an array of them, as IAM allows almost everywhere.
type list[T any] []T

// UnmarshalJSON reads both forms.
func (l *list[T]) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*l = list[T]{one}
	return nil
}

// Trust creates a role, or replaces its trust policy. An empty policy is the
// usual one: every user of the sandbox's provider who comes through its client.
// The condition operators are StringEquals and StringLike; a policy with another
// one is an error, and not ignored.
func (s *Sandbox) Trust(roleARN, policy string) error {
	role, err := parseRole(roleARN)
	if err != nil {
		return err
	}
	if policy == "" {
		policy = s.usualTrust(role)
	}
	var document trustPolicy
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return fmt.Errorf("trust policy of %s: %w", roleARN, err)
	}
	if err := document.check(); err != nil {
		return fmt.Errorf("trust policy of %s: %w", roleARN, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[roleARN] = document
	return nil
}

func (s *Sandbox) usualTrust(role role) string {
	return fmt.Sprintf(`{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Principal": {"Federated": %q},
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringEquals": {%q: %q}}
  }
}`, role.provider(s.Issuer), withoutScheme(s.Issuer)+":aud", s.ClientID)
}

func (p trustPolicy) check() error {
	if len(p.Statement) == 0 {
		return errors.New("has no statement")
	}
	for _, st := range p.Statement {
		if st.Effect != "Allow" && st.Effect != "Deny" {
			return fmt.Errorf("effect %q: not Allow or Deny", st.Effect)
		}
		if len(st.Action) == 0 {
			return errors.New("statement without action")
		}
		for operator := range st.Condition {
			if operator != "StringEquals" && operator != "StringLike" {
				return fmt.Errorf("condition operator %q: not known to the sandbox", operator)
			}
		}
	}
	return nil
}

// role is a role ARN in its parts.
type role struct{ arn, partition, account, name string }

// parseRole splits arn:PARTITION:iam::ACCOUNT:role/PATH/NAME.
func parseRole(arn string) (role, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" || len(parts[4]) != 12 || !strings.HasPrefix(parts[5], "role/") {
		return role{}, fmt.Errorf("%s is invalid", arn)
	}
	return role{arn: arn, partition: parts[1], account: parts[4], name: parts[5][strings.LastIndex(parts[5], "/")+1:]}, nil
}

// provider is the ARN under which the role's account knows an issuer.
func (r role) provider(issuer string) string {
	return fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", r.partition, r.account, withoutScheme(issuer))
}

// id is the role's unique id, the same for the same role.
func (r role) id() string {
	digest := sha256.Sum256([]byte(r.arn))
	return "AROA" + base32.StdEncoding.EncodeToString(digest[:])[:17]
}

// allowed evaluates the role's trust policy; s.mu is held. Session tags and a
// source identity in the token need actions of their own.
func (s *Sandbox) allowed(r role, identity webIdentity, sessionName string) bool {
	policy, exists := s.roles[r.arn]
	if !exists {
		return false
	}
	prefix := withoutScheme(identity.issuer)
	context := map[string][]string{ // in lower case, for condition keys are matched without case
		strings.ToLower(prefix + ":aud"): identity.audiences,
		strings.ToLower(prefix + ":sub"): {identity.subject},
		prefix + ":oaud":                 identity.asked,
		"sts:rolesessionname":            {sessionName},
	}
	principal := r.provider(identity.issuer)
	if identity.builtIn {
		principal = prefix
	}
	needed := []string{"sts:AssumeRoleWithWebIdentity"}
	if identity.hasTags {
		needed = append(needed, "sts:TagSession")
	}
	if identity.sourceIdentity != "" {
		needed = append(needed, "sts:SetSourceIdentity")
	}
	for _, action := range needed {
		if !policy.allows(action, principal, context) {
			return false
		}
	}
	return true
}

// allows says whether a statement allows the action and none denies it.
func (p trustPolicy) allows(action, principal string, context map[string][]string) bool {
	allowed := false
	for _, st := range p.Statement {
		if !st.applies(action, principal, context) {
			continue
		}
		if st.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (st statement) applies(action, principal string, context map[string][]string) bool {
	named := func(pattern string) bool { return like(strings.ToLower(pattern), strings.ToLower(action)) }
	if !slices.ContainsFunc(st.Action, named) {
		return false
	}
	principals := st.Principal.Federated
	if strings.Contains(principal, ":role/") {
		principals = st.Principal.AWS
	}
	if !slices.Contains(principals, principal) && !slices.Contains(principals, "*") {
		return false
	}
	for operator, keys := range st.Condition {
		for key, wanted := range keys {
			if !holds(operator, context[strings.ToLower(key)], wanted) {
				return false
			}
		}
	}
	return true
}

// holds says whether one of the values that the request has is one of those that
// the condition wants. A key that the request lacks holds for neither operator.
func holds(operator string, have, wanted []string) bool {
	return slices.ContainsFunc(have, func(value string) bool {
		return slices.ContainsFunc(wanted, func(pattern string) bool {
			return value == pattern || operator == "StringLike" && like(pattern, value)
		})
	})
}

// like matches IAM's wildcards: * for any text, ? for one character.
func like(pattern, value string) bool {
	expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile(`(?s)^` + expression + `$`).MatchString(value)
}
