package process

import (
	"cmp"
	"context"
	"strings"
	"sync"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/azure"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

// sideBySide is how many secrets are asked for at once.
const sideBySide = 8

// Wanted is a variable whose value is a reference to a secret.
type Wanted struct {
	Variable string
	reference.Reference
}

// References finds the variables of an environment, NAME=VALUE each, whose values are
// references, and returns the errors that can be found without asking anybody.
func (p *Pipeline) References(environ []string) ([]Wanted, error) {
	var all []Wanted
	for _, assignment := range environ {
		name, value, _ := strings.Cut(assignment, "=")
		r, found, err := reference.Parse(value)
		if !found {
			continue
		}
		if err != nil {
			return nil, p.Fill(failure.New(failure.ExitUsage, err, name+": this reference to a secret cannot be followed: "+err.Error()+".",
				"They are written awssecrets://NAME#KEY, awsssm://PATH and azurekeyvault://VAULT/NAME."))
		}
		if err := p.outOfReach(r.Secret); err != nil {
			return nil, p.Fill(of(name, err))
		}
		all = append(all, Wanted{name, r})
	}
	return all, nil
}

// outOfReach says what the profile lacks to ask for a secret, or nil.
func (p *Pipeline) outOfReach(s reference.Secret) error {
	switch {
	case s.Scheme == reference.KeyVault:
		return p.withoutAzure()
	case p.Profile.RoleARN == "":
		return failure.New(failure.ExitUsage, nil, "a secret of AWS needs a role, and profile {profile} has none.", "Set daypass_idp and daypass_role_arn in it.")
	case s.Region == "" && (p.Profile.Region == "" || strings.HasSuffix(p.Profile.Region, "-global")):
		return failure.New(failure.ExitUsage, nil, "no region is set in which AWS could look for "+s.String()+".", "Set region in profile {profile}, or AWS_REGION, or write the ARN.")
	case s.Region != "" && address.PartitionOf(s.Region) != p.Profile.Partition:
		return failure.New(failure.ExitUsage, nil, "partition "+address.PartitionOf(s.Region)+" of "+s.String()+" is not the one of the role of profile {profile}.")
	}
	return nil
}

// of is a failure about one variable; an interruption is about none.
func of(variable string, err error) error {
	named := *failure.From(err)
	if named.Exit != failure.ExitInterrupt {
		named.Lines = append([]string{variable + ": " + named.Lines[0]}, named.Lines[1:]...)
	}
	return &named
}

// Secrets returns the assignments, NAME=VALUE, that replace those of the references.
// Equal secrets are asked for once, side by side. The error is that of the first
// variable that has one. c may be the zero value if the profile has no role.
func (p *Pipeline) Secrets(ctx context.Context, all []Wanted, c Credentials) ([]string, error) {
	if len(all) == 0 {
		return nil, nil
	}
	ask, err := p.vaults(ctx, c)
	if err != nil {
		return nil, p.Fill(err)
	}
	answers := map[reference.Secret]func() (secret.String, error){}
	slots := make(chan struct{}, sideBySide)
	var asking sync.WaitGroup
	for _, w := range all {
		if answers[w.Secret] != nil {
			continue
		}
		answer := sync.OnceValues(func() (secret.String, error) {
			slots <- struct{}{}
			defer func() { <-slots }()
			return ask(w.Secret)
		})
		answers[w.Secret] = answer
		asking.Go(func() { _, _ = answer() })
	}
	asking.Wait()
	p.debug("get secrets", "references", len(all), "secrets", len(answers))
	var assignments []string
	for _, w := range all {
		whole, err := answers[w.Secret]()
		if err != nil {
			return nil, p.Fill(of(w.Variable, err))
		}
		value, err := w.Pick(whole)
		if err != nil {
			return nil, p.Fill(failure.New(failure.ExitAWS, err, w.Variable+": the secret "+w.Secret.String()+" cannot be used: "+err.Error()+".",
				"Correct the reference, or the secret."))
		}
		assignments = append(assignments, w.Variable+"="+value.Reveal())
	}
	return assignments, nil
}

// vaults returns a function that gets a secret from where it is kept.
func (p *Pipeline) vaults(ctx context.Context, c Credentials) (func(reference.Secret) (secret.String, error), error) {
	aws, err := p.amazon(c)
	keyVault := p.azure()
	token := sync.OnceValues(func() (azure.Token, error) { return p.AzureToken(ctx, azure.VaultScope) })
	return func(s reference.Secret) (secret.String, error) {
		switch region := cmp.Or(s.Region, p.Profile.Region); s.Scheme {
		case reference.SecretsManager:
			return aws.Secret(ctx, s.Name, region)
		case reference.ParameterStore:
			return aws.Parameter(ctx, s.Name, region)
		}
		t, err := token()
		if err != nil {
			return secret.String{}, err
		}
		vault, name, _ := strings.Cut(s.Name, "/")
		return azure.VaultSecret(ctx, keyVault, t.Value, vault, name)
	}, err
}
