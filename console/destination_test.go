package console_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/console"
)

func ireland() console.Place {
	return console.Place{Partition: "aws", Region: "eu-west-1", Account: "111122223333"}
}

func TestDestination(t *testing.T) {
	virginia := console.Place{Partition: "aws", Region: "us-east-1"}
	global := console.Place{Partition: "aws", Region: "aws-global"}
	gov := console.Place{Partition: "aws-us-gov", Region: "us-gov-east-1"}
	china := console.Place{Partition: "aws-cn", Region: "cn-northwest-1"}
	europe := console.Place{Partition: "aws-eusc", Region: "eusc-de-east-1"}
	for _, test := range []struct {
		place      console.Place
		what, want string
	}{
		{ireland(), "", "https://eu-west-1.console.aws.amazon.com/console/home?region=eu-west-1"},
		{virginia, "", "https://us-east-1.console.aws.amazon.com/console/home?region=us-east-1"},
		{global, "", "https://us-east-1.console.aws.amazon.com/console/home?region=us-east-1"},
		{gov, "", "https://us-gov-east-1.console.amazonaws-us-gov.com/console/home?region=us-gov-east-1"},
		{china, "", "https://cn-northwest-1.console.amazonaws.cn/console/home?region=cn-northwest-1"},
		{europe, "", "https://eusc-de-east-1.console.amazonaws-eusc.eu/console/home?region=eusc-de-east-1"},

		{ireland(), "s3", "https://eu-west-1.console.aws.amazon.com/s3/home?region=eu-west-1"},
		{ireland(), "EC2", "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1"},
		{ireland(), "cfn", "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1"},
		{ireland(), "logs", "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups"},
		{ireland(), "iam", "https://console.aws.amazon.com/iam/home"},
		{gov, "iam", "https://console.amazonaws-us-gov.com/iam/home"},
		{china, "lambda", "https://cn-northwest-1.console.amazonaws.cn/lambda/home?region=cn-northwest-1"},

		{ireland(), "/", "https://eu-west-1.console.aws.amazon.com/"},
		{ireland(), "/lambda/home?region=us-west-2#/functions/a%2Fb?tab=code", "https://eu-west-1.console.aws.amazon.com/lambda/home?region=us-west-2#/functions/a%2Fb?tab=code"},
		{ireland(), "/x@evil.example:1//y", "https://eu-west-1.console.aws.amazon.com/x@evil.example:1//y"},

		{ireland(), "https://console.aws.amazon.com", "https://console.aws.amazon.com"},
		{ireland(), "https://Console.AWS.amazon.com/s3/home?region=us-east-2#a", "https://console.aws.amazon.com/s3/home?region=us-east-2#a"},
		{ireland(), "https://us-west-2.console.aws.amazon.com/ec2/home", "https://us-west-2.console.aws.amazon.com/ec2/home"},
		{ireland(), "https://s3.console.aws.amazon.com?x=1", "https://s3.console.aws.amazon.com?x=1"},
		{ireland(), "https://111122223333-p2f4gusb.us-west-2.console.aws.amazon.com/ec2/home#a", "https://us-west-2.console.aws.amazon.com/ec2/home#a"},
		{ireland(), "https://111122223333-p2f4gusb.console.aws.amazon.com/", "https://console.aws.amazon.com/"},
		{gov, "https://us-gov-west-1.console.amazonaws-us-gov.com/s3/home", "https://us-gov-west-1.console.amazonaws-us-gov.com/s3/home"},
		{china, "https://console.amazonaws.cn/", "https://console.amazonaws.cn/"},
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
		"https://aws.amazon.com/":                                   "host",
		"https://console.amazonaws-us-gov.com/":                     "partition aws",
		"https://console.amazonaws.cn/":                             "partition aws",
		"https://x@evil.example/":                                   "user name",
		"https://[::1]/":                                            "host",
		"https://444455556666-ab.eu-west-1.console.aws.amazon.com/": "account 444455556666",

		// Not an address like the console's.
		"http://console.aws.amazon.com/":                  "https://",
		"HTTPS://console.aws.amazon.com/":                 "https://",
		"javascript:alert(1)":                             "https://",
		"https:console.aws.amazon.com/":                   "https://",
		"https:///console.aws.amazon.com/":                "host",
		"https://":                                        "host",
		"https://user:pw@console.aws.amazon.com/":         "user name",
		"https://@console.aws.amazon.com/":                "user name",
		"https://console.aws.amazon.com:443/":             "port",
		"https://console.aws.amazon.com:/":                "port",
		"https://console.aws.amazon.com./":                "host",
		"https://.console.aws.amazon.com/":                "host",
		"https://a..console.aws.amazon.com/":              "host",
		"https://evil.example%2f.console.aws.amazon.com/": "read",
		"https://evil.example%00.console.aws.amazon.com/": "read",
		"https://evil.example\\.console.aws.amazon.com/":  "0x5c",
		"https://evil.example\\@console.aws.amazon.com/":  "0x5c",
		"https://evil.example#.console.aws.amazon.com/":   "host",
		"https://evil.example?.console.aws.amazon.com/":   "host",
		"https://evil.example;.console.aws.amazon.com/":   "host",
		"https://\u0435vil.console.aws.amazon.com/":       "byte",
		"https://console.aws.amazon.com/\r\nLocation: x":  "byte",
		" https://console.aws.amazon.com/":                "byte",
		"https://console.aws.amazon.com//evil.example":    "another host",
		"https://console.aws.amazon.com/%5c/evil.example": "another host",
		"//evil.example/":                                 "another host",
		"///evil.example/":                                "another host",
		"/%2fevil.example/":                               "another host",
		"/\\evil.example/":                                "0x5c",
		"/%5Cevil.example/":                               "another host",
		"/\x00":                                           "0x00",
		"/\x1b[2J":                                        "0x1b",
		"/%0d%0aLocation:x":                               "control character",
		"/%7f":                                            "control character",
		"/%":                                              "read",
		"/a b":                                            "0x20",
		"/" + strings.Repeat("a", 4096):                   "longer",
		"lambda/home":                                     "begins with /",
		"eu-west-1.console.aws.amazon.com":                "no service",

		// Not a service; the nearest is named.
		"lamda":                    "did you mean lambda?",
		"dynamo":                   "did you mean",
		"cloud-watch":              "did you mean cloudwatch?",
		"?":                        "no service",
		strings.Repeat("s3", 1000): "no service",
		"\x1b]0;title\x07":         "no service",
	} {
		got, err := ireland().Destination(what)
		if got != "" || err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.80q: got %q, %v; want an error with %q", what, got, err, part)
			continue
		}
		if text := err.Error(); len(text) > 300 || strings.ContainsAny(text, "\x00\x1b\r\n") {
			t.Errorf("%.80q: the error is not fit to be shown: %q", what, text)
		}
	}
	if _, err := (console.Place{Partition: "aws-iso", Region: "us-iso-east-1"}).Destination(""); err == nil || !strings.Contains(err.Error(), "aws-iso") {
		t.Errorf("a partition without a known console: %v", err)
	}
}

// A sign-in URL pasted by mistake is as good as a password.
func TestDestinationErrorsHoldNoSecret(t *testing.T) {
	for _, what := range []string{
		"https://signin.aws.amazon.com/federation?Action=login&SigninToken=s3cret",
		"https://taro:s3cret@console.aws.amazon.com/",
		"https://evil.example/#s3cret",
		"?s3cret",
	} {
		if _, err := ireland().Destination(what); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", what, err)
		}
	}
}

func TestServicesAreKnownAndUnlike(t *testing.T) {
	names := console.Services()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("not in order, or twice: %q", names)
	}
	for _, name := range names {
		address, err := ireland().Destination(name)
		u, parseErr := url.Parse(address)
		if err != nil || parseErr != nil || !strings.HasSuffix(u.Host, "console.aws.amazon.com") || len(u.Path) < 4 {
			t.Errorf("%s: %q, %v", name, address, err)
		}
		if again, err := ireland().Destination(address); again != address || err != nil {
			t.Errorf("%s: its own address %q is refused: %v", name, address, err)
		}
	}
	for _, want := range strings.Fields("s3 ec2 cloudwatch logs lambda iam rds dynamodb ecs eks cloudformation sqs sns secretsmanager ssm vpc route53 " +
		"cost billing kms apigateway stepfunctions ecr elasticache glue athena bedrock organizations cloudtrail") {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// Whatever is accepted leads to the partition's console, also for a reader of
// URLs that takes backslashes for slashes and leaves control characters out, as
// browsers do.
func FuzzDestination(f *testing.F) {
	for _, seed := range []string{
		"", "s3", "/lambda/home#/x", "//evil.example", "/\\evil.example", "https://eu-west-1.console.aws.amazon.com/s3",
		"https://evil.example\\.console.aws.amazon.com/", "https://evil.example%2f.console.aws.amazon.com", "https://console.aws.amazon.com:443/",
		"https://console.aws.amazon.com@evil.example/", "https://111122223333-a.console.aws.amazon.com/", "https:\t//evil.example",
		"https://111122223333-.console.aws.amazon.com", "https://111122223333-a.b.c.console.aws.amazon.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, what string) {
		address, err := ireland().Destination(what)
		if err != nil {
			if address != "" {
				t.Errorf("%q: both %q and %v", what, address, err)
			}
			return
		}
		rest, ok := strings.CutPrefix(address, "https://")
		if !ok {
			t.Fatalf("%q leads to %q", what, address)
		}
		host := rest
		if end := strings.IndexAny(rest, "/?#\\"); end >= 0 {
			host = rest[:end]
		}
		if !strings.HasSuffix("."+host, ".console.aws.amazon.com") ||
			strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Errorf("%q leads to host %q", what, host)
		}
		if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
			t.Errorf("%q leads to %q", what, address)
		}
	})
}
