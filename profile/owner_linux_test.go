package profile

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A file of a group that this user is not in stays the user's, and no group's. One that
// is another user's is refused before anything is asked.
func TestReplaceKeepsAForeignGroupOut(t *testing.T) {
	asRoot(t)
	src, roots := source(t, "# mine\n", nil, nil), source(t, "", nil, nil)
	for _, path := range []string{filepath.Dir(src.ConfigFile()), src.ConfigFile()} {
		must(t, os.Chown(path, 65534, 12345))
	}
	must(t, os.Chmod(src.ConfigFile(), 0o664))
	must(t, os.Chmod(roots.ConfigFile(), 0o644)) // as after sudo aws configure
	for _, folder := range []string{filepath.Dir(src.Home), src.Home, roots.Home, filepath.Dir(roots.ConfigFile())} {
		must(t, os.Chmod(folder, 0o755))
	}
	c := toEdit(t, src)
	runtime.LockOSThread() // of which alone the user is changed
	defer runtime.UnlockOSThread()
	_, err := unix.SetfsuidRetUid(65534)
	must(t, err)
	err = write(t, c, "# yours\n")
	_, foreign := OpenToEdit(roots)
	_, _ = unix.SetfsuidRetUid(0)
	must(t, err)
	wantError(t, foreign, "cannot be written: permission denied")
	info, err := os.Stat(src.ConfigFile())
	must(t, err)
	if is := info.Sys().(*syscall.Stat_t); is.Uid != 65534 || is.Gid == 12345 || info.Mode() != 0o604 {
		t.Errorf("user %d, group %d, mode %v", is.Uid, is.Gid, info.Mode())
	}
}
