//go:build e2e && linux

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// elsewhere is the variable that has this test go on in a network of its own; it holds
// the path of daypass.
const elsewhere = "DAYPASS_E2E_CLOUD"

// On a machine whose network has nothing but the metadata services at their real
// addresses, daypass gets a role from each, past the proxy that the environment
// names.
func TestMetadataServicesAtTheirAddresses(t *testing.T) {
	if os.Getenv(elsewhere) == "" {
		t.Parallel()
		hosts := filepath.Join(t.TempDir(), "hosts")
		write(t, hosts, "127.0.0.1 localhost\n169.254.169.254 metadata.google.internal\n")
		cmd := exec.Command("unshare", "--map-root-user", "--net", "--mount", "sh", "-c",
			`ip link set lo up && ip addr add 169.254.169.254/32 dev lo && mount --bind "$1" /etc/hosts && exec "$0" -test.run=`+t.Name(), os.Args[0], hosts)
		cmd.Env = append(os.Environ(), elsewhere+"="+installed.daypass)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}

	aws, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(aws.Close)
	listener, err := net.Listen("tcp", "169.254.169.254:80")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = http.Serve(listener, aws.Handler()) }()
	var detours atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		detours.Add(1)
		http.Error(w, "a proxy", http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)

	home := t.TempDir()
	c := &computer{t: t, folder: home, aws: aws, env: map[string]string{"HOME": home, "HTTP_PROXY": proxy.URL, "HTTPS_PROXY": proxy.URL, "AWS_CONFIG_FILE": filepath.Join(home, "config")}}
	config := ""
	for _, source := range []string{"azure-imds", "gcp-metadata"} {
		config += fmt.Sprintf("[daypass-idp %[1]s]\nsource = %[1]s\naudience = %[2]s\nstorage = file\n[profile %[1]s]\ndaypass_idp = %[1]s\ndaypass_role_arn = arn:aws:iam::111122223333:role/%[1]s\ndaypass_sts_endpoint = %[3]s\n",
			source, sandbox.AppIDURI, aws.STSEndpoint)
	}
	write(t, c.env["AWS_CONFIG_FILE"], config)
	for _, source := range []string{"azure-imds", "gcp-metadata"} {
		must(t, aws.Trust("arn:aws:iam::111122223333:role/"+source, c.ends(0, "", "trust-policy", "--profile", source).stdout))
		credentials(t, c.process(source))
	}
	if imds, gcp := aws.Count("imds"), aws.Count("gcp-metadata"); imds != 2 || gcp != 2 || detours.Load() != 0 {
		t.Errorf("%d and %d tokens, %d requests to the proxy", imds, gcp, detours.Load())
	}
}
