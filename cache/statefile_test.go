package cache

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestStateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if _, err := ReadFile(dir, "index.json", 100); !errors.Is(err, ErrMiss) {
		t.Errorf("no folder: %v, want ErrMiss", err)
	}
	for _, want := range []string{"first", "", "a second one"} {
		if err := WriteFile(dir, "index.json", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(dir, "index.json", int64(len(want))); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := ReadFile(dir, "other.json", 100); !errors.Is(err, ErrMiss) {
		t.Errorf("no file: %v, want ErrMiss", err)
	}
	if _, err := ReadFile(dir, "index.json", 11); err == nil || !strings.Contains(err.Error(), "larger than 11 bytes") {
		t.Errorf("too large: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want one file", entries, err)
	}
}

func TestStateFileNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, name := range []string{"", ".", "..", "../x", "/x", `a\b`, "a/b", "login.lock", "x~1", "a:b"} {
		_, err := ReadFile(dir, name, 100)
		if err == nil || errors.Is(err, ErrMiss) {
			t.Errorf("read %q: %v, want an error", name, err)
		}
		if err := WriteFile(dir, name, nil); err == nil {
			t.Errorf("write %q: want an error", name)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 0 {
		t.Errorf("refused names left %v", entries)
	}
}

// Writers without a lock cost one of them its text, but never make a mix.
func TestStateFileWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	texts := []string{strings.Repeat("a", 100_000), strings.Repeat("b", 50_000), "c"}
	if err := WriteFile(dir, "f", []byte(texts[0])); err != nil {
		t.Fatal(err)
	}
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
