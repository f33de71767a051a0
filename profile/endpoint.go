package profile

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/daypass/daypass/address"
)

// readAWS fills in the region, and where STS and the console's sign-in are.
func (p *Profile) readAWS(own *settings) {
	at, _ := PartitionNamed(p.Partition)
	p.Region = own.region(at)
	p.UseFIPS = own.enabled("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")
	p.UseDualStack = own.enabled("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
	p.AWSCABundle = own.src.getenv("AWS_CA_BUNDLE")
	if p.AWSCABundle == "" {
		p.AWSCABundle = own.path(own.inFile("ca_bundle"))
	}
	local := address.OnLoopback(p.IDP.Issuer)
	sts := own.endpoint("daypass_sts_endpoint", "sts", at, local)
	p.STSEndpoint = sts.value
	p.SigninEndpoint = own.endpoint("daypass_signin_endpoint", "signin", at, local).value
	if sts.value != "" && (p.UseFIPS || p.UseDualStack) {
		// The SDKs' endpoint rules refuse the combination too.
		own.fail(sts.wrong("Unset one of the two.", "an endpoint of its own cannot be combined with FIPS or dual-stack endpoints"))
	}
}

// region returns the region of the flag, else the environment's, else the
// profile's, else "". AWS has no role of one partition in the regions of another.
func (s *settings) region(at Partition) string {
	for _, got := range []setting{
		{"--region", s.src.Flags["region"]}, s.variable("AWS_REGION"), s.variable("AWS_DEFAULT_REGION"), s.inFile("region"),
	} {
		switch {
		case got.value == "":
			continue
		case !isRegion(got.value):
			s.fail(got.wrong("", "want a region such as %s", at.DefaultRegion))
		case PartitionOf(got.value) != at.Name:
			s.fail(got.wrong("Set the region to one of "+at.Name+", or correct daypass_role_arn.",
				"this region is in partition %s, but the role is in %s", PartitionOf(got.value), at.Name))
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

// endpoint returns the URL under which the service "sts" or "signin" is called,
// and where it was set; no value is the partition's own. The profile or the flag
// wins, and may name any host. In the environment the service's own variable wins
// over AWS_ENDPOINT_URL, which names the endpoint of every service, and
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS turns both off, as in the SDKs
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
//
// Whoever is called gets a login or credentials, and neither request is signed
// with anything that a stranger could not use. A variable that some script left
// behind must not be enough for that: it may name AWS's own host, and this machine
// if the provider is on it too, as in tests.
func (s *settings) endpoint(key, service string, at Partition, local bool) setting {
	got := s.get(key)
	if got.value != "" {
		s.url(got, false)
		return got
	}
	if s.enabled("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "") {
		return setting{}
	}
	own := "AWS_ENDPOINT_URL_" + strings.ToUpper(service)
	if got = s.variable(own); got.value == "" {
		got = s.variable("AWS_ENDPOINT_URL")
	}
	if got.value == "" {
		return setting{}
	}
	s.url(got, false)
	u, err := url.Parse(got.value)
	if err != nil || u.Scheme == "https" && at.owns(service, u.Hostname()) || local && address.OnLoopback(got.value) {
		return got // what cannot be parsed has failed already
	}
	hint := fmt.Sprintf("Unset %s, or, if this host may have your login, set %s in the profile.", own, key)
	if got.where != own {
		hint = "Use the variable of the one service that is meant, such as AWS_ENDPOINT_URL_S3, or set " +
			"daypass_sts_endpoint and daypass_signin_endpoint in the profile."
	}
	s.fail(got.wrong(hint, "want AWS's own %s host in partition %s", service, at.Name))
	return got
}
