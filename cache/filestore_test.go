package cache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// filesIn opens the storage "file" in a state folder.
func filesIn(dir string) Store {
	store, err := Open(Options{Storage: "file", StateDir: dir})
	if err != nil {
		panic(err)
	}
	return store
}

func TestFileStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	store := filesIn(dir)
	key := Key("login")
	if _, err := store.Get(t.Context(), key); !errors.Is(err, ErrMiss) {
		t.Errorf("no folder: %v, want ErrMiss", err)
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Errorf("delete without a folder: %v", err)
	}
	for write, size := range []int{100, MaxRecord, 0} {
		want := payload(write, size)
		if err := store.Set(t.Context(), key, want, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Get(t.Context(), key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	if err := store.Unlock(t.Context()); err != nil {
		t.Errorf("unlock: %v", err)
	}
	if _, err := store.Get(t.Context(), Key("role")); !errors.Is(err, ErrMiss) {
		t.Errorf("another record: %v, want ErrMiss", err)
	}

	records := filepath.Join(dir, "records")
	for name, text := range map[string]string{key: "hunter2", Key("big"): string(make([]byte, 1<<20))} {
		if err := os.WriteFile(filepath.Join(records, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var unreadable *UnreadableError
	if _, err := store.Get(t.Context(), key); !errors.As(err, &unreadable) {
		t.Errorf("rubbish: %v, want an UnreadableError", err)
	}
	if _, err := store.Get(t.Context(), Key("big")); !errors.As(err, &unreadable) {
		t.Errorf("1 MB of rubbish: %v, want an UnreadableError", err)
	}

	// A writer that was killed leaves a temporary file with a secret in it.
	temp := filepath.Join(records, key+"~123")
	for _, call := range []func() error{
		func() error { return store.Set(t.Context(), key, []byte("new"), time.Time{}) },
		func() error { return store.Delete(t.Context(), key) },
	} {
		if err := os.WriteFile(temp, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := call(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(temp); err == nil {
			t.Error("a temporary file is left")
		}
	}
	if _, err := store.Get(t.Context(), key); !errors.Is(err, ErrMiss) {
		t.Errorf("after Delete: %v, want ErrMiss", err)
	}
}
