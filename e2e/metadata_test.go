//go:build e2e && linux

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// elsewhere is the variable that has this test binary play a cloud in a network of
// its own; it holds the path of daypass.
const elsewhere = "DAYPASS_E2E_CLOUD"

// On a machine whose network has nothing but the metadata services at their real
// addresses, daypass gets a role from each, past the proxy that the environment
// names.
func TestMetadataServicesAtTheirAddresses(t *testing.T) {
	t.Parallel()
	hosts := filepath.Join(t.TempDir(), "hosts")
	write(t, hosts, "127.0.0.1 localhost\n169.254.169.254 metadata.google.internal\n")
	cmd := exec.Command("unshare", "--map-root-user", "--net", "--mount", "sh", "-c",
		`ip link set lo up && ip addr add 169.254.169.254/32 dev lo && mount --bind "$1" /etc/hosts && exec "$0"`, os.Args[0], hosts)
	cmd.Env = append(os.Environ(), elsewhere+"="+installed.daypass)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// playCloud is what happens there.
func playCloud(daypass string) error {
	aws, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return err
	}
	defer aws.Close()
	listener, err := net.Listen("tcp", "169.254.169.254:80")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, aws.Handler()) }()
	defer listener.Close()
	var detours atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		detours.Add(1)
		http.Error(w, "a proxy", http.StatusForbidden)
	}))
	defer proxy.Close()
	home, err := os.MkdirTemp("", "daypass-e2e-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)

	var config strings.Builder
	for _, source := range []string{"azure-imds", "gcp-metadata"} {
		fmt.Fprintf(&config, "[daypass-idp %[1]s]\nsource = %[1]s\naudience = %[2]s\nstorage = file\n[profile %[1]s]\ndaypass_idp = %[1]s\ndaypass_role_arn = arn:aws:iam::111122223333:role/%[1]s\ndaypass_sts_endpoint = %[3]s\n",
			source, sandbox.AppIDURI, aws.STSEndpoint)
	}
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, ".aws/config"), []byte(config.String()), 0o600); err != nil {
		return err
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command(daypass, args...)
		cmd.Env = []string{"HOME=" + home, "HTTP_PROXY=" + proxy.URL, "HTTPS_PROXY=" + proxy.URL}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			return "", fmt.Errorf("daypass %s: %v, %s", strings.Join(args, " "), err, stderr.String())
		}
		return stdout.String(), nil
	}
	for _, source := range []string{"azure-imds", "gcp-metadata"} {
		policy, err := run("trust-policy", "--profile", source)
		if err == nil {
			err = aws.Trust("arn:aws:iam::111122223333:role/"+source, policy)
		}
		if err != nil {
			return err
		}
		document, err := run("process", "--profile", source)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(document, `{"Version":1,`) {
			return fmt.Errorf("%s: no credentials", source)
		}
	}
	if imds, gcp := aws.Count("imds"), aws.Count("gcp-metadata"); imds != 2 || gcp != 2 || detours.Load() != 0 {
		return fmt.Errorf("%d and %d tokens, %d requests to the proxy", imds, gcp, detours.Load())
	}
	return nil
}
