package console_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
)

func partition(name string) address.Partition {
	p, _ := address.PartitionNamed(name)
	return p
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		partition, region string
		fips              bool
		want              string // "" for an error
	}{
		{"aws", "us-east-1", false, "https://signin.aws.amazon.com"},
		{"aws", "", false, "https://signin.aws.amazon.com"},
		{"aws", "aws-global", false, "https://signin.aws.amazon.com"},
		{"aws", "eu-west-1", false, "https://eu-west-1.signin.aws.amazon.com"},
		{"aws", "eu-west-1", true, ""},
		{"aws", "evil.example/", false, ""},
		{"aws-us-gov", "us-gov-west-1", false, "https://signin.amazonaws-us-gov.com"},
		{"aws-us-gov", "us-gov-west-1", true, "https://signin-fips.amazonaws-us-gov.com"},
		{"aws-us-gov", "us-gov-east-1", true, "https://us-gov-east-1.signin-fips.amazonaws-us-gov.com"},
		{"aws-eusc", "eusc-de-east-1", false, "https://eusc-de-east-1.signin.amazonaws-eusc.eu"},
		{"aws-iso", "us-iso-east-1", false, ""},
	} {
		place := console.Place{Partition: partition(test.partition), Region: test.region, UseFIPS: test.fips}
		if got, err := place.Endpoint(); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: endpoint %q, %v; want %q", test, got, err, test.want)
		}
	}
}

func ireland() console.Place {
	return console.Place{Partition: partition("aws"), Region: "eu-west-1", Account: "111122223333"}
}

func TestDestination(t *testing.T) {
	nowhere := console.Place{Partition: partition("aws")}
	gov := console.Place{Partition: partition("aws-us-gov"), Region: "us-gov-east-1"}
	europe := console.Place{Partition: partition("aws-eusc"), Region: "eusc-de-east-1"}
	for _, test := range []struct {
		place      console.Place
		what, want string
	}{
		{ireland(), "", "https://eu-west-1.console.aws.amazon.com/console/home?region=eu-west-1"},
		{nowhere, "", "https://us-east-1.console.aws.amazon.com/console/home?region=us-east-1"},
		{gov, "", "https://us-gov-east-1.console.amazonaws-us-gov.com/console/home?region=us-gov-east-1"},
		{europe, "", "https://eusc-de-east-1.console.amazonaws-eusc.eu/console/home?region=eusc-de-east-1"},

		{ireland(), "s3", "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1"},
		{ireland(), "logs", "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups"},
		{ireland(), "iam", "https://console.aws.amazon.com/iam/home"},
		{ireland(), "Lightsail", "https://lightsail.aws.amazon.com/ls/webapp/home"},
		{ireland(), "quicksight", "https://eu-west-1.quicksight.aws.amazon.com/sn/start"},
		{gov, "iam", "https://console.amazonaws-us-gov.com/iam/home"},

		{ireland(), "arn:aws:s3:::a b&c/x", "https://console.aws.amazon.com/go/view?arn=arn%3Aaws%3As3%3A%3A%3Aa+b%26c%2Fx"},
		{ireland(), "arn:aws:sqs:us-west-2:111122223333:q", "https://console.aws.amazon.com/go/view?arn=arn%3Aaws%3Asqs%3Aus-west-2%3A111122223333%3Aq"},

		{ireland(), "/", "https://eu-west-1.console.aws.amazon.com/"},
		{ireland(), "/lambda/home?region=us-west-2#/functions/a%2Fb?tab=code", "https://eu-west-1.console.aws.amazon.com/lambda/home?region=us-west-2#/functions/a%2Fb?tab=code"},
		{ireland(), "/x@evil.example:1//y", "https://eu-west-1.console.aws.amazon.com/x@evil.example:1//y"},

		{ireland(), "https://console.aws.amazon.com", "https://console.aws.amazon.com"},
		{ireland(), "https://Console.AWS.amazon.com/s3/home?region=us-east-2#a", "https://console.aws.amazon.com/s3/home?region=us-east-2#a"},
		{ireland(), "https://111122223333-p2f4gusb.us-west-2.console.aws.amazon.com/ec2/home#a", "https://us-west-2.console.aws.amazon.com/ec2/home#a"},
		{ireland(), "https://111122223333-p2f4gusb.console.aws.amazon.com/", "https://console.aws.amazon.com/"},
	} {
		if got, err := test.place.Destination(test.what); got != test.want || err != nil {
			t.Errorf("%s, %q: got %q, %v\nwant %q", test.place.Region, test.what, got, err, test.want)
		}
	}
}

func TestDestinationRefused(t *testing.T) {
	for what, part := range map[string]string{
		// Not in this partition's console.
		"https://evil.example/":                                     "host",
		"https://console.aws.amazon.com.evil.example/":              "host",
		"https://evilconsole.aws.amazon.com/":                       "host",
		"https://signin.aws.amazon.com/oauth?redirect_uri=x":        "host",
		"https://console.amazonaws.cn/":                             "partition aws",
		"https://x@evil.example/":                                   "user name",
		"https://[::1]/":                                            "on this machine",
		"https://444455556666-ab.eu-west-1.console.aws.amazon.com/": "account 444455556666",

		// Not an address like the console's.
		"http://console.aws.amazon.com/":                  "https://",
		"HTTPS://console.aws.amazon.com/":                 "https://",
		"javascript:alert(1)":                             "https://",
		"https:console.aws.amazon.com/":                   "https://",
		"https://":                                        "host",
		"https://user:pw@console.aws.amazon.com/":         "user name",
		"https://@console.aws.amazon.com/":                "user name",
		"https://console.aws.amazon.com:443/":             "host",
		"https://console.aws.amazon.com:/":                "host",
		"https://console.aws.amazon.com./":                "host",
		"https://.console.aws.amazon.com/":                "host",
		"https://a..console.aws.amazon.com/":              "host",
		"https://evil.example%2f.console.aws.amazon.com/": "not a URL",
		"https://evil.example\\.console.aws.amazon.com/":  "0x5c",
		"https://evil.example\\@console.aws.amazon.com/":  "0x5c",
		"https://evil.example#.console.aws.amazon.com/":   "host",
		"https://evil.example?.console.aws.amazon.com/":   "host",
		"https://evil.example;.console.aws.amazon.com/":   "host",
		"https://\u0435vil.console.aws.amazon.com/":       "byte",
		"https://console.aws.amazon.com/\r\nLocation: x":  "byte",
		" https://console.aws.amazon.com/":                "https://",
		"https://console.aws.amazon.com//evil.example":    "another host",
		"https://console.aws.amazon.com/%5c/evil.example": "another host",
		"//evil.example/":                                 "another host",
		"/%2fevil.example/":                               "another host",
		"/\\evil.example/":                                "0x5c",
		"/%5Cevil.example/":                               "another host",
		"/\x00":                                           "0x00",
		"/\x1b[2J":                                        "0x1b",
		"/%0d%0aLocation:x":                               "control character",
		"/%":                                              "not a URL",
		"/a b":                                            "0x20",
		"/" + strings.Repeat("a", 2048):                   "more than 2048",
		"lambda/home":                                     "https://",
		"eu-west-1.console.aws.amazon.com":                "no such service",

		// As good as a password, which no error holds.
		"https://signin.aws.amazon.com/federation?Action=login&SigninToken=s3cret": "host",
		"https://taro:s3cret@console.aws.amazon.com/":                              "user name",
		"https://evil.example/#s3cret":                                             "host",
		"?s3cret":                                                                  "no such service",
		"taro:s3cret@console.aws.amazon.com":                                       "https://",
		"https:taro:s3cret@console.aws.amazon.com":                                 "https://",

		// Not a service; those like it are named.
		"lamda":                                "with l there are lambda, lightsail, logs",
		"?":                                    "no such service",
		strings.Repeat("s3", 1000):             "no such service",
		"arn:aws:s3":                           "not a whole ARN",
		"arn:aws-cn:s3:::bucket":               `partition "aws-cn"`,
		"arn:aws:sqs:eu-west-1:444455556666:q": `account "444455556666"`,
		"arn:aws:s3:::" + strings.Repeat("x", 3000): "more than 2048",
		"\x1b]0;title\x07":                          "no such service",
	} {
		got, err := ireland().Destination(what)
		if got != "" || err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.80q: got %q, %v; want an error with %q", what, got, err, part)
			continue
		}
		if text := err.Error(); len(text) > 500 || strings.Contains(text, "s3cret") || strings.ContainsAny(text, "\x00\x1b\r") || strings.Count(text, "\n") > 2 || exit(err) != failure.ExitUsage {
			t.Errorf("%.80q: the error is not fit to be shown: %q", what, text)
		}
	}
	if _, err := (console.Place{Partition: partition("aws-iso"), Region: "us-iso-east-1"}).Destination(""); err == nil || !strings.Contains(err.Error(), "aws-iso") {
		t.Errorf("a partition without a known console: %v", err)
	}
}

func TestServicesLeadToTheConsole(t *testing.T) {
	names := console.Services()
	if _, err := (console.Place{Partition: partition("aws-us-gov")}).Destination("lightsail"); err == nil {
		t.Error("lightsail is taken for a page of every partition")
	}
	if !slices.IsSorted(names) || len(names) < 50 {
		t.Errorf("not in order, or too few: %q", names)
	}
	for _, name := range names {
		address, err := ireland().Destination(name)
		u, parseErr := url.Parse(address)
		if err != nil || parseErr != nil || !strings.HasSuffix(u.Host, ".aws.amazon.com") || len(u.Path) < 4 {
			t.Errorf("%s: %q, %v", name, address, err)
		}
		if name == "lightsail" || name == "quicksight" {
			continue // pages beside the console
		}
		if again, err := ireland().Destination(address); again != address || err != nil {
			t.Errorf("%s: its own address %q is refused: %v", name, address, err)
		}
	}
}

// Whatever is accepted leads to the partition's console, also for browsers, which take
// backslashes for slashes and leave control characters out.
func FuzzDestination(f *testing.F) {
	for _, seed := range []string{"", "s3", "/lambda/home#/x", `https://evil.example\.console.aws.amazon.com/`, "https://evil.example/", "/%00", "https://111122223333-a.b.console.aws.amazon.com"} {
		f.Add(seed)
	}
	inConsole := regexp.MustCompile(`^https://([a-z0-9._-]+\.)?console\.aws\.amazon\.com([/?#][!-[\]-~]*)?$`)
	f.Fuzz(func(t *testing.T, what string) {
		got, err := ireland().Destination(what)
		beside := slices.Contains([]string{"lightsail", "quicksight"}, strings.ToLower(what))
		if err == nil && !beside && !inConsole.MatchString(got) || err != nil && got != "" {
			t.Errorf("%q leads to %q, %v", what, got, err)
		}
	})
}
