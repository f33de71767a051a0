//go:build e2e

package cache

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

// These tests run against the Credential Manager of whoever runs them.

func TestCredentialManager(t *testing.T) {
	login := testLogin(t, Open(t.TempDir(), os.Getenv, nil), "auto")
	must(t, login.Choose(t.Context(), "corp", nil))
	key, err := login.NewKey(t.Context())
	must(t, err)
	again := testLogin(t, Open(login.storages.stateDir, os.Getenv, nil), "keyring")
	if got, err := again.Key(t.Context()); err != nil || !got.Equal(key.String) {
		t.Errorf("another key came back, %v", err)
	}
	for _, size := range []int{12_000, 1, windowsItemLimit, 6 * windowsItemLimit, 100, MaxRecord} {
		want := strings.Repeat("x", size)
		if err := login.SetRecord(t.Context(), []byte(want)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got, err := again.Record(t.Context()); err != nil || string(got) != want {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	items, err := login.Items()
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for range 2 {
		must(t, items[0].Delete(t.Context()))
	}
	id := items[0].id
	for _, name := range []string{"key-" + id, "login-" + id, chunkName("login-"+id, "a", 0), chunkName("login-"+id, "b", 0)} {
		if _, err := keyring.Get(service, name); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("item %s after Delete: %v", name, err)
		}
	}
}
