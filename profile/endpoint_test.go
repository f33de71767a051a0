package profile

import (
	"strings"
	"testing"
)

func inPartition(name string) string {
	return strings.Replace(instead("region", ""), "arn:aws:", "arn:"+name+":", 1)
}

func TestRegionAndSwitches(t *testing.T) {
	type env = map[string]string
	for _, tt := range []struct {
		partition, lines string
		env              env
		want             string   // region and switches
		parts            []string // of the error
	}{
		{"aws", "region = eu-west-1", env{"AWS_REGION": "us-east-2"}, "us-east-2", nil},
		{"aws", "region = eu-west-1", env{"AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2", nil},
		{"aws", "", env{"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "x"}, "us-east-2", nil},
		{"aws", "region = aws-global", nil, "aws-global", nil},
		{"aws-cn", "region = aws-cn-global", nil, "aws-cn-global", nil},
		{"aws", "region = xx-new-7", nil, "xx-new-7", nil},
		{"aws-cn", "", env{"AWS_REGION": "eu-west-1"}, "", []string{`AWS_REGION "eu-west-1"`, "role is in aws-cn"}},
		{"aws", "region = aws-cn-global", nil, "", []string{"partition aws-cn"}},
		{"aws", "region = evil.example?-x-1", nil, "", []string{"want a region"}},
		{"aws", "", env{"AWS_DEFAULT_REGION": "eu-west-1@evil.example#-1"}, "", []string{"AWS_DEFAULT_REGION", "want a region"}},
		{"aws", "region = eu-west", nil, "", []string{"want a region"}},
		{"aws", "region = EU-WEST-1", nil, "", []string{"want a region"}},
		{"aws", "region = eu--1", nil, "", []string{"want a region"}},
		{"aws", "region = 1-west-1", nil, "", []string{"want a region"}},
		{"aws", "region = " + strings.Repeat("a-", 30) + "1", nil, "", []string{"want a region"}},
		{"aws", "", env{"AWS_USE_FIPS_ENDPOINT": "true"}, "FIPS", nil},
		{"aws", "", env{"AWS_USE_DUALSTACK_ENDPOINT": "True", "AWS_USE_FIPS_ENDPOINT": "false"}, "dual-stack", nil},
		{"aws", "use_fips_endpoint = true\nuse_dualstack_endpoint = true", nil, "FIPS dual-stack", nil},
		{"aws", "use_fips_endpoint = true", env{"AWS_USE_FIPS_ENDPOINT": "false"}, "", nil},
		{"aws", "", env{"AWS_USE_FIPS_ENDPOINT": "yes"}, "", []string{`AWS_USE_FIPS_ENDPOINT "yes"`, "true or false"}},
		{"aws", "use_dualstack_endpoint = 1", nil, "", []string{"[profile dev] use_dualstack_endpoint", "true or false"}},
		{"aws", "daypass_sts_endpoint = http://localhost", env{"AWS_USE_FIPS_ENDPOINT": "true"}, "", []string{"daypass_sts_endpoint", "FIPS"}},
		{"aws", "daypass_signin_endpoint = http://localhost", env{"AWS_USE_FIPS_ENDPOINT": "true"}, "FIPS", nil},
	} {
		p, err := load(t, strings.Replace(inPartition(tt.partition), inProfile, inProfile+"\n"+tt.lines, 1), "dev", tt.env, nil)
		got := p.Region
		if p.UseFIPS {
			got += " FIPS"
		}
		if p.UseDualStack {
			got += " dual-stack"
		}
		if tt.parts != nil {
			wantError(t, err, tt.parts...)
		} else if got = strings.TrimSpace(got); err != nil || got != tt.want || p.Partition != tt.partition {
			t.Errorf("%s, %q, %v: %q in %q, %v; want %q", tt.partition, tt.lines, tt.env, got, p.Partition, err, tt.want)
		}
	}
}

// With no region, STS and the console use the partition's default, and nobody else
// hears of it.
func TestNoRegion(t *testing.T) {
	for partition, want := range map[string]string{
		"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-eusc": "eusc-de-east-1", "aws-iso": "us-iso-east-1",
		"aws-iso-b": "us-isob-east-1", "aws-iso-e": "eu-isoe-west-1", "aws-iso-f": "us-isof-south-1",
	} {
		p, err := load(t, inPartition(partition), "dev", nil, nil)
		if err != nil || p.Region != "" || p.STSRegion() != want {
			t.Errorf("%s: region %q, of STS %q, %v; want %q", partition, p.Region, p.STSRegion(), err, want)
		}
	}
}

func TestEndpointsOfTheEnvironment(t *testing.T) {
	type env = map[string]string
	tests := []struct {
		partition   string
		local       bool // the issuer is on loopback
		env         env
		sts, signin string
		parts       []string // of the error
	}{
		{"aws", false, nil, "", "", nil},
		{"aws", true, env{"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9/sts"}, "http://127.0.0.1:9/sts", "", nil},
		{"aws", true, env{"AWS_ENDPOINT_URL_SIGNIN": "http://localhost:9"}, "", "http://localhost:9", nil},
		{"aws", true, env{"AWS_ENDPOINT_URL": "http://[::1]:9"}, "http://[::1]:9", "http://[::1]:9", nil},
		{"aws", true, env{"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_ENDPOINT_URL_STS": "http://localhost:2"}, "http://localhost:2", "http://localhost:1", nil},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.eu-west-1.amazonaws.com"}, "https://sts.eu-west-1.amazonaws.com", "", nil},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://STS.amazonaws.com/"}, "https://STS.amazonaws.com/", "", nil},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts-fips.us-east-1.api.aws"}, "https://sts-fips.us-east-1.api.aws", "", nil},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://vpce-1-2.sts.eu-west-1.vpce.amazonaws.com"}, "https://vpce-1-2.sts.eu-west-1.vpce.amazonaws.com", "", nil},
		{"aws", false, env{"AWS_ENDPOINT_URL_SIGNIN": "https://eu-west-1.signin.aws.amazon.com"}, "", "https://eu-west-1.signin.aws.amazon.com", nil},
		{"aws-us-gov", false, env{"AWS_ENDPOINT_URL_SIGNIN": "https://signin-fips.amazonaws-us-gov.com"}, "", "https://signin-fips.amazonaws-us-gov.com", nil},
		{"aws", false, env{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE", "AWS_ENDPOINT_URL": "https://evil.example"}, "", "", nil},
		{"aws", true, env{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false", "AWS_ENDPOINT_URL": "http://localhost"}, "http://localhost", "http://localhost", nil},

		{"aws", false, env{"AWS_ENDPOINT_URL": "http://localhost:4566"}, "", "", []string{`AWS_ENDPOINT_URL "http://localhost:4566"`, "AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}, "", "", []string{"AWS_ENDPOINT_URL_STS"}},
		{"aws", true, env{"AWS_ENDPOINT_URL": "https://sts.localhost"}, "", "", []string{`AWS_ENDPOINT_URL "https://sts.localhost"`}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.a1b2.us-east-1.rds.amazonaws.com"}, "", "", []string{"AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.s3.us-east-1.amazonaws.com"}, "", "", []string{"AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://evil.sts.us-east-1.vpce.amazonaws.com"}, "", "", []string{"AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://vpce-1.sts.us-east-1.amazonaws.com"}, "", "", []string{"AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://region.signin.aws.amazon.com"}, "", "", []string{"AWS's own sts host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_SIGNIN": "https://sts.amazonaws.com"}, "", "", []string{"AWS's own signin host"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.us-gov-west-1.amazonaws.com"}, "", "", []string{"partition aws"}},
		{"aws-us-gov", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.amazonaws.com"}, "", "", []string{"partition aws-us-gov"}},
		{"aws", true, env{"AWS_ENDPOINT_URL_STS": "http://[::1%25lo]:9"}, "", "", []string{"AWS_ENDPOINT_URL_STS"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.amazonaws.com."}, "", "", []string{"AWS_ENDPOINT_URL_STS"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.evil.example"}, "", "", []string{`AWS_ENDPOINT_URL_STS "https://sts.evil.example"`, "Unset AWS_ENDPOINT_URL_STS", "daypass_sts_endpoint"}},
		{"aws", false, env{"AWS_ENDPOINT_URL": "https://minio.corp.example"}, "", "", []string{`AWS_ENDPOINT_URL "https://minio.corp.example"`, "AWS_ENDPOINT_URL_S3"}},
		{"aws", false, env{"AWS_ENDPOINT_URL_SIGNIN": "https://signin.evil.example"}, "", "", []string{"AWS_ENDPOINT_URL_SIGNIN", "daypass_signin_endpoint"}},
		{"aws-cn", false, env{"AWS_ENDPOINT_URL_STS": "https://sts.amazonaws.com"}, "", "", []string{"partition aws-cn"}},
		{"aws", false, env{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "maybe"}, "", "", []string{`AWS_IGNORE_CONFIGURED_ENDPOINT_URLS "maybe"`, "true or false"}},
	}
	for _, tt := range tests {
		issuer := "https://idp.localhost/" // which a resolver can lead elsewhere
		if tt.local {
			issuer = "http://127.0.0.1:7/"
		}
		p, err := load(t, strings.Replace(inPartition(tt.partition), "https://dev-xyz.us.auth0.com/", issuer, 1), "dev", tt.env, nil)
		if tt.parts != nil {
			wantError(t, err, tt.parts...)
		} else if err != nil || p.STSEndpoint != tt.sts || p.SigninEndpoint != tt.signin {
			t.Errorf("%v: sts %q, signin %q, %v; want %q, %q", tt.env, p.STSEndpoint, p.SigninEndpoint, err, tt.sts, tt.signin)
		}
	}
}
