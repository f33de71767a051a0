//go:build e2e && linux

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// Google's client libraries, unmodified, get an access token in both ways: for the
// role, started by daypass exec, and for the login, which they run daypass for.
// They reach Google by its real names.
func TestGoogleLibraries(t *testing.T) {
	t.Parallel()
	for name, client := range map[string][]string{
		"google-auth-library":      {installed.node, installed.in("googlejs/token.mjs")},
		"golang.org/x/oauth2":      {installed.module("googlego"), "oauth2"},
		"cloud.google.com/go/auth": {installed.module("googlego"), "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newComputer(t, nil, sandbox.Options{})
			c.writeConfig(c.section("corp"), c.profile("dev", "corp"))
			c.onInternet(c.aws.Google, sandbox.GoogleHosts(), sandbox.GoogleHosts()...)
			file := filepath.Join(c.folder, "gcp.json")
			c.env["GOOGLE_APPLICATION_CREDENTIALS"], c.env["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = file, "1"
			c.env["GOOGLE_CLOUD_PROJECT"] = "octo-project" // else npm's looks for it at the metadata server
			configure := func(args ...string) {
				t.Helper()
				r := c.say(append([]string{"gcp-config", "-p", "dev"}, args...)...)
				if r.code != 0 || r.stderr != "" {
					t.Fatalf("gcp-config: %+v", r)
				}
				write(t, file, r.stdout)
			}
			byRole := append([]string{installed.daypass, "exec", "-p", "dev", "--"}, client...)
			gets := func(kind string, argv ...string) {
				t.Helper()
				if r := c.run(argv...); r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "ya29."+kind) {
					t.Errorf("%+v", r)
				}
			}
			const words = "daypass: profile dev needs a login, but"
			shows := func(words string, argv ...string) {
				t.Helper()
				started := time.Now()
				if r := c.run(argv...); r.code == 0 || !strings.Contains(r.stdout+r.stderr, words) {
					t.Errorf("%+v", r)
				}
				if took := time.Since(started); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
			}

			configure("--audience", sandbox.GoogleProviderAWS)
			shows(words, byRole...)
			shows("", client...) // not started by exec: the libraries' own words, at once
			aws := file
			file = filepath.Join(c.folder, "login.json")
			configure("--audience", sandbox.GoogleProviderLogin, "--via", "login")
			c.env["GOOGLE_APPLICATION_CREDENTIALS"] = file
			shows(words, client...)

			c.login("dev")
			gets("federated", client...)
			configure("--audience", sandbox.GoogleProviderLogin, "--via", "login", "--service-account", sandbox.GoogleAccount)
			gets("account", client...)
			c.env["GOOGLE_APPLICATION_CREDENTIALS"] = aws
			gets("federated", byRole...)
			file = aws
			configure("--audience", sandbox.GoogleProviderAWS, "--service-account", sandbox.GoogleAccount)
			gets("account", byRole...)
		})
	}
}
