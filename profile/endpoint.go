package profile

import (
	"fmt"
	"slices"
	"strings"
)

// readAWS fills in the region and where STS and the console's sign-in are.
func (p *Profile) readAWS(src Source, own settings) error {
	var err error
	if p.Region, err = src.region(own, p.Partition); err != nil {
		return err
	}
	if p.UseFIPS, err = src.enabled("AWS_USE_FIPS_ENDPOINT", own, "use_fips_endpoint"); err != nil {
		return err
	}
	if p.UseDualStack, err = src.enabled("AWS_USE_DUALSTACK_ENDPOINT", own, "use_dualstack_endpoint"); err != nil {
		return err
	}
	at := partitionNamed(p.Partition)
	sts, err := src.endpoint(own, service{
		name: "sts", key: "daypass_sts_endpoint", variable: "AWS_ENDPOINT_URL_STS",
		partition: at.name, suffixes: at.suffixes,
	})
	if err != nil {
		return err
	}
	signin, err := src.endpoint(own, service{
		name: "signin", key: "daypass_signin_endpoint", variable: "AWS_ENDPOINT_URL_SIGNIN",
		partition: at.name, suffixes: []string{at.signin},
	})
	if err != nil {
		return err
	}
	p.STSEndpoint, p.SigninEndpoint = sts.value, signin.value
	if sts.value != "" && (p.UseFIPS || p.UseDualStack) {
		// The SDKs' endpoint rules refuse the combination too.
		return sts.wrong("unset one of the two", "an endpoint of its own cannot be combined with FIPS or dual-stack endpoints")
	}
	return nil
}

// region returns the profile's region, else the environment's, else the
// partition's default. AWS has no role of one partition in the regions of another.
func (s Source) region(own settings, partition string) (string, error) {
	region := own.get("region")
	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region.value == "" {
			region = setting{variable, s.getenv(variable)}
		}
	}
	switch {
	case region.value == "":
		return partitionNamed(partition).defaultRegion, nil
	case !isRegion(region.value):
		return "", region.wrong("", "want a region such as %s", partitionNamed(partition).defaultRegion)
	case partitionOf(region.value) != partition:
		return "", region.wrong("set region in the profile to one of "+partition+", or correct daypass_role_arn",
			"this region is in partition %s, but the role is in %s", partitionOf(region.value), partition)
	}
	return region.value, nil
}

// enabled reads a switch of the SDKs: the variable, else the profile's key.
func (s Source) enabled(variable string, own settings, key string) (bool, error) {
	chosen := setting{variable, s.getenv(variable)}
	if chosen.value == "" && own.place != "" && key != "" {
		chosen = own.inFile(key)
	}
	switch strings.ToLower(chosen.value) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, chosen.wrong("", "want true or false")
}

// service is one of the two services of AWS that daypass calls.
type service struct {
	name      string   // label of its hosts, "sts" as in sts.eu-west-1.amazonaws.com
	key       string   // of the profile
	variable  string   // of the environment
	partition string   // of the role
	suffixes  []string // DNS suffixes of AWS's own hosts there
}

// endpoint returns the URL under which a service is called, and where it was
// set; no value stands for the partition's own. The profile or the flag wins.
// In the environment the service's own variable wins over AWS_ENDPOINT_URL,
// which names the endpoint of every service, and
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS turns both off, as in the SDKs
// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
//
// Whoever is called gets a login or credentials, and neither request is signed
// with anything that a stranger could not use. A variable that some script left
// behind must not be enough for that: it may name this machine or AWS.
func (s Source) endpoint(own settings, to service) (setting, error) {
	if chosen := own.get(to.key); chosen.value != "" {
		u, err := checkURL(chosen)
		if err == nil && (u.RawQuery != "" || u.ForceQuery) {
			err = chosen.wrong("", "want a URL without query (?)")
		}
		return chosen, err
	}
	ignored, err := s.enabled("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", own, "")
	if err != nil || ignored {
		return setting{}, err
	}
	chosen := setting{to.variable, s.getenv(to.variable)}
	if chosen.value == "" {
		chosen = setting{"AWS_ENDPOINT_URL", s.getenv("AWS_ENDPOINT_URL")}
	}
	if chosen.value == "" {
		return setting{}, nil
	}
	u, err := checkURL(chosen)
	if err != nil {
		return setting{}, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return setting{}, chosen.wrong("", "want a URL without query (?)")
	}
	if host := strings.ToLower(u.Hostname()); isLoopback(host) || to.owns(host) {
		return chosen, nil
	}
	hint := fmt.Sprintf("unset %s, or, if this host may have your login, set %s in the profile", to.variable, to.key)
	if chosen.where != to.variable {
		hint = "use the variable of the one service that is meant, such as AWS_ENDPOINT_URL_S3, or set " +
			"daypass_sts_endpoint and daypass_signin_endpoint in the profile"
	}
	return setting{}, chosen.wrong(hint, "want this machine, or AWS's own %s host in partition %s", to.name, to.partition)
}

// owns reports whether the host is one of AWS's for this service: below a DNS
// suffix of the partition, and with the service's own label, as in
// sts-fips.us-east-1.amazonaws.com and vpce-1-2.sts.eu-west-1.vpce.amazonaws.com.
// The suffix alone is not enough: customers' hosts are below it, for example
// those of API Gateway (ID.execute-api.REGION.amazonaws.com).
func (to service) owns(host string) bool {
	for _, suffix := range to.suffixes {
		labels, found := strings.CutSuffix(host, "."+suffix)
		if !found {
			continue
		}
		parts := strings.Split(labels, ".")
		return slices.Contains(parts, to.name) || slices.Contains(parts, to.name+"-fips")
	}
	return false
}
