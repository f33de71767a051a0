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
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(locks.Dir, "login.lock")
	if !isLocked(path, stale.file) {
		t.Error("file in place: not locked")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if isLocked(path, stale.file) {
		t.Error("file deleted: locked")
	}
	fresh, err := locks.TryLock("login")
	if err != nil {
		t.Fatal(err)
	}
	if isLocked(path, stale.file) {
		t.Error("file replaced: locked")
	}
	fresh.Unlock()
}

func TestLockFileIsLink(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	if err := prepareDir(locks.Dir); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "target")
	if err := os.Symlink(target, filepath.Join(locks.Dir, "login.lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := locks.TryLock("login"); err == nil || !strings.Contains(err.Error(), "login.lock") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link was followed")
	}
}
