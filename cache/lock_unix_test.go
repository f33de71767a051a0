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
	if same, err := isLocked(path, stale.file); !same || err != nil {
		t.Errorf("file in place: %v, %v", same, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if same, err := isLocked(path, stale.file); same || err != nil {
		t.Errorf("file deleted: %v, %v", same, err)
	}
	fresh, err := locks.TryLock("login")
	if err != nil {
		t.Fatal(err)
	}
	if same, err := isLocked(path, stale.file); same || err != nil {
		t.Errorf("file replaced: %v, %v", same, err)
	}
	fresh.Unlock()
}

func TestLockFileMode(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	lock, err := locks.TryLock("login")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	for path, want := range map[string]os.FileMode{
		locks.Dir:                              os.ModeDir | 0o700,
		filepath.Join(locks.Dir, "login.lock"): 0o600,
	} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestLockFileIsLink(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	if err := PrepareStateDir(locks.Dir); err != nil {
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
