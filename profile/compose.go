package profile

import (
	"strings"

	"github.com/daypass/daypass/secret"
)

// Compose returns the two sections that settings given as flags make: how to log
// in, under the name of the flag idp, and the profile. Values are not checked,
// see [Load].
func Compose(name, credentialProcess string, flags map[string]string, clientSecret secret.String) []Block {
	login := Block{IDP: true, Name: flags["idp"]}
	for _, k := range idpKeys() {
		value := flags[flagName(k.name)]
		if k.name == "client_secret" {
			value = clientSecret.Reveal()
		}
		login.Lines = append(login.Lines, Line{k.name, value})
	}
	own := Block{Name: name, Lines: []Line{{"region", flags["region"]}, {"credential_process", credentialProcess}}}
	for _, k := range profileKeys() {
		if k.usage == "" || k.name == "region" {
			continue
		}
		value := flags[flagName(k.name)]
		if k.name == "daypass_policy" {
			// A setting is one line, and JSON takes any white space between its parts.
			value = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
		}
		own.Lines = append(own.Lines, Line{k.name, value})
	}
	return []Block{login, own}
}
