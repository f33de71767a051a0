package cache

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	wantMiss(t, "no folder")(ReadFile(dir, "index.json", 100))
	for _, want := range []string{"first", "", "a second one"} {
		must(t, WriteFile(dir, "index.json", []byte(want)))
		if got, err := ReadFile(dir, "index.json", int64(len(want))); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	wantMiss(t, "no file")(ReadFile(dir, "other.json", 100))
	_, err := ReadFile(dir, "index.json", 11)
	wantUnreadable(t, "too large", err, "larger than 11 bytes")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want one file", entries, err)
	}
}

// Writers that died have left temporary files, with secrets in some. A reader does not
// keep a file there, as on Windows.
func TestTemporaryFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a-c]") // not a pattern
	must(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"f", "f~1", "f~2", "fg~1"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	reader, err := os.Open(filepath.Join(dir, "f"))
	must(t, err)
	time.AfterFunc(50*time.Millisecond, func() { _ = reader.Close() })
	must(t, RemoveFile(dir, "f"))
	if names, err := fileNames(dir); err != nil || !slices.Equal(names, []string{"fg~1"}) {
		t.Errorf("left are %q, %v", names, err)
	}
}

// Writers without a lock cost one of them its text, but never make a mix.
func TestStateFileWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	texts := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 50_000), "c"}
	must(t, WriteFile(dir, "f", []byte(texts[0])))
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 20 {
				if err := WriteFile(dir, "f", []byte(texts[(n+i)%3])); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
		all.Go(func() {
			for range 100 {
				if got, err := ReadFile(dir, "f", 1<<20); err != nil || !slices.Contains(texts, string(got)) {
					t.Errorf("read: %d bytes, %v", len(got), err)
				}
			}
		})
	}
	all.Wait()
}

func TestStateDir(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"XDG_RUNTIME_DIR": "/elsewhere", "XDG_CACHE_HOME": "/elsewhere", "XDG_STATE_HOME": "relative"}
	getenv := func(name string) string { return env[name] }
	want := map[string]string{
		"darwin":  filepath.Join(home, "Library", "Application Support", "daypass"),
		"windows": filepath.Join(home, "AppData", "Local", "daypass"),
		"linux":   filepath.Join(home, ".local", "state", "daypass"),
	}[runtime.GOOS]
	if got, err := StateDir(getenv, home); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if runtime.GOOS == "windows" {
		env["LocalAppData"] = filepath.Join(home, "other")
		if got, err := StateDir(getenv, home); err != nil || got != filepath.Join(home, "other", "daypass") {
			t.Errorf("with LocalAppData: %q, %v", got, err)
		}
		delete(env, "LocalAppData")
	}
	for _, home := range []string{"", "relative"} {
		if got, err := StateDir(getenv, home); err == nil {
			t.Errorf("home %q: got %q, want an error", home, got)
		}
	}
	env["XDG_STATE_HOME"] = filepath.Join(home, "set")
	if got, err := StateDir(getenv, ""); err != nil || got != filepath.Join(home, "set", "daypass") {
		t.Errorf("with XDG_STATE_HOME: %q, %v", got, err)
	}
}
