package console

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// Place is where the console of a role is.
type Place struct {
	Partition address.Partition // without a Console, daypass does not know it
	Region    string            // of that partition; "" or "aws-global" and its like: its main one
	Account   string            // 12 digits
	UseFIPS   bool              // sign in through a FIPS 140 endpoint
	Signin    string            // an endpoint in place of AWS's own; "" for that
}

// Endpoint returns the sign-in endpoint of the place's region, as in
// https://eu-west-1.signin.aws.amazon.com: a regional one works also while
// us-east-1 does not. The error is a [*failure.Error].
func (p Place) Endpoint() (string, error) {
	if p.Signin != "" {
		return strings.TrimSuffix(p.Signin, "/"), nil
	}
	region, err := p.region()
	if err != nil {
		return "", err
	}
	host := p.Partition.Signin
	if p.UseFIPS {
		host = p.Partition.SigninFIPS
	}
	if host == "" {
		return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("partition %s has no FIPS endpoint for the console's sign-in.", p.Partition.Name),
			"Set AWS_USE_FIPS_ENDPOINT=false for this command.")
	}
	if region == p.Partition.DefaultRegion && !p.Partition.RegionalSignin {
		return "https://" + host, nil
	}
	return "https://" + region + "." + host, nil
}

// region returns the region whose console is meant.
func (p Place) region() (string, error) {
	switch {
	case p.Partition.Console == "":
		return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("daypass does not know the console of partition %q.", p.Partition.Name),
			"The credentials work all the same; daypass console does not.")
	case p.Region == "" || strings.HasSuffix(p.Region, "-global"):
		return p.Partition.DefaultRegion, nil
	case strings.Trim(p.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		// It becomes part of the name of the host that gets the credentials.
		return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("%q is not a region.", p.Region))
	}
	return p.Region, nil
}

// Destination returns the address in the place's console that what stands for:
//
//   - "": the console's home;
//   - the name of a service, see [Services];
//   - a path of the console, "/lambda/home#/functions/x";
//   - the ARN of a resource in the account;
//   - a whole address of the same partition's console. Its region may be another;
//     the account, if the address names one, may not.
//
// Anything else is a [*failure.Error]: the sign-in sends the browser there.
func (p Place) Destination(what string) (found string, err error) {
	region, err := p.region()
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(what, "/"):
		found, err = p.address("https://" + region + "." + p.Partition.Console + what)
	case strings.HasPrefix(what, "arn:"):
		found, err = p.resource(what)
	case strings.ContainsAny(what, ":/"):
		found, err = p.address(what)
	default:
		found, err = p.service(what, region)
	}
	if err != nil {
		return "", failure.New(failure.ExitUsage, err, fmt.Sprintf("destination %s: %v.", quoted(what), err),
			"Want a service (s3), a path (/lambda/home), an ARN or an address of the console.", "Run: daypass console --help")
	}
	return found, nil
}

// resource returns the address under which the console finds the page of an ARN.
func (p Place) resource(arn string) (string, error) {
	parts := strings.SplitN(arn, ":", 6) // arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
	switch {
	case len(parts) < 6 || parts[2] == "" || parts[5] == "":
		return "", errors.New("it is not a whole ARN")
	case parts[1] != p.Partition.Name:
		return "", fmt.Errorf("it is in partition %s, but the profile's role is in %s", quoted(parts[1]), p.Partition.Name)
	case p.Partition.Name != "aws":
		return "", fmt.Errorf("daypass does not know the page for ARNs in partition %s", p.Partition.Name)
	case parts[4] != "" && parts[4] != p.Account:
		return "", p.foreign(quoted(parts[4]))
	}
	return p.address("https://" + p.Partition.Console + "/go/view?arn=" + url.QueryEscape(arn))
}

func (p Place) foreign(account string) error {
	return fmt.Errorf("it belongs to account %s, but the profile's role is in %s", account, p.Account)
}

// address checks a whole address, and returns it without what belongs to the
// browser session that it was copied from.
func (p Place) address(what string) (string, error) {
	if !strings.HasPrefix(what, "https://") {
		return "", errors.New("it does not begin with https://")
	}
	if err := address.Check(what, false); err != nil {
		return "", err
	}
	u, _ := url.Parse(what) // as address.Check did
	// u.Host, and not u.Hostname(): no port, not even an empty one, is part of a
	// console address.
	labels, inConsole := strings.CutSuffix("."+strings.ToLower(u.Host), "."+p.Partition.Console)
	switch {
	case !inConsole || strings.Contains(labels+".", ".."):
		return "", fmt.Errorf("host %s is not %s, the console of partition %s", quoted(u.Host), p.Partition.Console, p.Partition.Name)
	case strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, `/\`):
		// Decoded: a page that redirects to its own path would leave the console.
		return "", errors.New("its path begins like another host's address")
	case strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", errors.New("its path holds an encoded control character")
	}
	labels = strings.TrimPrefix(labels+".", ".")
	session, region, _ := strings.Cut(labels, ".")
	if account, _, isSession := strings.Cut(session, "-"); isSession && len(account) == 12 && strings.Trim(account, "0123456789") == "" {
		// With multi-session support the console puts account and session in
		// front: 111122223333-p2f4gusb.eu-west-1.console.aws.amazon.com.
		if account != p.Account {
			return "", p.foreign(account)
		}
		labels = region
	}
	return "https://" + labels + p.Partition.Console + what[len("https://"+u.Host):], nil
}

// quoted is what was asked for as errors show it: bounded, and without what can
// hold a password or, if a sign-in URL was pasted, its token.
func quoted(what string) string {
	shown := address.WithoutQuery(what)
	shown = shown[strings.LastIndexByte(shown, '@')+1:]
	if shown != what {
		shown = strings.TrimSuffix(shown, "...") + "..."
	}
	return fmt.Sprintf("%q", shown)
}
