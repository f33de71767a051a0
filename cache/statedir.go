package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// StateDir returns the path of the folder where locks and small state files
// lie: ~/.local/state/daypass, ~/Library/Application Support/daypass, or
// %LocalAppData%\daypass. home is the person's home folder.
//
// XDG_STATE_HOME and XDG_RUNTIME_DIR are not asked: cron and the desktop do not
// see the same ones, and processes that lock different files lock nothing.
func StateDir(getenv func(string) string, home string) (string, error) {
	var dir string
	switch runtime.GOOS {
	case "windows":
		local := getenv("LocalAppData")
		if local == "" && home != "" {
			local = filepath.Join(home, "AppData", "Local")
		}
		dir = filepath.Join(local, "daypass")
	case "darwin", "ios":
		dir = filepath.Join(home, "Library", "Application Support", "daypass")
	default:
		dir = filepath.Join(home, ".local", "state", "daypass")
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("no state folder: home folder %q is not an absolute path", home)
	}
	return dir, nil
}

// PrepareStateDir makes sure that dir is a folder of mode 0700 that belongs to
// this user, and makes it if it is missing. It refuses a link, and what another
// user owns.
func PrepareStateDir(dir string) error {
	err := checkDir(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	// Another process may be as far as this too.
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkDir(dir)
}

// checkDir refuses a dir that another user could write to, and takes away the
// access of others that an older umask or a careless copy gave them.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	if err := checkOwner(dir, info); err != nil {
		return err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return os.Chmod(dir, 0o700)
	}
	return nil
}
