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

// onInternet has somebody play hosts by their real names, behind a proxy. Only those of
// may be asked.
func (c *computer) onInternet(play http.HandlerFunc, hosts []string, may ...string) {
	c.t.Helper()
	proxy, err := sandbox.StartInternet(play, hosts...)
	must(c.t, err)
	c.t.Cleanup(func() {
		proxy.Close()
		for _, host := range proxy.Asked() {
			if !slices.Contains(may, host) {
				c.t.Errorf("somebody asked for %s", host)
			}
		}
	})
	authority := filepath.Join(c.folder, "authority.pem")
	write(c.t, authority, string(proxy.Certificate))
	c.env["HTTPS_PROXY"], c.env["SSL_CERT_FILE"], c.env["NODE_EXTRA_CA_CERTS"] = proxy.Proxy, authority, authority
}

// Azure's own libraries, unmodified, read a secret of Key Vault under daypass exec
// --azure, where a stale secret of another application is around; also after the first
// assertion has run out, for the file is replaced. Of a role that no federated
// credential names, whoever uses the library reads Entra ID's refusal.
func TestAzureLibraries(t *testing.T) {
	t.Parallel()
	const tenant, app = "9f1c0000-0000-4000-8000-000000000000", "1b9e0000-0000-4000-8000-000000000001"
	c := newComputer(t, nil, sandbox.Options{OutboundTokenLife: 5 * time.Second})
	c.writeConfig(c.section("corp"), c.profile("dev", "corp")+"daypass_azure_tenant = "+tenant+"\ndaypass_azure_client_id = "+app)
	c.aws.Federate(sandbox.FederatedCredential{Tenant: tenant, ClientID: app, Issuer: sandbox.OutboundIssuer, Subject: "arn:aws:iam::111122223333:role/dev", Audience: "api://AzureADTokenExchange"})
	c.aws.PutVaultSecret(tenant, "corp-kv", "db", "value-of-the-vault-4711")
	c.login("dev")
	c.onInternet(c.aws.Cloud, sandbox.CloudHosts(), "login.microsoftonline.com", "corp-kv.vault.azure.net")
	c.env["AZURE_CLIENT_SECRET"], c.env["ARM_CLIENT_SECRET"], c.env["AWS_REGION"] = "stale", "stale", "eu-west-1"
	script, staging := installed.in("azurejs/secret.mjs"), c.trust("staging")
	for name, client := range map[string][]string{
		"go, workload identity": {installed.module("clouds"), "workload"}, "go, default": {installed.module("clouds"), "default"},
		"javascript, workload identity": {installed.node, script, "workload"}, "javascript, default": {installed.node, script, "default"},
	} {
		client = append(client, "https://corp-kv.vault.azure.net", "db")
		exec := []string{installed.daypass, "exec", "-p", "dev", "--azure"}
		for _, script := range []string{
			`exec "$@"`,
			// After the first assertion has run out.
			`first=$(cat "$AZURE_FEDERATED_TOKEN_FILE"); sleep 6; test "$first" != "$(cat "$AZURE_FEDERATED_TOKEN_FILE")" && exec "$@"`,
		} {
			r := c.run(slices.Concat(exec, []string{"--", "sh", "-c", script, "sh"}, client)...)
			if r.code != 0 || strings.TrimSpace(r.stdout) != "value-of-the-vault-4711" {
				t.Errorf("%s, %s: exit code %d, %s%s", name, script, r.code, r.stdout, r.stderr)
			}
		}
		if r := c.run(slices.Concat(exec, []string{"--role-arn", staging, "--"}, client)...); r.code == 0 || !strings.Contains(r.stderr, "AADSTS700213") {
			t.Errorf("%s, refused: exit code %d\n%s", name, r.code, r.stderr)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.folder, "home/.local/state/daypass/azure/*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
