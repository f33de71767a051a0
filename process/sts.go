package process

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daypass/daypass/failure"
)

const (
	stsTries = 3
	// stsRequestTime bounds one request to STS.
	stsRequestTime = 10 * time.Second
	// stsAnswerMax bounds the body of an answer, in bytes; a real one is below 8 kB.
	stsAnswerMax = 1 << 20
)

// assumeRole trades the login's ID token for role credentials.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (p *Provider) assumeRole(ctx context.Context, l *login) (*role, error) {
	form, err := p.stsForm(l)
	if err != nil {
		return nil, err
	}
	client, err := p.stsClient()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, stsRequestTime)
		answer, err := askSTS(bounded, client, p.Profile.STSURL(), form)
		silent := bounded.Err() != nil
		cancel()
		if err == nil {
			return p.role(l, answer)
		}
		if try == stsTries || !silent && !worthRetrying(err) || ctx.Err() != nil {
			return nil, err
		}
		if err := p.Sleep(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (p *Provider) stsForm(l *login) (url.Values, error) {
	name, err := sessionName(p.Profile.SessionName, l.IDToken.String)
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, "profile "+p.name()+": "+err.Error()+".", "See which claims the token has: daypass doctor"+p.profileFlag())
	}
	form := url.Values{
		"Action":           {"AssumeRoleWithWebIdentity"},
		"Version":          {"2011-06-15"},
		"RoleArn":          {p.Profile.RoleARN},
		"RoleSessionName":  {name},
		"WebIdentityToken": {l.IDToken.Reveal()},
		"DurationSeconds":  {strconv.Itoa(int(p.Profile.Duration / time.Second))},
	}
	if p.Profile.Policy != "" {
		form.Set("Policy", p.Profile.Policy)
	}
	for i, arn := range p.Profile.PolicyARNs {
		form.Set("PolicyArns.member."+strconv.Itoa(i+1)+".arn", arn)
	}
	return form, nil
}

func (p *Provider) stsClient() (*http.Client, error) {
	transport, err := newTransport(p.Profile.AWSCABundle)
	if err != nil {
		return nil, failure.New(failure.ExitUsage, err, "AWS_CA_BUNDLE: "+reason(err)+".", "Point it at a PEM file, or unset it.")
	}
	return newClient(p.noted(transport), stsAnswerMax), nil
}

// role checks what STS answered: nothing of it is stored or printed unless it is
// whole.
func (p *Provider) role(l *login, a *stsAnswer) (*role, error) {
	now := p.Now()
	switch {
	case a.AccessKeyID == "" || a.SecretAccessKey.Empty() || a.SessionToken.Empty():
		return nil, &badAnswer{what: "it holds no credentials"}
	case !a.Expiration.After(now):
		return nil, &badAnswer{what: "its credentials have already expired by this machine's clock"}
	case a.Expiration.Sub(now) > 13*time.Hour:
		return nil, &badAnswer{what: "its credentials live longer than AWS gives any"}
	case len(a.AssumedRole) > 2048:
		return nil, &badAnswer{what: "its ARN is longer than AWS makes any"}
	case len(a.AccessKeyID) > 128 || len(a.SecretAccessKey.Reveal()) > 1024 || len(a.SessionToken.Reveal()) > 16<<10:
		return nil, &badAnswer{what: "its credentials are larger than AWS gives any"}
	}
	r := &role{
		LoginID: l.ID, Issued: wall(now), Expires: wall(a.Expiration).Truncate(time.Second),
		AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey.String, SessionToken: a.SessionToken.String,
		AssumedRole: a.AssumedRole,
	}
	if !r.printable() {
		return nil, &badAnswer{what: "its credentials hold characters that AWS's do not"}
	}
	return r, nil
}

// badAnswer is an answer that is not what STS sends.
type badAnswer struct {
	what    string
	passing bool // the next one may be better
}

func (e *badAnswer) Error() string { return "the answer of STS cannot be used: " + e.what }

// worthRetrying tells a fault that may pass from a refusal.
func worthRetrying(err error) bool {
	var api *stsError
	if errors.As(err, &api) {
		switch api.Code {
		case "IDPCommunicationError":
			return true
		case "InvalidIdentityToken":
			// Transient where STS could not fetch the provider's keys, and only there.
			return strings.Contains(api.Message, "retrieve verification key")
		}
	}
	return passing(err)
}

// isBadToken reports that STS found fault with the ID token itself, and not with
// what the account knows of the provider.
func isBadToken(err error) bool {
	var api *stsError
	if !errors.As(err, &api) || api.Code != "InvalidIdentityToken" {
		return false
	}
	for _, account := range []string{"Incorrect token audience", "No OpenIDConnect provider", "verification key", "thumbprint"} {
		if strings.Contains(api.Message, account) {
			return false
		}
	}
	return true
}

// isExpiredToken reports that STS called the ID token expired.
func isExpiredToken(err error) bool {
	var api *stsError
	return errors.As(err, &api) && strings.HasPrefix(api.Code, "ExpiredToken")
}
