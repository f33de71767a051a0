//go:build unix

package profile

import (
	"os"
	"path/filepath"
	"testing"
)

// People keep ~/.aws/config among their dotfiles, and link to it.
func TestLinksAreFollowed(t *testing.T) {
	src := source(t, "", nil, nil)
	target := filepath.Join(t.TempDir(), "dotfiles-aws-config")
	if err := os.WriteFile(target, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(src.ConfigFile()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, src.ConfigFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(src, "dev"); err != nil {
		t.Error(err)
	}
}
