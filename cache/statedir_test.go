package cache

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestStateDir(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"XDG_STATE_HOME": "/elsewhere", "XDG_RUNTIME_DIR": "/elsewhere", "XDG_CACHE_HOME": "/elsewhere"}
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
}
