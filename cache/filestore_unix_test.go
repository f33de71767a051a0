//go:build !windows

package cache

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fullDisk tries to write a record larger than any file may be, which fails
// in the middle as on a full disk.
func fullDisk(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 1000, Max: 1000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	err := filesIn(dir).Set(context.Background(), "k", payload(2, 5000), time.Time{})
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) && errors.Is(err, syscall.EFBIG) {
		os.Stdout.WriteString("full")
		return
	}
	os.Stdout.WriteString("unexpected: ")
	if err != nil {
		os.Stdout.WriteString(err.Error())
	}
}

func TestFileStoreDiskFull(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		fullDisk(dir)
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "state")
	want := string(payload(1, 3000))
	if err := filesIn(dir).Set(t.Context(), "k", []byte(want), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, dir).Output(); string(out) != "full" {
		t.Fatalf("child says %q, %v", out, err)
	}
	if got, err := filesIn(dir).Get(t.Context(), "k"); err != nil || string(got) != want {
		t.Errorf("the old record is read as %d bytes, %v", len(got), err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "records"))
	if err != nil || len(entries) != 1 {
		t.Errorf("records holds %v, %v, want the old record alone", entries, err)
	}
}

// What cannot be put in its place leaves the old record, and nothing beside it.
func TestFileStoreRenameFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	store := filesIn(dir)
	if err := store.Set(t.Context(), "k", []byte("old"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	// A folder in its place: no file takes that over.
	record, aside := filepath.Join(dir, "records", "k"), filepath.Join(dir, "aside")
	if err := os.Rename(record, aside); err != nil {
		t.Fatal(err)
	}
	mkdir(t, record, "full")
	err := store.Set(t.Context(), "k", []byte("new"), time.Time{})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) {
		t.Errorf("got %v, want an UnreachableError", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "records"))
	if err != nil || len(entries) != 1 {
		t.Errorf("records holds %v, %v, want the folder alone", entries, err)
	}
	if err := os.RemoveAll(record); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, record); err != nil {
		t.Fatal(err)
	}
	if got, err := filesIn(dir).Get(t.Context(), "k"); err != nil || string(got) != "old" {
		t.Errorf("the old record is read as %q, %v", got, err)
	}
}

// writeOn writes records until it is killed.
func writeOn(dir string) {
	store := filesIn(dir)
	for n := 0; ; n++ {
		if err := store.Set(context.Background(), "k", payload(n%10000, []int{900, 50, 40_000}[n%3]), time.Time{}); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1)
		}
		if n == 0 {
			os.Stdout.WriteString("writing\n")
		}
	}
}

// A writer that is killed at any moment leaves a whole record, and the next one
// tidies up behind it.
func TestFileStoreKilled(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		writeOn(dir)
	}
	dir := filepath.Join(t.TempDir(), "state")
	for n := range 10 {
		cmd := child(t, dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		time.Sleep(time.Duration(n*700) * time.Microsecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if line != "writing\n" {
			t.Fatalf("child says %q, %v", line, err)
		}
		got, err := filesIn(dir).Get(t.Context(), "k")
		if err != nil || !bytes.Equal(got, bytes.Repeat(got[:5], len(got)/5)) {
			t.Errorf("after a kill: %.20q, %v", got, err)
		}
	}
	if err := filesIn(dir).Set(t.Context(), "k", nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "records"))
	if err != nil || len(entries) != 1 {
		t.Errorf("records holds %v, %v, want one file", entries, err)
	}
}

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, path := range []string{dir, filepath.Join(dir, "records")} {
		if err := os.Mkdir(path, 0o755); err != nil { // by an older umask
			t.Fatal(err)
		}
	}
	if err := filesIn(dir).Set(t.Context(), "k", nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(dir, "index.json", nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		"":           os.ModeDir | 0o700,
		"records":    os.ModeDir | 0o700,
		"records/k":  0o600,
		"index.json": 0o600,
	} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%q: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

// None of these is followed, read, written or changed.
func TestStrangeFiles(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"state folder is a link", func(t *testing.T, dir string) {
			link(t, t.TempDir(), dir)
		}, "is not a folder"},
		{"state folder is a file", func(t *testing.T, dir string) {
			touch(t, dir)
		}, "is not a folder"},
		{"records is a link", func(t *testing.T, dir string) {
			mkdir(t, dir)
			link(t, t.TempDir(), filepath.Join(dir, "records"))
		}, "is not a folder"},
		{"record is a link", func(t *testing.T, dir string) {
			mkdir(t, dir, "records")
			outside := filepath.Join(t.TempDir(), "outside")
			touch(t, outside)
			link(t, outside, filepath.Join(dir, "records", "k"))
		}, "is a link"},
		{"record is a pipe", func(t *testing.T, dir string) {
			mkdir(t, dir, "records")
			if err := syscall.Mkfifo(filepath.Join(dir, "records", "k"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not a plain file"},
		{"record is a folder", func(t *testing.T, dir string) {
			mkdir(t, dir, "records", "k")
		}, "is not a plain file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			tt.make(t, dir)
			store := filesIn(dir)
			_, getErr := store.Get(t.Context(), "k")
			for call, err := range map[string]error{"get": getErr, "set": store.Set(t.Context(), "k", []byte("v"), time.Time{})} {
				var unreachable *UnreachableError
				if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want an UnreachableError with %q", call, err, tt.want)
				}
			}
		})
	}
}

func TestOtherOwner(t *testing.T) {
	path := t.TempDir()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkOwner(path, info); err != nil {
		t.Errorf("own folder: %v", err)
	}
	info.Sys().(*syscall.Stat_t).Uid++
	if err := checkOwner(path, info); err == nil || !strings.Contains(err.Error(), "belongs to user id") {
		t.Errorf("another's folder: %v", err)
	}
	if os.Geteuid() != 0 {
		return // only root can make another's folder
	}
	for _, name := range []string{"", "records", "records/k"} {
		dir := filepath.Join(t.TempDir(), "state")
		store := filesIn(dir)
		if err := store.Set(t.Context(), "k", nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, name), 12345, -1); err != nil {
			t.Fatal(err)
		}
		_, err := store.Get(t.Context(), "k")
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "belongs to user id 12345") {
			t.Errorf("%q of another: %v, want an UnreachableError", name, err)
		}
		if name == "" {
			if _, err := (Locks{dir}).TryLock("login"); err == nil {
				t.Error("a lock was made in another's folder")
			}
		}
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path...), 0o700); err != nil {
		t.Fatal(err)
	}
}
