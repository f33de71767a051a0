// Package console makes the URL that signs a browser in to the AWS console with
// role credentials, and hands it to the browser without showing it to anybody
// else.
//
// It takes two requests, both to the partition's sign-in endpoint: one in which
// the credentials buy a sign-in token ([Client.SignIn]), and the browser's own
// with that token. The credentials stand in the body of the first; the URL of
// the second is as good as a password for 15 minutes.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
package console

import (
	"fmt"
	"strings"
)

// Place is where the console of a role is.
type Place struct {
	Partition string // "aws", "aws-cn", as in the role's ARN
	Region    string // of that partition; "aws-global" and its like: the main one
	Account   string // 12 digits
	UseFIPS   bool   // sign in through a FIPS 140 endpoint
}

// partition is one of AWS's separate clouds that has a console in reach.
type partition struct {
	name    string
	main    string // region of the pages that are the same in every region
	plain   bool   // the main region's sign-in host carries no region in its name
	signin  string // host; those of regions are below it
	console string // host; those of regions are below it
	fips    string // as signin, FIPS 140; "" for none
}

// partitions are those whose sign-in and console hosts AWS has published: the
// table of sign-in endpoints in the AWS General Reference, the AWS CLI's endpoint
// rules for signin (FIPS), and the European Sovereign Cloud's own reference,
// which names regional hosts alone. Of the aws-iso clouds only the sign-in hosts
// are known, and not that they take this kind of sign-in.
//
// https://docs.aws.amazon.com/general/latest/gr/signin-service.html
func partitions() []partition {
	return []partition{
		{"aws", "us-east-1", true, "signin.aws.amazon.com", "console.aws.amazon.com", ""},
		{"aws-us-gov", "us-gov-west-1", true, "signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com", "signin-fips.amazonaws-us-gov.com"},
		{"aws-cn", "cn-north-1", true, "signin.amazonaws.cn", "console.amazonaws.cn", ""},
		{"aws-eusc", "eusc-de-east-1", false, "signin.amazonaws-eusc.eu", "console.amazonaws-eusc.eu", ""},
	}
}

// locate returns the place's partition and its region there, and an error if the
// partition has no console that is known.
func (p Place) locate() (at partition, region string, err error) {
	var names []string
	for _, known := range partitions() {
		if known.name == p.Partition {
			at = known
		}
		names = append(names, known.name)
	}
	switch {
	case at.name == "":
		return at, "", fmt.Errorf("the console of partition %s is not known to daypass, only those of %s", p.Partition, strings.Join(names, ", "))
	case p.Region == "" || strings.Trim(p.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		// It becomes part of the name of the host that gets the credentials.
		return at, "", fmt.Errorf("%q is no region", p.Region)
	case strings.HasSuffix(p.Region, "-global"):
		return at, at.main, nil
	}
	return at, p.Region, nil
}

// Endpoint returns the sign-in endpoint of the place's region, as in
// https://eu-west-1.signin.aws.amazon.com: a regional one works also while
// us-east-1 does not.
func (p Place) Endpoint() (string, error) {
	at, region, err := p.locate()
	if err != nil {
		return "", err
	}
	host := at.signin
	if p.UseFIPS {
		host = at.fips
	}
	if host == "" {
		return "", fmt.Errorf("partition %s has no FIPS endpoint for the console's sign-in; set AWS_USE_FIPS_ENDPOINT=false for this command", p.Partition)
	}
	if at.plain && region == at.main {
		return "https://" + host, nil
	}
	return "https://" + region + "." + host, nil
}

// SignOutEndpoint returns the sign-in endpoint for [Options.SignOutFirst]. In
// partition aws the sign-out goes on to another address only at this one host,
// and only to an address of the same host, as several tools found
// (https://github.com/ByteNess/aws-vault/pull/1,
// https://github.com/Noovolari/leapp/pull/520).
func (p Place) SignOutEndpoint() (string, error) {
	endpoint, err := p.Endpoint()
	if err == nil && p.Partition == "aws" {
		return "https://us-east-1.signin.aws.amazon.com", nil
	}
	return endpoint, err
}
