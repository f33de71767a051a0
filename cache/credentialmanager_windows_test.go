//go:build e2e

package cache

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"
)

// These tests run against the Credential Manager of whoever runs them.

func credentialManager(t *testing.T) Store {
	t.Helper()
	store, err := Open(Options{Storage: "keyring", StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestCredentialManager(t *testing.T) {
	store := credentialManager(t)
	key := Key(t.Name())
	if _, err := store.Get(t.Context(), key); !errors.Is(err, ErrMiss) {
		t.Errorf("before it is stored: %v, want ErrMiss", err)
	}
	for _, size := range []int{12_000, 1, windowsItemLimit, 6 * windowsItemLimit, 100} {
		want := payload(size%1000, size)
		if err := store.Set(t.Context(), key, want, time.Time{}); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		again := credentialManager(t) // as another process would
		if got, err := again.Get(t.Context(), key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{key, chunkName(key, 0, 0), chunkName(key, 1, 0)} {
		if _, err := keyring.Get(service, name); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("item %s after Delete: %v", name, err)
		}
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
}

// An item is at most as large as the system takes: one byte more is refused.
func TestCredentialManagerItemLimit(t *testing.T) {
	name := Key(t.Name())
	if err := keyring.Set(service, name, strings.Repeat("x", windowsItemLimit)); err != nil {
		t.Errorf("%d bytes: %v", windowsItemLimit, err)
	}
	if err := keyring.Set(service, name, strings.Repeat("x", windowsItemLimit+1)); err == nil {
		t.Errorf("%d bytes are taken", windowsItemLimit+1)
	}
	if err := keyring.Delete(service, name); err != nil {
		t.Error(err)
	}
}
