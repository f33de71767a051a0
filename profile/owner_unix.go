//go:build unix

package profile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner is an error unless the file or folder belongs to root or to this user,
// and nobody else can write to it.
func checkOwner(path string, _ bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case owner != 0 && owner != os.Geteuid():
		return errors.New("it, or its folder, belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("other users can write to it or to its folder")
	}
	return nil
}

// keepOwner gives f mode, owner and group of the file that it is to replace. When
// root edits a file for a user, it must stay the user's. Whoever is not in the group
// cannot give f to it: then no group gets the rights.
func keepOwner(f *os.File, replaced fs.FileInfo) error {
	mode := replaced.Mode().Perm()
	if is, ok := replaced.Sys().(*syscall.Stat_t); ok && f.Chown(int(is.Uid), int(is.Gid)) != nil {
		if err := f.Chown(int(is.Uid), -1); err != nil {
			return err
		}
		mode &^= 0o070
	}
	return f.Chmod(mode)
}
