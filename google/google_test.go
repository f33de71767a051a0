package google_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/google"
)

const audience = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/aws/providers/dev"

func TestConfigFaults(t *testing.T) {
	for name, c := range map[string]google.Config{
		"no audience":      {},
		"another service":  {Audience: strings.Replace(audience, "iam.", "sts.", 1)},
		"with a scheme":    {Audience: "https:" + audience},
		"project by name":  {Audience: strings.Replace(audience, "123456789012", "octo-project", 1)},
		"another location": {Audience: strings.Replace(audience, "global", "europe-west1", 1)},
		"workforce pool":   {Audience: "//iam.googleapis.com/locations/global/workforcePools/aws/providers/dev"},
		"no provider":      {Audience: strings.TrimSuffix(audience, "dev")},
		"more behind it":   {Audience: audience + "/x"},
		"line feed":        {Audience: audience + "\n"},
		"not an address":   {Audience: audience, ServiceAccount: "deploy"},
		"two addresses":    {Audience: audience, ServiceAccount: "a@b.example,c@d.example"},
		"another path":     {Audience: audience, ServiceAccount: "../x@b.example"},
		"a query":          {Audience: audience, ServiceAccount: "a@b.example?x"},
	} {
		if file, err := c.File(); err == nil || failure.From(err).Exit != failure.ExitUsage || file != nil {
			t.Errorf("%s: %s, %v", name, file, err)
		}
	}
}

// An aws file has no address of a metadata service, and neither file a secret.
func TestConfigFile(t *testing.T) {
	for _, c := range []struct {
		config google.Config
		want   string
	}{
		{google.Config{Audience: audience}, `{"audience": "` + audience + `", "credential_source": {"environment_id": "aws1",
			"regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"},
			"subject_token_type": "urn:ietf:params:aws:token-type:aws4_request", "token_url": "https://sts.googleapis.com/v1/token", "type": "external_account"}`},
		{google.Config{Audience: audience, Command: "/bin/daypass token", ServiceAccount: "a@b.example"}, `{"audience": "` + audience + `",
			"credential_source": {"executable": {"command": "/bin/daypass token", "timeout_millis": 30000}},
			"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken",
			"subject_token_type": "urn:ietf:params:oauth:token-type:id_token", "token_url": "https://sts.googleapis.com/v1/token", "type": "external_account"}`},
	} {
		file, err := c.config.File()
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(file, &got), json.Unmarshal([]byte(c.want), &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\ngot  %s\nwant %s", err, file, c.want)
		}
	}
}

// What passes for the name of a provider, and for the address of an account, means
// the same in the file and in a URL.
func FuzzConfig(f *testing.F) {
	f.Add(audience, "a@b.example?x")
	f.Add(audience+"#", "")
	f.Fuzz(func(t *testing.T, audience, account string) {
		file, err := google.Config{Audience: audience, ServiceAccount: account}.File()
		var read struct{ Audience string }
		if err == nil && (json.Unmarshal(file, &read) != nil || read.Audience != audience || strings.ContainsAny(audience+account, " \r\n\t\"\\?#%:") || strings.Count(audience+account, "/") != 10) {
			t.Errorf("accepted %q, %q", audience, account)
		}
	})
}
