package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/internal/sandbox"
)

// document is a trust policy for the sandbox's provider. In the condition, ISS
// stands for the provider's name in condition keys.
func document(s *sandbox.Sandbox, actions, condition string) string {
	name := strings.TrimPrefix(s.Issuer, "http://")
	if condition == "" {
		condition = `"StringEquals": {"ISS:aud": "daypass-sandbox"}`
	}
	return fmt.Sprintf(`{
		"Version": "2012-10-17",
		"Statement": [{
			"Effect": "Allow",
			"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/%s"},
			"Action": %s,
			"Condition": {%s}
		}]
	}`, name, actions, strings.ReplaceAll(condition, "ISS", name))
}

func trust(t *testing.T, s *sandbox.Sandbox, actions, condition string) {
	t.Helper()
	if err := s.Trust(s.RoleARN, document(s, actions, condition)); err != nil {
		t.Fatal(err)
	}
}

func TestTrustConditions(t *testing.T) {
	tests := map[string]struct {
		issuerSlash bool
		condition   string
		allowed     bool
	}{
		"right audience":                {condition: `"StringEquals": {"ISS:aud": "daypass-sandbox"}`, allowed: true},
		"right audience, issuer slash":  {issuerSlash: true, condition: `"StringEquals": {"ISS:aud": "daypass-sandbox"}`, allowed: true},
		"key without the slash":         {issuerSlash: true, condition: `"StringEquals": {"127.0.0.1/idp:aud": "daypass-sandbox"}`},
		"one of several audiences":      {condition: `"StringEquals": {"ISS:aud": ["a", "daypass-sandbox"]}`, allowed: true},
		"wrong audience":                {condition: `"StringEquals": {"ISS:aud": "other"}`},
		"right subject":                 {condition: `"StringEquals": {"ISS:aud": "daypass-sandbox", "ISS:sub": "sandbox|taro"}`, allowed: true},
		"wrong subject":                 {condition: `"StringEquals": {"ISS:aud": "daypass-sandbox", "ISS:sub": "sandbox|jiro"}`},
		"subject like":                  {condition: `"StringLike": {"ISS:sub": "sandbox|*"}`, allowed: true},
		"subject like, one byte":        {condition: `"StringLike": {"ISS:sub": "*|tar?"}`, allowed: true},
		"subject not like":              {condition: `"StringLike": {"ISS:sub": "auth0|*"}`},
		"wildcards are text to equals":  {condition: `"StringEquals": {"ISS:sub": "sandbox|*"}`},
		"both operators must hold":      {condition: `"StringEquals": {"ISS:aud": "other"}, "StringLike": {"ISS:sub": "*"}`},
		"unknown key":                   {condition: `"StringEquals": {"ISS:email": "taro@example.com"}`},
		"unknown key, negated":          {condition: `"StringNotEquals": {"ISS:email": "taro@example.com"}`, allowed: true},
		"not this subject":              {condition: `"StringNotLike": {"ISS:sub": "sandbox|t*"}`},
		"azp that the token lacks":      {condition: `"StringEquals": {"ISS:azp": "daypass-sandbox"}`},
		"session name":                  {condition: `"StringLike": {"sts:RoleSessionName": "ta*"}`, allowed: true},
		"keys are matched without case": {condition: `"StringEquals": {"ISS:AUD": "daypass-sandbox"}`, allowed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, sandbox.Options{IssuerSlash: test.issuerSlash})
			trust(t, s, `"sts:AssumeRoleWithWebIdentity"`, test.condition)
			checkTrust(t, s, test.allowed)
		})
	}
}

func checkTrust(t *testing.T, s *sandbox.Sandbox, allowed bool) {
	t.Helper()
	_, err := assume(t, s, sts.AssumeRoleWithWebIdentityInput{
		RoleArn:          aws.String(s.RoleARN),
		RoleSessionName:  aws.String("taro"),
		WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
	})
	if allowed {
		checkError(t, err, "", 0, "")
	} else {
		checkError(t, err, "AccessDenied", 403, "")
	}
}

func TestTrustStatements(t *testing.T) {
	tests := map[string]struct {
		policy  func(s *sandbox.Sandbox) string
		allowed bool
	}{
		"the usual one": {policy: func(*sandbox.Sandbox) string { return "" }, allowed: true},
		"another action": {policy: func(s *sandbox.Sandbox) string {
			return document(s, `"sts:AssumeRole"`, "")
		}},
		"provider of another account": {policy: func(s *sandbox.Sandbox) string {
			return strings.Replace(document(s, `"sts:AssumeRoleWithWebIdentity"`, ""), "111122223333", "444455556666", 1)
		}},
		"provider with a slash too many": {policy: func(s *sandbox.Sandbox) string {
			return strings.Replace(document(s, `"sts:AssumeRoleWithWebIdentity"`, ""), `/idp"`, `/idp/"`, 1)
		}},
		"an AWS principal": {policy: func(s *sandbox.Sandbox) string {
			return `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:*"}}`
		}},
		"everybody": {policy: func(s *sandbox.Sandbox) string {
			return `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}}`
		}, allowed: true},
		"a denial wins": {policy: func(s *sandbox.Sandbox) string {
			return `{"Statement": [
				{"Effect": "Allow", "Principal": "*", "Action": "sts:*"},
				{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity"}]}`
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := start(t, sandbox.Options{})
			if err := s.Trust(s.RoleARN, test.policy(s)); err != nil {
				t.Fatal(err)
			}
			checkTrust(t, s, test.allowed)
		})
	}
}

func TestTrustOfOtherRoles(t *testing.T) {
	for _, arn := range []string{
		"arn:aws:iam::444455556666:role/team/core/Admin",
		"arn:aws-us-gov:iam::444455556666:role/Admin",
	} {
		s, _ := start(t, sandbox.Options{})
		if err := s.Trust(arn, ""); err != nil {
			t.Fatal(err)
		}
		got, err := assume(t, s, sts.AssumeRoleWithWebIdentityInput{
			RoleArn:          aws.String(arn),
			RoleSessionName:  aws.String("taro"),
			WebIdentityToken: aws.String(logIn(t, s).string("id_token")),
		})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(strings.Replace(strings.Replace(arn, ":iam:", ":sts:", 1), ":role/", ":assumed-role/", 1), "team/core/", "", 1) + "/taro"
		if *got.AssumedRoleUser.Arn != want {
			t.Errorf("ARN = %q, want %q", *got.AssumedRoleUser.Arn, want)
		}
	}
}

func TestTrustRefusesWhatItCannotJudge(t *testing.T) {
	s, _ := start(t, sandbox.Options{})
	for name, policy := range map[string]string{
		"not JSON":         `{`,
		"no statement":     `{"Version": "2012-10-17"}`,
		"no action":        `{"Statement": {"Effect": "Allow", "Principal": "*"}}`,
		"effect":           `{"Statement": {"Effect": "allow", "Principal": "*", "Action": "sts:*"}}`,
		"unknown operator": document(s, `"sts:*"`, `"ForAnyValue:StringLike": {"ISS:aud": "*"}`),
	} {
		if err := s.Trust(s.RoleARN, policy); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := s.Trust("arn:aws:iam::111122223333:user/taro", ""); err == nil {
		t.Error("trust of a user accepted")
	}
}
