package cache

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// openSafely adds nothing: making links takes a privilege here.
const openSafely = 0

// checkOwner has nothing to check: %LocalAppData% lets in the person, the
// administrators and the system.
func checkOwner(string, fs.FileInfo) error { return nil }

// errSharingViolation is ERROR_SHARING_VIOLATION.
const errSharingViolation syscall.Errno = 32

// replace renames a file over another one. That is refused while someone, a
// reader or a virus scanner, has the other one open.
func replace(from, to string) error {
	return whileInUse(func() error { return os.Rename(from, to) })
}

// openPlain opens a file for reading. That is refused while it is being replaced.
func openPlain(path string) (f *os.File, err error) {
	err = whileInUse(func() error { f, err = os.Open(path); return err })
	return f, err
}

// whileInUse repeats what is refused because another has the file in use, for a
// second.
func whileInUse(act func() error) error {
	var err error
	for range 100 {
		err = act()
		if !errors.Is(err, syscall.ERROR_ACCESS_DENIED) && !errors.Is(err, errSharingViolation) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// syncDir has nothing to do: folders cannot be synced here.
func syncDir(string) {}
