package profile

import "strings"

// partition is one of AWS's separate clouds.
type partition struct {
	name          string
	regionPrefix  string   // "" for aws, where every other region lies
	defaultRegion string   // where nobody named one
	suffixes      []string // DNS suffixes of API endpoints, dual-stack ones too
	signin        string   // DNS suffix of the console's sign-in hosts
}

// partitions are those of botocore 1.43.11 (data/partitions.json; names,
// prefixes and suffixes); the sign-in suffixes are from the AWS CLI's signin
// endpoint rules and the AWS documentation of the console.
func partitions() []partition {
	return []partition{
		{"aws", "", "us-east-1", []string{"amazonaws.com", "api.aws"}, "aws.amazon.com"},
		{"aws-cn", "cn-", "cn-north-1", []string{"amazonaws.com.cn", "api.amazonwebservices.com.cn"}, "amazonaws.cn"},
		{"aws-us-gov", "us-gov-", "us-gov-west-1", []string{"amazonaws.com", "api.aws"}, "amazonaws-us-gov.com"},
		{"aws-eusc", "eusc-", "eusc-de-east-1", []string{"amazonaws.eu", "api.amazonwebservices.eu"}, "amazonaws-eusc.eu"},
		{"aws-iso", "us-iso-", "us-iso-east-1", []string{"c2s.ic.gov", "api.aws.ic.gov"}, "c2shome.ic.gov"},
		{"aws-iso-b", "us-isob-", "us-isob-east-1", []string{"sc2s.sgov.gov", "api.aws.scloud"}, "sc2shome.sgov.gov"},
		{"aws-iso-e", "eu-isoe-", "eu-isoe-west-1", []string{"cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"}, "csphome.adc-e.uk"},
		{"aws-iso-f", "us-isof-", "us-isof-south-1", []string{"csp.hci.ic.gov", "api.aws.hci.ic.gov"}, "csphome.hci.ic.gov"},
	}
}

// partitionNamed returns the partition of that name, or nil.
func partitionNamed(name string) *partition {
	for _, p := range partitions() {
		if p.name == name {
			return &p
		}
	}
	return nil
}

func partitionNames() []string {
	var names []string
	for _, p := range partitions() {
		names = append(names, p.name)
	}
	return names
}

// partitionOf returns the name of the partition that a region lies in. A prefix
// that is not known is a new region of aws, as in the SDKs.
func partitionOf(region string) string {
	if name, global := strings.CutSuffix(region, "-global"); global && partitionNamed(name) != nil {
		return name
	}
	for _, p := range partitions() {
		if p.regionPrefix != "" && strings.HasPrefix(region, p.regionPrefix) {
			return p.name
		}
	}
	return "aws"
}

// isRegion reports whether text has the form of a region. It becomes part of
// the name of the host that gets the ID token, so nothing else will do.
func isRegion(text string) bool {
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
