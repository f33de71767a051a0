//go:build e2e && linux

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// The SDKs start daypass in their own ways: with another standard input, with a
// time limit, with standard error passed on or swallowed.
func TestSDKs(t *testing.T) {
	t.Parallel()
	clients := map[string][]string{
		"go":         {installed.goSDK},
		"javascript": {installed.node, filepath.Join(installed.folder, "jssdk/identity.mjs")},
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			c := newComputer(t, options{})
			c.configure("dev", "staging")
			tabs := c.openDesktop("approve")
			for _, profile := range []string{"dev", "dev", "staging"} {
				r := c.run(append(client, profile)...)
				if r.code != 0 || strings.TrimSpace(r.stdout) != arn(profile) || r.stderr != "" {
					t.Fatalf("profile %s: %+v", profile, r)
				}
			}
			if opened := tabs(); len(opened) != 1 {
				t.Errorf("%d tabs, want 1: %q", len(opened), opened)
			}
			if n := c.aws.Count("sts"); n != 2 {
				t.Errorf("%d requests of daypass's to STS for two profiles, want 2", n)
			}
		})
	}
}
