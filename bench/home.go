//go:build linux

package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/zalando/go-keyring"

	"github.com/daypass/daypass/internal/sandbox"
)

// home is a home folder in which daypass is set up, with a provider and an AWS in
// its reach. There is a profile for each storage, called like it, with a login of
// its own and with role credentials in the cache.
type home struct {
	folder  string
	daypass string
	env     []string
	aws     *sandbox.Sandbox
	logins  []string // that there are
}

// newHome makes a home folder. bus is the address of the session bus, "" for none.
func newHome(folder, daypass, bus string, storages ...string) (*home, error) {
	aws, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return nil, err
	}
	aws.AutoApprove("taro")
	h := &home{
		folder: folder, daypass: daypass, aws: aws,
		env: []string{"PATH=/usr/bin:/bin", "HOME=" + folder, "DBUS_SESSION_BUS_ADDRESS=" + bus},
	}
	config := ""
	for _, storage := range storages {
		config += fmt.Sprintf(`[daypass-idp %[1]s]
issuer    = %[2]s
client_id = %[3]s
storage   = %[1]s

[profile %[1]s]
region               = eu-west-1
credential_process   = %[4]s process --profile %[1]s
daypass_idp          = %[1]s
daypass_role_arn     = %[5]s
daypass_sts_endpoint = %[6]s

`, storage, aws.Issuer, aws.ClientID, daypass, aws.RoleARN, aws.STSEndpoint)
	}
	err = os.MkdirAll(filepath.Join(folder, ".aws"), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, ".aws", "config"), []byte(config), 0o600)
	}
	for _, storage := range storages {
		if err == nil {
			err = h.login(storage)
		}
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// lengthen appends so many more profiles to the config file, which use the login of
// the storage, and comments until it has so many bytes.
func (h *home) lengthen(storage string, profiles, bytes int) error {
	path := filepath.Join(h.folder, ".aws", "config")
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := range profiles {
		config = fmt.Appendf(config, `[profile p%03[1]d]
region             = eu-west-1
credential_process = %[2]s process --profile p%03[1]d
daypass_idp        = %[3]s
daypass_role_arn   = arn:aws:iam::111122223333:role/p%03[1]d

`, i, h.daypass, storage)
	}
	comment := strings.Repeat("# comment\n", 100)
	for len(config)+len(comment) <= bytes {
		config = append(config, comment...)
	}
	return os.WriteFile(path, config, 0o600)
}

// close removes what lies outside of the folder, which is the kernel keyring's
// part, and ends the provider and AWS.
func (h *home) close() {
	for _, name := range h.logins {
		if _, err := h.run("logout", "--idp", name); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	h.aws.Close()
}

// run runs daypass and returns what it printed.
func (h *home) run(args ...string) ([]byte, error) {
	cmd := exec.Command(h.daypass, args...)
	cmd.Env = h.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("daypass %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// login logs in to a profile, and has role credentials stored.
func (h *home) login(storage string) error {
	h.logins = append(h.logins, storage)
	if _, err := h.run("login", "--profile", storage); err != nil {
		return err
	}
	_, err := h.run("process", "--profile", storage)
	return err
}

// item is what the yardsticks read: as long as a record of role credentials.
type item struct{ file, service, user string }

func (h *home) yardsticks(bus string) (item, error) {
	i := item{file: filepath.Join(h.folder, "item"), service: "yardstick", user: "item"}
	text := strings.Repeat(rand.Text(), 80)[:2000]
	if err := os.WriteFile(i.file, []byte(text), 0o600); err != nil {
		return i, err
	}
	if err := os.Setenv("DBUS_SESSION_BUS_ADDRESS", bus); err != nil {
		return i, err
	}
	return i, keyring.Set(i.service, i.user, text)
}
