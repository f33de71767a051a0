//go:build unix

package prompt

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// detach gives cmd its own session, and keeps from it the descriptors that our
// caller left open in us: the caller may wait for their end. undo has to be
// called when cmd has started.
func detach(cmd *exec.Cmd) (undo func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	// What package os opens is closed in children anyway. The rest is marked
	// for this one child alone, for "daypass exec" hands it on to its command.
	var marked []uintptr
	for _, fd := range inheritable() {
		if _, err := unix.FcntlInt(fd, unix.F_SETFD, unix.FD_CLOEXEC); err == nil {
			marked = append(marked, fd)
		}
	}
	return func() {
		for _, fd := range marked {
			_, _ = unix.FcntlInt(fd, unix.F_SETFD, 0)
		}
	}, nil
}

// inheritable returns the descriptors above stderr that children would get. It
// is empty on systems that do not list them.
func inheritable() []uintptr {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return nil
	}
	var fds []uintptr
	for _, entry := range entries {
		fd, err := strconv.ParseUint(entry.Name(), 10, 31)
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds = append(fds, uintptr(fd))
		}
	}
	return fds
}
