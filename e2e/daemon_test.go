//go:build e2e && linux

package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// startDaemon starts a part of the rig that runs until the test ends, or until
// the returned function is called.
func startDaemon(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	// A test binary that is killed takes its daemons along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()                          // and says that it was ended
	}
	t.Cleanup(stop)
	return stop
}

// await polls until a condition holds, for half a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited 30 s in vain for %s", what)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
