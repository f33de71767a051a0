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
	must(t, os.WriteFile(target, []byte(config), 0o600))
	must(t, os.Remove(src.ConfigFile()))
	must(t, os.Symlink(target, src.ConfigFile()))
	if _, err := Load(src, "dev"); err != nil {
		t.Error(err)
	}
}
