package command

import (
	"context"
	"fmt"

	"github.com/daypass/daypass/profile"
)

// runImport takes over the sections of a file that a company hands out.
func (c *configurer) runImport(ctx context.Context, path string) error {
	if err := c.begin(); err != nil {
		return err
	}
	blocks, err := profile.ReadImport(path)
	if err != nil {
		return err
	}
	var warnings []string
	for i, b := range blocks {
		if b.IDP {
			for _, line := range b.Lines {
				if line.Key == "issuer" {
					err = c.keepsIssuer(b.Name, line.Value)
				}
			}
		} else {
			err = c.takeProfile(b.Name)
			blocks[i].Lines = append([]profile.Line{{Key: "credential_process", Value: c.commandLine(b.Name)}}, b.Lines...)
		}
		if err != nil {
			return err
		}
		warnings = append(warnings, minded(b)...)
	}
	return c.finish(ctx, blocks, warnings)
}

// minded are the settings that a stranger's file could do harm with, more than
// with a provider that nobody logs in at.
func minded(b profile.Block) []string {
	var warnings []string
	for _, line := range b.Lines {
		harm := ""
		switch line.Key {
		case "browser_command":
			harm = "runs this program on your machine"
		case "daypass_sts_endpoint":
			harm = "gets your ID token"
		case "daypass_signin_endpoint":
			harm = "gets your AWS credentials"
		case "device_authorization_endpoint":
			harm = "says where you log in"
		case "ca_bundle":
			harm = "is trusted for the connection to the provider"
		}
		if harm != "" {
			warnings = append(warnings, fmt.Sprintf("%s = %s, which %s", line.Key, line.Value, harm))
		}
	}
	return warnings
}
