package process

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daypass/daypass/failure"
)

// A chained profile has its role assumed by the role of another profile, whose
// credentials are cached, locked and renewed as always. Locks are taken from the
// profile that is asked for towards the login.

// source is the pipeline of the role whose credentials are traded: for a token of Azure
// the profile's own, else that of the profile whose role assumes this one's.
func (p *Pipeline) source() *Pipeline {
	source := *p
	source.Missed = nil
	if p.scope != "" {
		source.scope = ""
	} else {
		source.Profile, source.toSTS = *p.Profile.Source, nil
	}
	return &source
}

// renewByRole trades the source's role credentials for this role's, or for a token of
// Azure, and stores that. If AWS no longer accepts the source's credentials, they are
// renewed once.
func (p *Pipeline) renewByRole(ctx context.Context, started time.Time, how manner) (*role, error) {
	source, trade, fresh := p.source(), p.assumeChainedRole, ForSDK
	if p.scope != "" {
		trade = source.tradeForAzure(p.scope)
	}
	for {
		by, err := source.currentRole(ctx, started, fresh, how)
		if err != nil {
			return nil, p.onTheWay(source, err)
		}
		bounded, cancel := p.timeForSTS(ctx, by.Issued, started)
		renewed, err := trade(bounded, by)
		cancel()
		if fresh == nil || !stsSays(err, "ExpiredToken", "InvalidClientTokenId") || !by.Issued.Before(started) {
			return p.keepRole(ctx, renewed, by.key, err)
		}
		fresh = nil
	}
}

// onTheWay is a failure of the source in its own words, with the role that it was
// needed for if AWS has refused.
func (p *Pipeline) onTheWay(source *Pipeline, err error) error {
	f := failure.From(err).Fill(source.Names())
	if f.Exit == failure.ExitAWS && p.scope == "" {
		f.Lines[0] = "on the way to role " + p.Profile.RoleARN + ": " + f.Lines[0]
	}
	var aws fromAWS
	if errors.As(err, &aws) {
		return fromAWS{f}
	}
	return f
}

// assumeChainedRole assumes the role by another one, under the same session name:
// CloudTrail shows the person throughout.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (p *Pipeline) assumeChainedRole(ctx context.Context, by *role) (*role, error) {
	name := by.AssumedRole[strings.LastIndexByte(by.AssumedRole, '/')+1:]
	if name == "" {
		return nil, badAnswer("it does not name the session of role " + p.Profile.Source.RoleARN)
	}
	client, err := p.stsClient(ctx, p.credentials(by))
	if err != nil {
		return nil, err
	}
	input := &sts.AssumeRoleInput{
		RoleArn: &p.Profile.RoleARN, RoleSessionName: &name, DurationSeconds: aws.Int32(int32(p.Profile.Duration / time.Second)),
	}
	if p.Profile.ExternalID != "" {
		input.ExternalId = &p.Profile.ExternalID
	}
	input.Policy, input.PolicyArns = p.sessionPolicies()
	output, err := client.AssumeRole(ctx, input)
	p.debug("assume role", "role", p.Profile.RoleARN, "by", by.AssumedRole, "ok", err == nil)
	if err != nil {
		refusals := append(chainRefusals(), stsRefusals()...)
		return nil, p.explain(ctx, &login{IDToken: by.SessionToken}, asBadAnswer(err), refusals, "Caller: "+by.AssumedRole)
	}
	return p.role(output.Credentials, output.AssumedRoleUser)
}

// Retrieve has the SDK sign with the credentials.
func (c Credentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal()}, nil
}
