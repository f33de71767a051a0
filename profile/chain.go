package profile

import (
	"slices"
	"strings"
)

// maxLinks is how many roles may lie between the login and a profile's own.
const maxLinks = 5

// loadChained returns a profile whose role is assumed by the role of another one,
// which is loaded with it. Flags about the role are about this profile's, and
// those about the login about the one that the chain begins with.
func (c *Config) loadChained(name string, own *settings) (Profile, error) {
	named := own.get("daypass_source_profile")
	for _, key := range []string{"daypass_idp", "daypass_session_name"} {
		if there := own.get(key); there.value != "" {
			return Profile{}, there.wrong("Remove it, or daypass_source_profile.",
				"login and session name of a chained profile are those of profile %s", plain(named.value))
		}
	}
	link := *c
	link.chain = append(slices.Clone(c.chain), name)
	link.src.Flags = map[string]string{}
	for _, key := range idpKeys() {
		if value, given := c.src.Flags[flagName(key.Name)]; given { // an empty one takes back what the file says
			link.src.Flags[flagName(key.Name)] = value
		}
	}
	switch {
	case slices.Contains(link.chain, named.value):
		return Profile{}, named.wrong("Begin the chain with a profile that names a daypass_idp.", "the chain leads back to this profile")
	case len(link.chain) > maxLinks:
		return Profile{}, named.wrong("Let a role nearer to the login assume this one.", "the chain is longer than %d links", maxLinks)
	}
	hub, err := link.Load(named.value)
	if err != nil {
		return Profile{}, err
	}
	p := Profile{Name: name, IDP: hub.IDP, Source: &hub, Azure: own.azure()}
	p.readRole(own)
	p.ExternalID = own.externalID()
	if own.err == nil && p.Partition != hub.Partition {
		return Profile{}, own.get("daypass_role_arn").wrong("A role can only assume roles of its own partition.",
			"it is in partition %s, but the role of profile %s is in %s", p.Partition, plain(hub.Name), hub.Partition)
	}
	return p, own.err
}

// externalID checks the characters that STS takes, [\w+=,.@:/-]{2,1224}.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s *settings) externalID() string {
	got := s.get("daypass_external_id")
	if n := len(got.value); n == 1 || n > 1224 || strings.Trim(got.value, nameCharacters+":/") != "" {
		s.fail(got.wrong("", "want 2 to 1224 characters of A-Z a-z 0-9 _+=,.@:/-"))
	}
	return got.value
}
