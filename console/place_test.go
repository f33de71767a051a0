package console_test

import (
	"testing"

	"github.com/daypass/daypass/console"
)

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		place         console.Place
		want, signOut string // "" for an error
	}{
		{console.Place{Partition: "aws", Region: "us-east-1"}, "https://signin.aws.amazon.com", "https://us-east-1.signin.aws.amazon.com"},
		{console.Place{Partition: "aws", Region: "eu-west-1"}, "https://eu-west-1.signin.aws.amazon.com", "https://us-east-1.signin.aws.amazon.com"},
		{console.Place{Partition: "aws", Region: "aws-global"}, "https://signin.aws.amazon.com", "https://us-east-1.signin.aws.amazon.com"},
		{console.Place{Partition: "aws-us-gov", Region: "us-gov-west-1"}, "https://signin.amazonaws-us-gov.com", "https://signin.amazonaws-us-gov.com"},
		{console.Place{Partition: "aws-us-gov", Region: "us-gov-east-1"}, "https://us-gov-east-1.signin.amazonaws-us-gov.com", "https://us-gov-east-1.signin.amazonaws-us-gov.com"},
		{console.Place{Partition: "aws-us-gov", Region: "us-gov-west-1", UseFIPS: true}, "https://signin-fips.amazonaws-us-gov.com", "https://signin-fips.amazonaws-us-gov.com"},
		{console.Place{Partition: "aws-us-gov", Region: "us-gov-east-1", UseFIPS: true}, "https://us-gov-east-1.signin-fips.amazonaws-us-gov.com", "https://us-gov-east-1.signin-fips.amazonaws-us-gov.com"},
		{console.Place{Partition: "aws-cn", Region: "cn-north-1"}, "https://signin.amazonaws.cn", "https://signin.amazonaws.cn"},
		{console.Place{Partition: "aws-cn", Region: "cn-northwest-1"}, "https://cn-northwest-1.signin.amazonaws.cn", "https://cn-northwest-1.signin.amazonaws.cn"},
		{console.Place{Partition: "aws-eusc", Region: "eusc-de-east-1"}, "https://eusc-de-east-1.signin.amazonaws-eusc.eu", "https://eusc-de-east-1.signin.amazonaws-eusc.eu"},
		{console.Place{Partition: "aws-eusc", Region: "aws-eusc-global"}, "https://eusc-de-east-1.signin.amazonaws-eusc.eu", "https://eusc-de-east-1.signin.amazonaws-eusc.eu"},
		{console.Place{Partition: "aws", Region: "eu-west-1", UseFIPS: true}, "", ""},
		{console.Place{Partition: "aws-iso", Region: "us-iso-east-1"}, "", ""},
		{console.Place{Partition: "", Region: "eu-west-1"}, "", ""},
		{console.Place{Partition: "aws", Region: ""}, "", ""},
		{console.Place{Partition: "aws", Region: "evil.example/"}, "", ""},
	} {
		if got, err := test.place.Endpoint(); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: endpoint %q, %v; want %q", test.place, got, err, test.want)
		}
		if got, err := test.place.SignOutEndpoint(); got != test.signOut || (err == nil) != (test.signOut != "") {
			t.Errorf("%+v: endpoint for a sign-out %q, %v; want %q", test.place, got, err, test.signOut)
		}
	}
}
