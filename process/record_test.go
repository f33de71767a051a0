package process

import (
	"testing"
	"time"

	"github.com/daypass/daypass/profile"
)

// A login is everything that changes what the provider would answer, and a role is
// what changes STS's answer.
func TestNamesHoldWhatChangesTheAnswer(t *testing.T) {
	base := profile.Profile{
		IDP:     profile.IDP{Name: "corp", Issuer: "https://corp.example", ClientID: "c"},
		RoleARN: "arn:aws:iam::111122223333:role/dev", Duration: time.Hour,
	}
	names := func(p profile.Profile) string { return LoginKey(p.IDP) + " " + nameOfRole(p) }
	seen := map[string]string{names(base): "base"}
	for name, change := range map[string]func(*profile.Profile){
		"section":         func(p *profile.Profile) { p.IDP.Name = "other" },
		"issuer":          func(p *profile.Profile) { p.IDP.Issuer += "/" },
		"client":          func(p *profile.Profile) { p.IDP.ClientID = "d" },
		"scopes":          func(p *profile.Profile) { p.IDP.Scopes = "openid" },
		"audience":        func(p *profile.Profile) { p.IDP.Audience = "a" },
		"extra params":    func(p *profile.Profile) { p.IDP.ExtraParams = "a=b" },
		"device endpoint": func(p *profile.Profile) { p.IDP.DeviceAuthorizationEndpoint = "https://corp.example/d" },
		"role":            func(p *profile.Profile) { p.RoleARN += "2" },
		"duration":        func(p *profile.Profile) { p.Duration = 2 * time.Hour },
		"session name":    func(p *profile.Profile) { p.SessionName = "{sub}" },
		"policy":          func(p *profile.Profile) { p.Policy = "{}" },
		"policy ARN":      func(p *profile.Profile) { p.PolicyARNs = []string{"{}"} },
		"STS endpoint":    func(p *profile.Profile) { p.STSEndpoint = "https://sts.example" },
		"source":          func(p *profile.Profile) { p.Source = &profile.Profile{RoleARN: "a"} },
		"source's role":   func(p *profile.Profile) { p.Source = &profile.Profile{RoleARN: "b"} },
		"external id":     func(p *profile.Profile) { p.Source, p.ExternalID = &profile.Profile{RoleARN: "a"}, "x" },
		"FIPS":            func(p *profile.Profile) { p.UseFIPS = true },
		"dual-stack":      func(p *profile.Profile) { p.UseDualStack = true },
	} {
		p := base
		change(&p)
		if other, taken := seen[names(p)]; taken {
			t.Errorf("%s: the names are those of %s", name, other)
		}
		seen[names(p)] = name
	}
	same := base
	same.Name, same.Region, same.IDP.ProcessTimeout = "other", "us-east-1", time.Second
	if names(same) != names(base) {
		t.Error("the region, or how long to wait, changes the names, and the credentials do not depend on it")
	}
}
