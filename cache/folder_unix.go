//go:build !windows

package cache

import (
	"io/fs"
	"syscall"
)

// openSafely are flags for opening a file that should be a plain one: a link is
// refused, and a pipe does not make us wait for its other end.
const openSafely = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// whileInUse has nothing to wait for: a file in use can be replaced here.
func whileInUse(act func() error) error { return act() }
