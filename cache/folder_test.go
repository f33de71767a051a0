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

// Writers without a lock cost one of them its text, but never make a mix; on Windows
// too, where a file that is being read cannot always be replaced.
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
	usual := map[string]string{
		"darwin":  filepath.Join(home, "Library", "Application Support", "daypass"),
		"windows": filepath.Join(home, "AppData", "Local", "daypass"),
		"linux":   filepath.Join(home, ".local", "state", "daypass"),
	}[runtime.GOOS]
	for _, c := range []struct{ os, local, state, home, want string }{
		{"", "", "relative", home, usual},
		{"windows", filepath.Join(home, "other"), "", home, filepath.Join(home, "other", "daypass")},
		{"", "", filepath.Join(home, "set"), "", filepath.Join(home, "set", "daypass")},
		{"", "", "", "", ""},
		{"", "", "", "relative", ""},
	} {
		env := map[string]string{"XDG_RUNTIME_DIR": "/elsewhere", "XDG_CACHE_HOME": "/elsewhere", "XDG_STATE_HOME": c.state, "LocalAppData": c.local}
		got, err := StateDir(func(name string) string { return env[name] }, c.home)
		if (c.os == "" || c.os == runtime.GOOS) && (got != c.want || (err == nil) != (c.want != "")) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}
