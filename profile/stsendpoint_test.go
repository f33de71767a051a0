package profile

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The SDK is the judge of where STS is.
func TestSTSURLIsTheSDKs(t *testing.T) {
	regions := map[string][]string{"aws": {"eu-west-1", "ap-southeast-7", "aws-global"}, "aws-us-gov": {"us-gov-east-1"}}
	for _, partition := range partitions() {
		for _, region := range append(regions[partition.name], partition.defaultRegion) {
			for _, fips := range []bool{false, true} {
				for _, dualStack := range []bool{false, true} {
					p := Profile{Partition: partition.name, Region: region, UseFIPS: fips, UseDualStack: dualStack}
					want, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sts.EndpointParameters{
						Region: aws.String(region), UseFIPS: aws.Bool(fips), UseDualStack: aws.Bool(dualStack),
					})
					if err != nil {
						t.Fatal(err)
					}
					if got := p.STSURL(); got != want.URI.String() {
						t.Errorf("%s, FIPS %v, dual-stack %v: %s, the SDK has %s", region, fips, dualStack, got, &want.URI)
					}
				}
			}
		}
	}
	if got := (Profile{STSEndpoint: "https://sts.example.com"}).STSURL(); got != "https://sts.example.com" {
		t.Errorf("the profile's own: %s", got)
	}
}
