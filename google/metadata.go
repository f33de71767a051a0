// Package google asks Google Cloud for tokens, and writes what Google's client
// libraries read: over plain HTTP requests, without those libraries.
package google

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/secret"
)

// IdentityToken returns an ID token for the audience in the name of the service
// account of this machine, from its metadata server. Every error is a
// [*failure.Error].
//
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
func IdentityToken(ctx context.Context, c cloud.Client, audience string) (secret.String, error) {
	// Both names of the server are taken from libraries that set the variable.
	base, err := c.Base("GCE_METADATA_HOST", "http://metadata.google.internal", "http://169.254.169.254")
	if err != nil {
		return secret.String{}, err
	}
	return cloud.AskMetadata(ctx, c, cloud.Question{
		Who: "Google's metadata server", Advice: "It is there on Google Cloud alone, for a machine with a service account.",
		URL:    base + "/computeMetadata/v1/instance/service-accounts/default/identity?" + url.Values{"audience": {audience}, "format": {"full"}}.Encode(),
		Header: http.Header{"Metadata-Flavor": {"Google"}},
	}, func(body []byte) (secret.String, error) {
		return secret.New(strings.TrimSpace(string(body))), nil
	})
}
