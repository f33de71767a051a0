//go:build !linux

package cache

import "errors"

func openKernel(Options) (Store, error) {
	return nil, errors.New(`storage "kernel" is the Linux kernel's; use "keyring" or "file" on this system`)
}
