package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSeal(t *testing.T) {
	s, _, _ := testStorages(t)
	l, key := storeLogin(t, s, "auto", "v1")
	wantMiss(t, "missing")(l.Unseal(key, "role-a"))
	for _, want := range []string{"the first secret", "", strings.Repeat("x", MaxRecord)} {
		must(t, l.Seal(key, "role-a", []byte(want)))
		if got, err := l.Unseal(key, "role-a"); err != nil || string(got) != want {
			t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
		}
	}
	if _, err := l.Unseal(Key{}, "role-a"); err == nil || l.Seal(Key{}, "role-a", nil) == nil {
		t.Error("no key is a key")
	}
	must(t, l.Seal(key, "role-b", []byte("hunter2")))
	must(t, WriteFile(l.Dir(), "note.json", nil))
	if names, err := l.Sealed(); err != nil || !slices.Equal(names, []string{"role-a", "role-b"}) {
		t.Errorf("sealed: %q, %v", names, err)
	}
	for range 2 {
		must(t, l.Remove("role-a"))
	}

	// What the next person must not read goes with the key; notes stay.
	next, err := l.NewKey(t.Context())
	must(t, err)
	_, err = l.Unseal(next, "role-b")
	wantUnreadable(t, "sealed under the old key", err, "")
	if _, err := ReadFile(l.Dir(), "note.json", 10); err != nil {
		t.Errorf("note: %v", err)
	}
}

func TestUnsealRefuses(t *testing.T) {
	s, _, _ := testStorages(t)
	l, key := storeLogin(t, s, "auto", "v1")
	path := func(name string) string { return filepath.Join(l.Dir(), name+sealedSuffix) }
	must(t, l.Seal(key, "role", []byte("hunter2")))
	good, err := os.ReadFile(path("role"))
	must(t, err)
	if strings.Contains(string(good), "hunter2") {
		t.Error("the file shows the secret")
	}
	refused := func(what string, k Key, name string) {
		t.Helper()
		got, err := l.Unseal(k, name)
		if wantUnreadable(t, what, err, path(name)); got != nil {
			t.Errorf("%s: %q", what, got)
		}
	}
	refused("another key", newKey(), "role")
	for n := range good {
		bad := slices.Clone(good)
		bad[n] ^= 1
		must(t, os.WriteFile(path("role"), bad, 0o600))
		refused(fmt.Sprintf("byte %d changed", n), key, "role")
	}
	for what, bad := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(slices.Clone(good), 0), "too large": make([]byte, 1<<20),
	} {
		must(t, os.WriteFile(path("role"), bad, 0o600))
		refused(what, key, "role")
	}
	must(t, os.WriteFile(path("other"), good, 0o600))
	refused("another name", key, "other")
}

// A logout wins over a renewal that is under way.
func TestSealAfterForget(t *testing.T) {
	s, _, _ := testStorages(t)
	l, key := storeLogin(t, s, "auto", "v1")
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.Seal(key, fmt.Sprintf("role-%d", n%3), []byte("v")); err != nil && err != ErrMiss {
				done <- err
			}
		}
	}()
	time.Sleep(5 * time.Millisecond)
	must(t, l.Forget())
	time.Sleep(5 * time.Millisecond)
	close(stop)
	for err := range done {
		t.Error(err)
	}
	wantMiss(t, "seal")(nil, l.Seal(key, "role", nil))
	if entries, err := os.ReadDir(s.stateDir); err != nil || len(entries) != 0 {
		t.Errorf("the state folder holds %v, %v", entries, err)
	}
	// A logout that died half-way is ended by the next.
	storeLogin(t, s, "auto", "v1")
	must(t, os.MkdirAll(filepath.Join(l.Dir()+tempMark, "half"), 0o700))
	if keys, err := s.Logins(); err != nil || len(keys) != 1 {
		t.Errorf("logins: %q, %v", keys, err)
	}
	must(t, l.Forget())
	if entries, _ := os.ReadDir(s.stateDir); len(entries) != 0 {
		t.Errorf("the state folder holds %v", entries)
	}
}
