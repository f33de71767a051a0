//go:build !windows

package cache

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass/daypass/failure"
)

// payload is n bytes that tell which write they are of.
func payload(write, n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%04d|", write), n/5+1)[:n])
}

func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		// Larger than any file may be: it fails in the middle, as on a full disk.
		signal.Ignore(syscall.SIGXFSZ)
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: 1000}))
		err := WriteFile(dir, "k", payload(2, 5000))
		_, out := errors.AsType[*UnreachableError](err)
		fmt.Print(out && errors.Is(err, syscall.EFBIG))
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "state")
	want := string(payload(1, 3000))
	must(t, WriteFile(dir, "k", []byte(want)))
	if out, err := child(t, dir).Output(); string(out) != "true" {
		t.Fatalf("child says %q, %v", out, err)
	}
	if got, err := ReadFile(dir, "k", MaxRecord); err != nil || string(got) != want {
		t.Errorf("the old file is read as %d bytes, %v", len(got), err)
	}
	if names, err := fileNames(dir); err != nil || len(names) != 1 {
		t.Errorf("the folder holds %q, %v, want the old file alone", names, err)
	}
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if out, ok := fileError(&os.PathError{Err: errno}).(*UnreachableError); !ok || !out.Full {
			t.Errorf("%v: %v, want Full", errno, out)
		}
	}
}

func TestFileModes(t *testing.T) {
	s, _, _ := testStorages(t)
	for _, path := range []string{s.stateDir, filepath.Join(s.stateDir, "items")} {
		must(t, os.Mkdir(path, 0o755)) // by an older umask
	}
	defer syscall.Umask(syscall.Umask(0o177)) // a folder of 0600 could not be entered
	must(t, WriteFile(filepath.Join(s.stateDir, "new", "newer"), "f", nil))
	l, key := storeLogin(t, s, "file", "v1")
	must(t, l.Seal(key, "role", nil))
	must(t, WriteFile(s.stateDir, "f", nil))
	for name, want := range map[string]os.FileMode{
		"": os.ModeDir | 0o700, "items": os.ModeDir | 0o700, l.key: os.ModeDir | 0o700, "new": os.ModeDir | 0o700, "new/newer": os.ModeDir | 0o700, "f": 0o600,
		"items/" + "login-" + wantPlace(t, l, "file").ID: 0o600,
		l.key + "/place.json":                            0o600, l.key + "/role.sealed": 0o600,
	} {
		if info, err := os.Lstat(filepath.Join(s.stateDir, name)); err != nil || info.Mode() != want {
			t.Errorf("%q: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// None of these is followed or read. A file is replaced.
func TestStrangeFiles(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, nil, 0o600))
	for want, put := range map[string]func(path string) error{
		"symbolic links":      func(path string) error { return os.Symlink(outside, path) },
		"is not a plain file": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		dir := t.TempDir()
		must(t, put(filepath.Join(dir, "k")))
		_, err := ReadFile(dir, "k", 100)
		wantUnreachable(t, "read", err, false, want)
		must(t, WriteFile(dir, "k", []byte("new")))
		link := filepath.Join(t.TempDir(), "state")
		must(t, os.Symlink(dir, link))
		_, err = ReadFile(link, "k", 100)
		wantUnreachable(t, "read in a linked folder", err, false, "is not a folder")
		wantUnreachable(t, "write in a linked folder", WriteFile(link, "k", nil), false, "is not a folder")
	}
	first := newMemory("first")
	first.items["login-"+newID()] = ""
	if strays, err := Open(outside, nil, []Keyring{first}).Strays(t.Context()); err == nil || len(strays) != 0 {
		t.Errorf("strays, and nobody knows the places: %v, %v", strays, err)
	}
	if text, err := os.ReadFile(outside); err != nil || len(text) > 0 {
		t.Errorf("a link was followed: %q, %v", text, err)
	}
}

func TestOtherOwner(t *testing.T) {
	path := t.TempDir()
	info, err := os.Lstat(path)
	must(t, err)
	must(t, checkOwner(path, info))
	info.Sys().(*syscall.Stat_t).Uid += 12345
	if err := checkOwner(path, info); err == nil || !strings.Contains(err.Error(), "belongs to user id") {
		t.Errorf("another's folder: %v", err)
	}
	if os.Geteuid() != 0 {
		return // only root can make another's folder
	}
	for _, name := range []string{"", "k"} {
		dir := filepath.Join(t.TempDir(), "state")
		must(t, WriteFile(dir, "k", nil))
		must(t, os.Chown(filepath.Join(dir, name), 12345, -1))
		_, err := ReadFile(dir, "k", 100)
		wantUnreachable(t, name+" of another", err, false, "belongs to user id 12345")
		if name == "" {
			if _, err := (Locks{Dir: dir}).TryLock("login"); err == nil {
				t.Error("a lock was made in another's folder")
			}
		}
	}

	// As root with the HOME of somebody else, whose folders exist so far or not.
	for _, made := range []string{"", ".local", ".local/state/daypass"} {
		home := t.TempDir()
		mkdir(t, home, made)
		for path := filepath.Join(home, made); len(path) >= len(home); path = filepath.Dir(path) {
			must(t, os.Chown(path, 12345, -1))
		}
		var refused *failure.Error
		dir, err := StateDir(func(string) string { return "" }, home)
		if dir != "" || !errors.As(err, &refused) || refused.Exit != failure.ExitUsage || len(refused.Lines) != 2 {
			t.Errorf("home of another, %q exists: %q, %v, want a refusal", made, dir, err)
		}
	}
}

// Windows does not let a locked file be deleted; elsewhere a lock on a file
// that is no longer there locks nothing.
func TestLockFileIsDeleted(t *testing.T) {
	locks := Locks{Dir: filepath.Join(t.TempDir(), "state")}
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
	locks := Locks{Dir: filepath.Join(t.TempDir(), "state")}
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

func touch(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, nil, 0o600))
}

func mkdir(t testing.TB, path ...string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(path...), 0o700))
}
