//go:build !windows

package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Windows does not let a locked file be deleted; elsewhere a lock on a file
// that is no longer there locks nothing.
func TestLockFileIsDeleted(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	stale, err := locks.TryLock("login")
	must(t, err)
	path := filepath.Join(locks.Dir, "login.lock")
	if !isLocked(path, stale.file) {
		t.Error("file in place: not locked")
	}
	must(t, os.Remove(path))
	if isLocked(path, stale.file) {
		t.Error("file deleted: locked")
	}
	fresh, err := locks.TryLock("login")
	must(t, err)
	if isLocked(path, stale.file) {
		t.Error("file replaced: locked")
	}
	fresh.Unlock()
}

func TestLockFileIsLink(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	must(t, os.Mkdir(locks.Dir, 0o700))
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.Symlink(target, filepath.Join(locks.Dir, "login.lock")))
	if _, err := locks.TryLock("login"); err == nil || !strings.Contains(err.Error(), "login.lock") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link was followed")
	}
}
