//go:build !windows

package cache

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openSafely are flags for opening a file that should be a plain one: a link is
// refused, and a pipe does not make us wait for its other end.
const openSafely = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// openPlain opens a file for reading.
func openPlain(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|openSafely, 0)
}

// checkOwner refuses what belongs to another user. Root is no exception: with
// sudo and the person's HOME it would leave files that the person cannot use.
func checkOwner(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%q belongs to user id %d, and this is user id %d", path, stat.Uid, os.Geteuid())
	}
	return nil
}

// replace renames a file over another one.
func replace(from, to string) error { return os.Rename(from, to) }

// syncDir makes a rename in dir last through a power loss. Some file systems
// cannot; the rename stands all the same.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
