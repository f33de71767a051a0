//go:build !linux && !darwin && !windows

package cache

import (
	"fmt"
	"runtime"
)

func openKeyring(Options) (Store, error) {
	return nil, fmt.Errorf(`no keyring is supported on %s; set storage = file`, runtime.GOOS)
}
