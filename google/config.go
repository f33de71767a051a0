// Package google writes what Google's client libraries read.
package google

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/daypass/daypass/failure"
)

// Config is what a client library of Google needs to trade a token of AWS or of a
// login for one of Google Cloud.
type Config struct {
	Audience       string // //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER
	ServiceAccount string // e-mail address of one to act as; "" for none
	// Command is run for an ID token; "" if the library signs a request to AWS with
	// the credentials and the region of its environment.
	Command string
}

// File returns the library's file: an external_account of JSON, without a secret.
//
// https://google.aip.dev/auth/4117
func (c Config) File() ([]byte, error) {
	if !regexp.MustCompile(`^//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+$`).MatchString(c.Audience) {
		return nil, failure.New(failure.ExitUsage, nil, fmt.Sprintf("--audience %q is not a provider of a workload identity pool.", c.Audience),
			"Want //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER")
	}
	file := map[string]any{
		"type": "external_account", "audience": c.Audience, "token_url": "https://sts.googleapis.com/v1/token",
	}
	if c.ServiceAccount != "" {
		if !regexp.MustCompile(`^[\w.-]+@[\w-]+(\.[\w-]+)+$`).MatchString(c.ServiceAccount) {
			return nil, failure.New(failure.ExitUsage, nil, fmt.Sprintf("--service-account %q is not the e-mail address of a service account.", c.ServiceAccount),
				"Want NAME@PROJECT.iam.gserviceaccount.com")
		}
		file["service_account_impersonation_url"] = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/" + c.ServiceAccount + ":generateAccessToken"
	}
	if c.Command == "" {
		// Without region_url and url the libraries do not wait for EC2's metadata service
		// where there are no credentials.
		file["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request"
		file["credential_source"] = map[string]any{
			"environment_id":                 "aws1",
			"regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
		}
	} else {
		file["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token"
		file["credential_source"] = map[string]any{"executable": map[string]any{"command": c.Command, "timeout_millis": 30000}}
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(file)
	return []byte(text.String()), err
}
