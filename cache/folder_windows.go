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

// owner is always this user: %LocalAppData% lets in the person, the administrators
// and the system.
func owner(fs.FileInfo) int { return os.Geteuid() }

// whileInUse repeats for a second what is refused because another, a reader or a
// virus scanner, has the file open, or is replacing it.
func whileInUse(act func() error) error {
	const sharingViolation syscall.Errno = 32 // ERROR_SHARING_VIOLATION
	var err error
	for range 100 {
		err = act()
		if !errors.Is(err, syscall.ERROR_ACCESS_DENIED) && !errors.Is(err, sharingViolation) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
