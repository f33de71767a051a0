package amazon

import (
	"context"
	"errors"
	"strings"

	"github.com/daypass/daypass/failure"
)

// question is what was asked for, in the words of errors.
type question struct {
	name   string // "the secret dev/db"
	region string
	action string // the permissions that it takes
}

// serviceRefusals are tried in order; the first that matches counts. {said} is the
// code with the service's own words; the other placeholders are of the question.
func serviceRefusals() []failure.Refusal {
	return []failure.Refusal{
		{Codes: "AccessDenied NotAuthorized", Lines: []string{
			"the role of profile {profile} may not have {name} in {region} ({said}).", "Its policies must allow {action}."}},
		{Codes: "ResourceNotFound ParameterNotFound ParameterVersionNotFound", Lines: []string{
			"AWS knows nothing of {name} in {region} ({said}).",
			"Check the name, the region and the account of the role. For another region or account, write the ARN."}},
		{Codes: "DecryptionFailure InvalidKeyId", Lines: []string{
			"AWS cannot decrypt {name} in {region} ({said}).",
			"Its KMS key must be enabled, and the role needs kms:Decrypt for it."}},
		{Codes: "ExpiredToken UnrecognizedClient InvalidSignature IncompleteSignature RequestExpired RequestTimeTooSkewed", Lines: []string{
			"AWS does not accept the signature of the request for {name} in {region} ({said}).",
			"Is this machine's clock right, and the region enabled in the account? See: daypass doctor{flag}"}},
		{Lines: []string{"AWS refuses {name} in {region} ({said}).", "The text in brackets is AWS's."}},
	}
}

// explain says why a question has no answer.
func (c Client) explain(ctx context.Context, err error, of question) *failure.Error {
	var (
		f *failure.Error
		r *refused
	)
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(ctx.Err(), context.Canceled):
		return failure.Interrupted(err)
	case !errors.As(err, &r):
		return failure.New(failure.ExitNetwork, err, "cannot ask AWS for "+of.name+" in "+of.region+": "+err.Error()+".",
			"Check the network and the region. Behind a proxy, set HTTPS_PROXY; behind a company CA, AWS_CA_BUNDLE.")
	case r.passing() || r.code == "":
		return failure.New(failure.ExitNetwork, err, "AWS cannot give "+of.name+" in "+of.region+" now ("+c.said(r)+").", "Try again later. Is there a proxy or a login page in between?")
	}
	return failure.Refused(err, serviceRefusals(), []string{strings.TrimSuffix(r.code, "Exception")},
		"{said}", c.said(r), "{name}", of.name, "{region}", of.region, "{action}", of.action)
}
