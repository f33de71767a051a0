package profile

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// home is a source without a config file.
func emptyHome(t *testing.T) Source {
	t.Helper()
	return Source{Home: t.TempDir(), Getenv: func(string) string { return "" }}
}

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask held WriteFile back
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".daypass*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestReplaceConfigMakesTheFile(t *testing.T) {
	src := emptyHome(t)
	old, err := src.ReadConfig()
	if err != nil || old != nil {
		t.Fatalf("ReadConfig = %q, %v", old, err)
	}
	if err := src.ReplaceConfig(old, []byte(config), []string{"dev"}); err != nil {
		t.Fatal(err)
	}
	holds(t, src.ConfigFile(), config)
	if runtime.GOOS != "windows" {
		for path, want := range map[string]fs.FileMode{src.ConfigFile(): 0o600, filepath.Dir(src.ConfigFile()): fs.ModeDir | 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, want)
			}
		}
	}
}

func TestReplaceConfigKeepsModeAndLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // its modes say less, and links need a privilege
	}
	src := emptyHome(t)
	real := filepath.Join(src.Home, "dotfiles", "aws")
	put(t, real, "# mine\n", 0o644)
	if err := os.Mkdir(filepath.Dir(src.ConfigFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../dotfiles/aws", src.ConfigFile()); err != nil {
		t.Fatal(err)
	}
	if err := src.ReplaceConfig([]byte("# mine\n"), []byte("# yours\n"), nil); err != nil {
		t.Fatal(err)
	}
	holds(t, real, "# yours\n")
	if info, err := os.Lstat(src.ConfigFile()); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	if err := src.ReplaceConfig(nil, []byte("# anew\n"), nil); err != nil {
		t.Fatalf("behind a link that leads to no file yet: %v", err)
	}
	holds(t, real, "# anew\n")
}

func TestReplaceConfigRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		// now is what the file holds, "" where there is none.
		now  string
		old  []byte
		text string
		mode fs.FileMode
		want string
	}{
		{"changed meanwhile", "# b\n", []byte("# a\n"), config, 0o600, "was changed by another program meanwhile"},
		{"appeared meanwhile", "# b\n", nil, config, 0o600, "was changed by another program meanwhile"},
		{"gone meanwhile", "", []byte("# a\n"), config, 0o600, "was changed by another program meanwhile"},
		{"read-only", "# a\n", []byte("# a\n"), config, 0o400, "cannot be written: it is read-only"},
		{"profile that does not load", "# a\n", []byte("# a\n"), "[profile dev]\n", 0o600, "daypass_idp: missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := emptyHome(t)
			path := src.ConfigFile()
			if test.now != "" {
				put(t, path, test.now, test.mode)
			}
			err := src.ReplaceConfig(test.old, []byte(test.text), []string{"dev"})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if test.now != "" {
				holds(t, path, test.now)
			} else if _, err := os.Stat(path); err == nil {
				t.Error("the file was written")
			}
		})
	}
}

func TestReplaceConfigLeavesDevicesAlone(t *testing.T) {
	src := Source{Home: t.TempDir(), Getenv: func(string) string { return os.DevNull }}
	if err := src.ReplaceConfig([]byte{}, []byte(config), nil); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("got %v", err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s: %v, %v", os.DevNull, info, err)
	}
}
