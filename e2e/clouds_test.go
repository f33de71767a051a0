//go:build e2e && linux

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

const (
	azureTenant = "9f1c0000-0000-4000-8000-000000000000"
	azureApp    = "1b9e0000-0000-4000-8000-000000000001"
)

// newCloudComputer is a computer whose profile dev is an application in Entra ID too.
// It reaches the clouds by their real names, through a proxy.
func newCloudComputer(t *testing.T, o sandbox.Options) *computer {
	t.Helper()
	c := newComputer(t, options{aws: o})
	c.configure("dev")
	config := filepath.Join(c.folder, "home/.aws/config")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, string(text)+"daypass_azure_tenant = "+azureTenant+"\ndaypass_azure_client_id = "+azureApp+"\n\n[profile vm]\ndaypass_azure_via = imds\n")
	c.aws.Federate(sandbox.FederatedCredential{Tenant: azureTenant, ClientID: azureApp, Issuer: sandbox.OutboundIssuer, Subject: "arn:aws:iam::111122223333:role/dev", Audience: "api://AzureADTokenExchange"})
	c.aws.PutVaultSecret(azureTenant, "corp-kv", "db", "value-of-the-vault-4711")
	c.aws.PutVaultSecret(sandbox.AzureTenant, "vm-kv", "db", "value-for-the-machine-4711")
	c.aws.PutSecret("eu-west-1", "dev/azure", `{"ConnectionString":"value-of-the-connection-4711"}`)
	c.openDesktop("approve")
	if r := c.run(installed.daypass, "process", "-p", "dev"); r.code != 0 {
		t.Fatalf("login: %s", r.stderr)
	}
	c.closeDesktop() // Chromium has a network of its own in mind
	proxy, err := sandbox.StartInternet(http.HandlerFunc(c.aws.Cloud), sandbox.CloudHosts()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proxy.Close()
		for _, host := range proxy.Asked() {
			if host != "login.microsoftonline.com" && host != "corp-kv.vault.azure.net" && host != "vm-kv.vault.azure.net" {
				t.Errorf("%s was asked", host)
			}
		}
	})
	authority := filepath.Join(c.folder, "authority.pem")
	write(t, authority, string(proxy.Certificate))
	for name, value := range map[string]string{
		"HTTPS_PROXY": proxy.Proxy, "SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": c.aws.URL + "/secretsmanager", "AZURE_POD_IDENTITY_AUTHORITY_HOST": c.aws.URL,
	} {
		c.env[name] = value
	}
	return c
}

// azureClients are Azure's own libraries, unmodified.
func azureClients() map[string][]string {
	script := filepath.Join(installed.folder, "azurejs/secret.mjs")
	return map[string][]string{
		"go, workload identity": {installed.clouds, "workload"}, "go, default": {installed.clouds, "default"},
		"javascript, workload identity": {installed.node, script, "workload"}, "javascript, default": {installed.node, script, "default"},
	}
}

// Azure's own libraries read a secret of Key Vault under daypass exec --azure, where a
// stale secret of another application is around; also after the first assertion has
// run out, for the file is replaced.
func TestAzureLibraries(t *testing.T) {
	t.Parallel()
	c := newCloudComputer(t, sandbox.Options{OutboundTokenLife: 5 * time.Second})
	c.env["AZURE_CLIENT_SECRET"], c.env["ARM_CLIENT_SECRET"] = "stale", "stale"
	for name, client := range azureClients() {
		for _, script := range []string{
			`exec "$@"`,
			// After the first assertion has run out.
			`first=$(cat "$AZURE_FEDERATED_TOKEN_FILE"); sleep 6; test "$first" != "$(cat "$AZURE_FEDERATED_TOKEN_FILE")" && exec "$@"`,
		} {
			argv := append([]string{installed.daypass, "exec", "-p", "dev", "--azure", "--", "sh", "-c", script, "sh"}, client...)
			r := c.run(append(argv, "https://corp-kv.vault.azure.net", "db")...)
			if r.code != 0 || strings.TrimSpace(r.stdout) != "value-of-the-vault-4711" {
				t.Errorf("%s, %s: exit code %d, %s%s", name, script, r.code, r.stdout, r.stderr)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.folder, "home/.local/state/daypass/azure/*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// The fake refuses what Entra ID refuses, and its words reach whoever uses the
// library: a role that no federated credential names.
func TestAzureLibrariesWithoutACredential(t *testing.T) {
	t.Parallel()
	c := newCloudComputer(t, sandbox.Options{})
	c.trust("staging")
	c.env["AWS_REGION"] = "eu-west-1"
	for name, client := range azureClients() {
		argv := append([]string{installed.daypass, "exec", "-p", "dev", "--role-arn", "arn:aws:iam::111122223333:role/staging", "--azure", "--"}, client...)
		if r := c.run(append(argv, "https://corp-kv.vault.azure.net", "db")...); r.code == 0 || !strings.Contains(r.stderr, "AADSTS700213") {
			t.Errorf("%s: exit code %d\n%s", name, r.code, r.stderr)
		}
	}
}

// A program has the secrets that its environment refers to; on a virtual machine of
// Azure without any account at AWS.
func TestSecretsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	c := newCloudComputer(t, sandbox.Options{})
	c.env["AZURE_STORAGE_CONNECTION_STRING"] = "awssecrets://dev/azure#ConnectionString"
	r := c.run(installed.daypass, "exec", "-p", "dev", "--env", "DB=azurekeyvault://corp-kv/db", "--", "sh", "-c", `echo "$AZURE_STORAGE_CONNECTION_STRING $DB"`)
	if r.code != 0 || r.stdout != "value-of-the-connection-4711 value-of-the-vault-4711\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	delete(c.env, "AZURE_STORAGE_CONNECTION_STRING")
	before := c.asked()
	r = c.run(installed.daypass, "exec", "-p", "vm", "--env", "DB=azurekeyvault://vm-kv/db", "--", "sh", "-c", `echo "$DB ${AWS_ACCESS_KEY_ID-none}"`)
	if r.code != 0 || r.stdout != "value-for-the-machine-4711 none\n" || r.stderr != "" || c.asked() != before {
		t.Errorf("on a virtual machine: %+v", r)
	}
}
