package cache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// childDir tells this test binary that it is the child of one of its tests, and
// in which state folder it works.
const childDir = "DAYPASS_CACHE_TEST_CHILD"

// child is this test binary, running the test that calls it with childDir set.
func child(t *testing.T, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	return cmd
}

func TestLockOfKilledProcess(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		_, err := Locks{Dir: dir}.TryLock("login")
		fmt.Println("locked:", err)
		time.Sleep(time.Minute) // killed by then
	}
	locks := Locks{Dir: filepath.Join(t.TempDir(), "state")}
	child := child(t, locks.Dir)
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked: <nil>\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	if _, err := locks.TryLock("login"); !errors.Is(err, ErrBusy) {
		t.Fatalf("lock of another process: %v, want ErrBusy", err)
	}
	other, err := locks.TryLock("role")
	must(t, err)
	other.Unlock() // Windows removes no file that is open
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	time.AfterFunc(60*time.Millisecond, func() { _ = child.Process.Kill() }) // SIGKILL
	lock, err := locks.Lock(ctx, "login")
	must(t, err)
	lock.Unlock()
}
