package cache

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantMiss checks what a call returns.
func wantMiss(t *testing.T, what string) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != ErrMiss {
			t.Errorf("%s: %v, want ErrMiss", what, err)
		}
	}
}

// wantUnreadable checks the kind of an error, and that part is in its text.
func wantUnreadable(t *testing.T, what string, err error, part string) {
	t.Helper()
	if _, ok := errors.AsType[*UnreadableError](err); !ok || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v, want an UnreadableError with %q", what, err, part)
	}
}

// wantUnreachable is wantUnreadable for the other kind, Locked or not.
func wantUnreachable(t *testing.T, what string, err error, locked bool, part string) {
	t.Helper()
	if out, ok := errors.AsType[*UnreachableError](err); !ok || out.Locked != locked || !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v, want an UnreachableError, locked %v, with %q", what, err, locked, part)
	}
}

func TestName(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "bc"}, {"ab", "c"}, {"abc"}, {"a\x00", "bc"},
		{strings.Repeat("x", 1<<16)},
	} {
		name := Name(parts...)
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q have the same name", parts, other)
		}
		seen[name] = parts
		if !isHex(name, 64) {
			t.Errorf("name of %q is %q", parts, name)
		}
	}
	// Logins are found by it: it must not change.
	if got, want := Name("login", "corp"), "af945c5d5e7a8b5c6c95c1ce1796fda53a6110530bb46f77b16f2ba21f68884b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSettings(t *testing.T) {
	keyring := map[string]string{"linux": "Secret Service", "darwin": "macOS keychain", "windows": "Windows Credential Manager"}[runtime.GOOS]
	auto, kernel, unknown := keyring, "", "not known on "+runtime.GOOS+", use auto or file"
	if runtime.GOOS == "linux" {
		auto, kernel = "Secret Service or kernel keyring", "kernel keyring"
	}
	for _, tt := range []struct {
		setting, where string
	}{
		{"auto", auto}, {"keyring", keyring}, {"kernel", kernel}, {"file", "file"}, {"vault", ""}, {"", ""},
	} {
		login, err := Open(t.TempDir(), os.Getenv, nil).Login(Name("corp"), tt.setting)
		switch {
		case tt.where == "" && (err == nil || err.Error() != unknown), tt.where != "" && (err != nil || login.Where() != tt.where):
			t.Errorf("%q: %+v, %v, want %q", tt.setting, login, err, tt.where)
		}
	}
}
