//go:build unix && !linux

package handover

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkPeer asks lsof, which is part of macOS, for the far end of a connection over
// loopback among the sockets of our own user; see Linux's.
func checkPeer(theirs, ours string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	// It ends with 1 also if it finds something, so only what it prints counts. -n, -P:
	// numbers, and no names. -a: of this user and of this connection.
	found, _ := exec.CommandContext(ctx, "/usr/sbin/lsof", "-nP", "-a", "-u", strconv.Itoa(os.Geteuid()),
		"-iTCP:"+theirs[strings.LastIndexByte(theirs, ':')+1:], "-Fn").Output()
	if !slices.Contains(strings.Split(string(found), "\n"), "n"+theirs+"->"+ours) {
		return errors.New("lsof names no program of this user that opened the sign-in link")
	}
	return nil
}
