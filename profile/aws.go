package profile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daypass/daypass/address"
)

// readRole fills in which role is assumed, for how long and how narrowly.
func (p *Profile) readRole(own *settings) {
	role := own.required("daypass_role_arn", "the role to assume, arn:aws:iam::ACCOUNT:role/NAME")
	arn, ok := parseIAM(role.value, "role")
	at, exists := address.PartitionNamed(arn.partition)
	if !ok || !exists || !isAccount(arn.account) {
		hint := ""
		if strings.Contains(role.value, ":assumed-role/") { // what people paste instead
			hint = "This names a session of a role; the role itself is arn:aws:iam::ACCOUNT:role/NAME."
		}
		own.fail(role.wrong(hint, "want the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME, the account in 12 digits"))
	}
	p.RoleARN, p.AccountID, p.RoleName, p.Partition = role.value, arn.account, arn.name, arn.partition
	most, want := 12*time.Hour, "15m to 12h"
	if p.Source != nil { // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html (role chaining)
		most, want = time.Hour, "15m to 1h, for AWS ends sessions of chained roles after an hour"
	}
	p.Duration = own.duration("daypass_duration", time.Hour, 15*time.Minute, most, want)
	p.SessionName = own.sessionName()
	p.PolicyARNs = own.policyARNs(arn)
	p.Policy = own.policy()
	if own.err == nil {
		p.readEndpoints(own, at)
	}
}

// iamARN is an IAM ARN in its parts.
type iamARN struct{ partition, account, name string }

// parseIAM reads arn:PARTITION:iam::ACCOUNT:KIND/path/name. Lengths and
// characters are those of the IAM and STS API references (RoleArn, path, role
// and policy names). It is on the way to each cached answer, where compiling a
// regular expression would show.
func parseIAM(text, kind string) (iamARN, bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || len(text) < 20 || len(text) > 2048 ||
		parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return iamARN{}, false
	}
	path, found := strings.CutPrefix(parts[5], kind+"/")
	if !found || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return iamARN{}, false
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	most := 64
	if kind == "policy" {
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

// sessionName checks the form of a template: text and {claim}, where a claim name
// is anything without braces (Auth0 names claims by URL).
func (s *settings) sessionName() string {
	const most = 256 // AWS accepts 64 characters of what it becomes
	got := s.get("daypass_session_name")
	if len(got.value) > most {
		s.fail(got.wrong("", "want at most %d characters", most))
	}
	for i, part := range strings.Split(got.value, "{") {
		claim, text, closed := strings.Cut(part, "}")
		switch {
		case closed != (i > 0) || strings.Contains(text, "}"):
			s.fail(got.wrong("", "want text and {claim}, as in {email}; a brace has no partner"))
		case closed && strings.TrimSpace(claim) == "":
			s.fail(got.wrong("", "want the name of a claim between the braces, as in {email}"))
		}
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
		arn, ok := parseIAM(text, "policy")
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

// readEndpoints fills in the region, and where STS and the console's sign-in are.
func (p *Profile) readEndpoints(own *settings, at address.Partition) {
	p.Region = own.region(at)
	p.UseFIPS = own.enabled("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")
	p.UseDualStack = own.enabled("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
	if p.AWSCABundle = own.src.getenv("AWS_CA_BUNDLE"); p.AWSCABundle == "" {
		p.AWSCABundle = own.path(own.inFile("ca_bundle"))
	}
	p.STSEndpoint = p.endpoint(own, "daypass_sts_endpoint", "sts", at)
	p.SigninEndpoint = p.endpoint(own, "daypass_signin_endpoint", "signin", at)
}

// region returns the region of the flag, else the environment's, else the
// profile's, else "". AWS has no role of one partition in the regions of another.
func (s *settings) region(at address.Partition) string {
	for _, got := range []setting{
		{"--region", s.src.Flags["region"]}, s.variable("AWS_REGION"), s.variable("AWS_DEFAULT_REGION"), s.inFile("region"),
	} {
		switch {
		case got.value == "":
			continue
		case !address.IsRegion(got.value):
			s.fail(got.wrong("", "want a region such as %s", at.DefaultRegion))
		case address.PartitionOf(got.value) != at.Name:
			s.fail(got.wrong("Set the region to one of "+at.Name+", or correct daypass_role_arn.",
				"this region is in partition %s, but the role is in %s", address.PartitionOf(got.value), at.Name))
		}
		return got.value
	}
	return ""
}

// enabled reads a switch of the SDKs: the variable, else the profile's key.
func (s *settings) enabled(variable, key string) bool {
	got := s.variable(variable)
	if got.value == "" {
		got = s.inFile(key)
	}
	switch strings.ToLower(got.value) {
	case "", "false":
		return false
	case "true":
		return true
	}
	s.fail(got.wrong("", "want true or false"))
	return false
}

// ServiceURL returns the address of a service, such as "secretsmanager", in a region
// of the role's partition: what the environment names, by the rules for STS, else
// AWS's own. Every error is a [*failure.Error].
func (p Profile) ServiceURL(getenv func(string) string, service, region string) (string, error) {
	at, _ := address.PartitionNamed(p.Partition)
	s := &settings{src: Source{Getenv: getenv}}
	named := p.endpoint(s, "", service, at)
	return cmp.Or(named, "https://"+at.ServiceHost(service, region, p.UseFIPS, p.UseDualStack)), s.err
}

// endpoint returns the URL under which a service is called; "" is the partition's own.
// The profile or the flag wins, and may name any host; a key of "" has neither. The
// environment is read as the SDKs do
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
//
// Whoever is called gets a login or credentials, and neither request is signed
// with anything that a stranger could not use. A variable that some script left
// behind must not be enough for that: it may name AWS's own host, and this machine
// if the provider is on it too, as in tests.
func (p *Profile) endpoint(s *settings, key, service string, at address.Partition) string {
	got := setting{}
	if key != "" {
		got = s.get(key)
		s.url(got, false)
	}
	if got.value == "" {
		got = s.endpointVariable(key, service, at, address.OnLoopback(p.IDP.Issuer))
	}
	if got.value != "" && service != "signin" && (p.UseFIPS || p.UseDualStack) { // as in the SDKs' endpoint rules
		s.fail(got.wrong("Unset one of the two.", "an endpoint of its own cannot be combined with FIPS or dual-stack endpoints"))
	}
	return got.value
}

// endpointVariable returns the variable that names a service's endpoint.
func (s *settings) endpointVariable(key, service string, at address.Partition, local bool) setting {
	own := "AWS_ENDPOINT_URL_" + strings.NewReplacer("SECRETSMANAGER", "SECRETS_MANAGER", "-", "_").Replace(strings.ToUpper(service))
	got := s.variable(own)
	if got.value == "" {
		got = s.variable("AWS_ENDPOINT_URL")
	}
	if s.enabled("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "") || got.value == "" {
		return setting{}
	}
	s.url(got, false)
	u, err := url.Parse(got.value)
	if err != nil || u.Scheme == "https" && at.Owns(service, u.Hostname()) || local && address.OnLoopback(got.value) {
		return got // what cannot be parsed has failed already
	}
	hint := fmt.Sprintf("Unset %s, or, if this host may have your login, set %s in the profile.", own, key)
	if key == "" {
		hint = "Unset it."
	}
	if got.where != own {
		hint = "Use the variable of the one service that is meant, such as AWS_ENDPOINT_URL_S3, or set " +
			"daypass_sts_endpoint and daypass_signin_endpoint in the profile."
	}
	s.fail(got.wrong(hint, "want AWS's own %s host in partition %s", service, at.Name))
	return got
}
