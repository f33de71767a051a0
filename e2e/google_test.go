//go:build e2e && linux

package e2e

import (
	"net/http"
	"path/filepath"
	"slices"
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
		"google-auth-library":      {installed.node, filepath.Join(installed.folder, "googlejs/token.mjs")},
		"golang.org/x/oauth2":      {installed.googleGo, "oauth2"},
		"cloud.google.com/go/auth": {installed.googleGo, "auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSandboxComputer(t, sandbox.Options{})
			c.writeConfig(c.section("corp") + c.profile("dev", "corp"))
			internet, err := sandbox.StartInternet(http.HandlerFunc(c.aws.Google), sandbox.GoogleHosts()...)
			must(t, err)
			t.Cleanup(internet.Close)
			authority, file := filepath.Join(c.folder, "ca.pem"), filepath.Join(c.folder, "gcp.json")
			write(t, authority, string(internet.Certificate))
			for variable, value := range map[string]string{
				"HTTPS_PROXY": internet.Proxy, "SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority,
				"GOOGLE_APPLICATION_CREDENTIALS": file, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1",
				"GOOGLE_CLOUD_PROJECT": "octo-project", // else npm's looks for it at the metadata server
			} {
				c.env[variable] = value
			}
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

			c.aws.AutoApprove("taro")
			if r := c.say("login", "-p", "dev"); r.code != 0 {
				t.Fatalf("login: %+v", r)
			}
			gets("federated", client...)
			configure("--audience", sandbox.GoogleProviderLogin, "--via", "login", "--service-account", sandbox.GoogleAccount)
			gets("account", client...)
			c.env["GOOGLE_APPLICATION_CREDENTIALS"] = aws
			gets("federated", byRole...)
			file = aws
			configure("--audience", sandbox.GoogleProviderAWS, "--service-account", sandbox.GoogleAccount)
			gets("account", byRole...)

			for _, host := range internet.Asked() {
				if !slices.Contains(sandbox.GoogleHosts(), host) {
					t.Errorf("somebody asked for %s", host)
				}
			}
		})
	}
}
