// Package workload gets ID tokens for which nobody logs in: a file or a variable
// that a platform fills, the token endpoint of a GitHub job, and the metadata
// services of Azure and Google Cloud.
package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/cloud"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// maxRead bounds what is read of a file, in bytes: package idp refuses so large a
// token, and AWS STS takes 20000 characters.
const maxRead = 65 << 10

// leeway is how far clocks may be apart before a token that was just given counts
// as expired. AWS STS is the judge; a token of GitHub lives five minutes.
const leeway = 5 * time.Minute

// Describe names a source, a [profile.IDP.Source], for people.
func Describe(source string) string {
	switch kind, name, _ := strings.Cut(source, ":"); kind {
	case "file":
		return fmt.Sprintf("the file %q", name)
	case "env":
		return "the variable " + name
	case "github-actions":
		return "GitHub Actions"
	case "azure-imds":
		return "Azure's managed identity"
	default:
		return "Google's metadata server"
	}
}

// Token returns an ID token from the source of i, got anew. Its signature is not
// verified: AWS STS does that. Every error is a [*failure.Error].
func Token(ctx context.Context, c cloud.Client, i profile.IDP) (t idp.Token, err error) {
	for try := 1; ; try++ {
		raw, err := obtain(ctx, c, i)
		if err == nil {
			t, err = check(raw, i, c.Now())
		}
		// Whatever writes the file anew may be in the middle of it.
		if err == nil || try == 3 || !strings.HasPrefix(i.Source, "file:") || c.Sleep(ctx, 200*time.Millisecond) != nil {
			return t, err
		}
	}
}

func obtain(ctx context.Context, c cloud.Client, i profile.IDP) (secret.String, error) {
	switch kind, name, _ := strings.Cut(i.Source, ":"); kind {
	case "file":
		return readFile(name)
	case "env":
		if text := strings.TrimSpace(c.Getenv(name)); text != "" {
			return secret.New(text), nil
		}
		return secret.String{}, failure.New(failure.ExitUsage, nil, "the variable "+name+" is not set, and source of {section} names it.", "Have the job set it, or correct source.")
	case "github-actions":
		return gitHubToken(ctx, c, i.Audience)
	case "azure-imds":
		t, err := azure.ManagedIdentityToken(ctx, c, i.AzureIdentity, i.Audience)
		return t.Value, err
	default:
		return googleToken(ctx, c, i.Audience)
	}
}

// check tells what a person can mend before STS is asked.
func check(raw secret.String, i profile.IDP, now time.Time) (idp.Token, error) {
	t, err := idp.Parse(raw)
	exit, late := failure.ExitUsage, time.Duration(0)
	if kind, _, _ := strings.Cut(i.Source, ":"); kind != "file" && kind != "env" {
		exit, late = failure.ExitNetwork, leeway // nobody here has put the token there
	}
	why, advice := "", ""
	var malformed *idp.TokenError
	switch {
	case errors.As(err, &malformed):
		why, advice = malformed.Reason, "It must be a JSON Web Token for AWS, and nothing else."
	case !t.Expires.Add(late).After(now):
		why, advice = "it expired at "+t.Expires.UTC().Format(time.RFC3339), "Whatever puts tokens there has stopped, or this machine's clock is wrong."
	case i.Issuer != "" && t.Issuer != i.Issuer:
		exit, why, advice = failure.ExitUsage, fmt.Sprintf("its issuer is %.200q", t.Issuer), "{section} says issuer = "+i.Issuer+". Correct it, or leave it out."
	default:
		return t, nil
	}
	return idp.Token{}, failure.New(exit, err, "the ID token from "+Describe(i.Source)+" cannot be used: "+why+".", advice)
}

// readFile reads a token from a regular file, or a link to one: a pipe could keep
// us waiting for ever. More than a token can have is not read.
func readFile(path string) (secret.String, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	var text []byte
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxRead))
	}
	if err != nil {
		err = cmp.Or(errors.Unwrap(err), err) // without the path
		return secret.String{}, failure.New(failure.ExitUsage, err, fmt.Sprintf("the token file %q cannot be read: %v.", path, err), "Have the platform put an ID token there, or correct source in {section}.")
	}
	return secret.New(strings.TrimSpace(string(text))), nil
}

// gitHubToken returns the token of a job of GitHub Actions, or of what speaks like
// it.
//
// https://docs.github.com/actions/reference/security/oidc
func gitHubToken(ctx context.Context, c cloud.Client, audience string) (secret.String, error) {
	const permission = "Add to the job: permissions: id-token: write"
	endpoint, proof := c.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), c.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if endpoint == "" || proof == "" {
		return secret.String{}, failure.New(failure.ExitUsage, nil, "GitHub gives no ID token here: this is not a job of GitHub Actions, or it lacks a permission.", permission)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || address.Check(endpoint, true) != nil {
		return secret.String{}, failure.New(failure.ExitUsage, nil, "ACTIONS_ID_TOKEN_REQUEST_URL is not an https address.", "GitHub sets it by itself: do not set it.")
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	return cloud.AskMetadata(ctx, c, cloud.Question{
		Who: "GitHub's token endpoint", Advice: permission, URL: u.String(),
		Header: http.Header{"Authorization": {"bearer " + proof}}, Sent: []secret.String{secret.New(proof)},
	}, func(body []byte) (secret.String, error) { return reference.Value(string(body), "value") })
}

// googleToken returns an ID token in the name of the service account of this machine,
// from its metadata server.
//
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity
func googleToken(ctx context.Context, c cloud.Client, audience string) (secret.String, error) {
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
