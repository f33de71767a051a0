//go:build unix

package profile

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f mode, owner and group of the file that it is to replace. When
// root edits a file for a user, it must stay the user's.
func keepOwner(f *os.File, replaced fs.FileInfo) error {
	if is, ok := replaced.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(is.Uid), int(is.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(replaced.Mode().Perm())
}
