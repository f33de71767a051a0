package cache

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKey(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "bc"}, {"ab", "c"}, {"abc"}, {"a\x00", "bc"},
		{strings.Repeat("x", 1<<16)},
	} {
		key := Key(parts...)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have the same key", parts, other)
		}
		seen[key] = parts
		if !plainName(key) || len(key) != 64 {
			t.Errorf("key of %q is %q", parts, key)
		}
	}
	// Stored records are found by it: it must not change.
	if got, want := Key("login", "corp"), "af945c5d5e7a8b5c6c95c1ce1796fda53a6110530bb46f77b16f2ba21f68884b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpen(t *testing.T) {
	keyring := map[string]string{"linux": "Secret Service", "darwin": "macOS keychain", "windows": "Windows Credential Manager"}[runtime.GOOS]
	dir := t.TempDir()
	auto, kernel, noKernel := keyring, "", `storage "kernel" is the Linux kernel's; use "keyring" or "file" on this system`
	everywhere := []string{keyring, "file"}
	if runtime.GOOS == "linux" {
		auto, kernel, noKernel = "Secret Service and kernel keyring", "kernel keyring", ""
		everywhere = []string{keyring, kernel, "file"}
	}
	tests := []struct {
		storage, dir, name, err string
	}{
		{"auto", dir, auto, ""},
		{"keyring", "", keyring, ""},
		{"kernel", "", kernel, noKernel},
		{"file", dir, "file", ""},
		{"file", "state", "", `state folder "state" is not an absolute path`},
		{"vault", dir, "", `unknown storage "vault"; use auto, keyring, kernel or file`},
		{"", dir, "", `unknown storage ""; use auto, keyring, kernel or file`},
	}
	for _, tt := range tests {
		store, err := Open(Options{Storage: tt.storage, StateDir: tt.dir})
		if err != nil {
			if err.Error() != tt.err {
				t.Errorf("%s: %v, want %q", tt.storage, err, tt.err)
			}
			continue
		}
		if store.Name() != tt.name || tt.err != "" {
			t.Errorf("%s: %s, want %s and error %q", tt.storage, store.Name(), tt.name, tt.err)
		}
	}

	var names []string
	for _, store := range Everywhere(Options{Storage: "file", StateDir: dir}) {
		names = append(names, store.Name())
	}
	if diff := cmp.Diff(everywhere, names); diff != "" {
		t.Errorf("everywhere (-want +got):\n%s", diff)
	}
}
