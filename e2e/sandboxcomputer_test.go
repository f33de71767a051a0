//go:build e2e && linux

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// newSandboxComputer starts a computer whose provider is the sandbox's: one that
// is told what to do, and that fails on demand.
func newSandboxComputer(t *testing.T, o sandbox.Options) *computer {
	t.Helper()
	return startComputer(t, nil, o)
}

// writeConfig writes ~/.aws/config.
func (c *computer) writeConfig(text string) {
	c.t.Helper()
	write(c.t, filepath.Join(c.folder, "home/.aws/config"), text)
}

// section is a section [daypass-idp] for the sandbox's provider, with further lines.
func (c *computer) section(name string, lines ...string) string {
	return fmt.Sprintf("[daypass-idp %s]\nissuer = %s\nclient_id = %s\n%s\n", name, c.aws.Issuer, c.aws.ClientID, strings.Join(lines, "\n"))
}

// profile is a section [profile] with a role of the same name, which trusts the
// sandbox's provider.
func (c *computer) profile(name, section string) string {
	c.t.Helper()
	role := "arn:aws:iam::111122223333:role/" + name
	if err := c.aws.Trust(role, ""); err != nil {
		c.t.Fatal(err)
	}
	return fmt.Sprintf("[profile %[1]s]\nregion = eu-west-1\ncredential_process = %[2]s process --profile %[1]s\ndaypass_idp = %[3]s\ndaypass_role_arn = %[4]s\n",
		name, installed.daypass, section, role)
}
