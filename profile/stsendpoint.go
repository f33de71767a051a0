package profile

import "strings"

// STSURL is where the profile's role is assumed: the endpoint that it names, else
// the one of its region, as the endpoint rules of the AWS SDKs have it.
func (p Profile) STSURL() string {
	if p.STSEndpoint != "" {
		return p.STSEndpoint
	}
	if p.Region == "aws-global" && !p.UseFIPS && !p.UseDualStack {
		return "https://sts.amazonaws.com"
	}
	name, at := "sts", partitionNamed(partitionOf(p.Region))
	suffix := at.suffixes[0]
	if p.UseDualStack {
		suffix = at.suffixes[1]
	}
	// Of aws-us-gov, the usual hosts are the FIPS ones.
	if p.UseFIPS && (p.UseDualStack || at.name != "aws-us-gov") {
		name = "sts-fips"
	}
	return strings.Join([]string{"https://" + name, p.Region, suffix}, ".")
}
