package address

import (
	"slices"
	"strings"
)

// Partition is one of AWS's separate clouds, with the hosts that daypass calls
// and opens there.
type Partition struct {
	Name          string // "aws", "aws-cn", as in ARNs
	DefaultRegion string // for STS and the console if nobody names one

	// Console is the host of the console and Signin that of its sign-in; those of
	// regions are below them. "" if they are not known.
	Console, Signin string
	SigninFIPS      string // as Signin, FIPS 140; "" if there is none
	RegionalSignin  bool   // there is no sign-in host without a region in its name

	regionPrefix   string // "" for aws, where every other region lies
	dns, dualStack string // suffixes of the hosts of API endpoints
}

// partitions are those of botocore 1.43.11 (data/partitions.json; names, prefixes
// and suffixes). The sign-in and console hosts are those of the AWS General
// Reference, of the AWS CLI's endpoint rules for signin (FIPS, aws-iso), and of
// the European Sovereign Cloud's own reference, which names regional hosts alone.
//
// https://docs.aws.amazon.com/general/latest/gr/signin-service.html
func partitions() []Partition {
	return []Partition{{
		Name: "aws", DefaultRegion: "us-east-1", dns: "amazonaws.com", dualStack: "api.aws",
		Console: "console.aws.amazon.com", Signin: "signin.aws.amazon.com",
	}, {
		Name: "aws-cn", regionPrefix: "cn-", DefaultRegion: "cn-north-1", dns: "amazonaws.com.cn", dualStack: "api.amazonwebservices.com.cn",
		Console: "console.amazonaws.cn", Signin: "signin.amazonaws.cn",
	}, {
		Name: "aws-us-gov", regionPrefix: "us-gov-", DefaultRegion: "us-gov-west-1", dns: "amazonaws.com", dualStack: "api.aws",
		Console: "console.amazonaws-us-gov.com", Signin: "signin.amazonaws-us-gov.com", SigninFIPS: "signin-fips.amazonaws-us-gov.com",
	}, {
		Name: "aws-eusc", regionPrefix: "eusc-", DefaultRegion: "eusc-de-east-1", dns: "amazonaws.eu", dualStack: "api.amazonwebservices.eu",
		Console: "console.amazonaws-eusc.eu", Signin: "signin.amazonaws-eusc.eu", RegionalSignin: true,
	}, {
		Name: "aws-iso", regionPrefix: "us-iso-", DefaultRegion: "us-iso-east-1", dns: "c2s.ic.gov", dualStack: "api.aws.ic.gov",
		Signin: "signin.c2shome.ic.gov",
	}, {
		Name: "aws-iso-b", regionPrefix: "us-isob-", DefaultRegion: "us-isob-east-1", dns: "sc2s.sgov.gov", dualStack: "api.aws.scloud",
		Signin: "signin.sc2shome.sgov.gov",
	}, {
		Name: "aws-iso-e", regionPrefix: "eu-isoe-", DefaultRegion: "eu-isoe-west-1", dns: "cloud.adc-e.uk", dualStack: "api.cloud-aws.adc-e.uk",
		Signin: "signin.csphome.adc-e.uk",
	}, {
		Name: "aws-iso-f", regionPrefix: "us-isof-", DefaultRegion: "us-isof-south-1", dns: "csp.hci.ic.gov", dualStack: "api.aws.hci.ic.gov",
		Signin: "signin.csphome.hci.ic.gov",
	}}
}

// PartitionNamed returns the partition of that name. It is not ok if there is
// none.
func PartitionNamed(name string) (p Partition, ok bool) {
	for _, p := range partitions() {
		if p.Name == name {
			return p, true
		}
	}
	return Partition{}, false
}

// PartitionOf returns the name of the partition that a region lies in. A prefix
// that is not known is a new region of aws, as in the SDKs.
func PartitionOf(region string) string {
	if name, global := strings.CutSuffix(region, "-global"); global {
		if _, ok := PartitionNamed(name); ok {
			return name
		}
	}
	for _, p := range partitions() {
		if p.regionPrefix != "" && strings.HasPrefix(region, p.regionPrefix) {
			return p.Name
		}
	}
	return "aws"
}

// ServiceHost is where a service is called in a region of this partition, by the
// endpoint rules of the SDKs. The service is "secretsmanager", "ssm" or
// "cognito-identity".
func (p Partition) ServiceHost(service, region string, fips, dualStack bool) string {
	suffix := p.dns
	if dualStack && !answersOnBoth(p.Name, service, region, fips) {
		suffix = p.dualStack
	}
	if fips && (service != "ssm" || p.Name != "aws-us-gov" || dualStack) {
		service += "-fips"
	}
	return service + "." + region + "." + suffix
}

// answersOnBoth reports whether the usual name of a service serves IPv6 as well.
func answersOnBoth(partition, service, region string, fips bool) bool {
	switch service {
	case "secretsmanager":
		return partition == "aws" || partition == "aws-us-gov" || partition == "aws-cn" && !fips
	case "cognito-identity":
		return partition == "aws" && (!fips || slices.Contains([]string{"us-east-1", "us-east-2", "us-west-1", "us-west-2"}, region))
	}
	return false
}

// Owns reports whether host is one of AWS's own for a service ("sts", "signin",
// "secretsmanager" ...) in this partition. The DNS suffix alone is not enough: hosts of customers are
// below it, for example those of API Gateway, buckets and databases
// (ID.execute-api.REGION.amazonaws.com, sts.ID.REGION.rds.amazonaws.com).
func (p Partition) Owns(service, host string) bool {
	labels := strings.Split(strings.ToLower(host), ".")
	if strings.HasPrefix(labels[0], "vpce-") {
		labels[0] = "VPCE"
	}
	for i, label := range labels {
		if IsRegion(label) && PartitionOf(label) == p.Name {
			labels[i] = "REGION"
		}
	}
	var own []string
	for _, name := range []string{service, service + "-fips"} {
		own = append(own, "VPCE."+name+".REGION.vpce."+p.dns)
		if service != "signin" {
			own = append(own, name+".REGION."+p.dns, name+".REGION."+p.dualStack)
		}
	}
	switch {
	case service == "signin":
		own = append(own, p.Signin, "REGION."+p.Signin)
		if p.SigninFIPS != "" {
			own = append(own, p.SigninFIPS, "REGION."+p.SigninFIPS)
		}
	case service == "sts" && p.Name == "aws":
		own = append(own, "sts."+p.dns) // the global endpoint, which aws alone has
	}
	return slices.Contains(own, strings.Join(labels, "."))
}

// IsRegion reports whether text has the form of a region. It becomes part of
// the name of the host that gets the ID token, so nothing else will do.
func IsRegion(text string) bool {
	parts := strings.Split(text, "-")
	if len(text) > 32 || len(parts) < 2 {
		return false
	}
	for _, part := range parts {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	last := parts[len(parts)-1]
	return text[0] >= 'a' && (last == "global" || len(parts) > 2 && strings.Trim(last, "0123456789") == "")
}
