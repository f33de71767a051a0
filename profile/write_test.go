package profile

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// home is a source without a config file.
func emptyHome(t *testing.T) Source {
	t.Helper()
	return Source{Home: t.TempDir(), Getenv: func(string) string { return "" }}
}

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode)) // the umask held WriteFile back
}

// write writes text in the place of the file that was read.
func write(t *testing.T, read *Config, text string) error {
	t.Helper()
	made, err := Source{}.parse(read.path, text)
	must(t, err)
	return read.Replace(made)
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

func TestReplaceMakesTheFile(t *testing.T) {
	src := emptyHome(t)
	must(t, write(t, toEdit(t, src), config))
	holds(t, src.ConfigFile(), config)
	if runtime.GOOS != "windows" {
		for path, want := range map[string]fs.FileMode{src.ConfigFile(): 0o600, filepath.Dir(src.ConfigFile()): fs.ModeDir | 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, want)
			}
		}
	}
}

func TestReplaceKeepsModeAndLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // its modes say less, and links need a privilege
	}
	src := emptyHome(t)
	real := filepath.Join(src.Home, "dotfiles", "aws")
	put(t, real, "# mine\n", 0o644)
	must(t, os.Mkdir(filepath.Dir(src.ConfigFile()), 0o700))
	must(t, os.Symlink("../dotfiles/aws", src.ConfigFile()))
	must(t, write(t, toEdit(t, src), "# yours\n"))
	holds(t, real, "# yours\n")
	if info, err := os.Lstat(src.ConfigFile()); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	must(t, os.Remove(real))
	_, err := OpenToEdit(src)
	wantError(t, err, "it is a link to a file that does not exist")
}

// What could not be written or read back is refused before anything is asked.
func TestOpenToEditRefuses(t *testing.T) {
	_, err := OpenToEdit(source(t, "[default]\njunk\n", nil, nil))
	wantError(t, err, "line 2: this is neither", "Correct it first")
	src := source(t, config, nil, nil)
	must(t, os.Chmod(src.ConfigFile(), 0o400))
	_, err = OpenToEdit(src)
	wantError(t, err, "cannot be written: it is read-only", "and that the disk is not full")
	_, err = OpenToEdit(Source{Getenv: func(string) string { return os.DevNull }})
	wantError(t, err, "cannot be written: it is not a regular file")
}

func TestReplaceLeavesAChangedFileAlone(t *testing.T) {
	for _, old := range []string{"# a\n", ""} { // "": there is no file
		src := emptyHome(t)
		path := src.ConfigFile()
		if old != "" {
			put(t, path, old, 0o600)
		}
		c := toEdit(t, src)
		for _, now := range []string{"# b\n", "\xff"} { // which is not read
			put(t, path, now, 0o600)
			wantError(t, write(t, c, config), plain(path), "was changed by another program meanwhile; nothing was written")
			holds(t, path, now)
		}
		must(t, os.Remove(path))
		if err := write(t, c, config); old != "" {
			wantError(t, err, plain(path), "no such file")
		}
	}
}
