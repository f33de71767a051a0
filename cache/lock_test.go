package cache

import (
	"bufio"
	"context"
	"errors"
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

func holdLock(dir string) {
	if _, err := (Locks{dir}).TryLock("login"); err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	time.Sleep(time.Minute) // killed by then
}

func TestLockOfKilledProcess(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		holdLock(dir)
	}
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	child := child(t, locks.Dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	defer func() { _ = child.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	if _, err := locks.TryLock("login"); !errors.Is(err, ErrBusy) {
		t.Fatalf("lock of another process: %v, want ErrBusy", err)
	}
	other, err := locks.TryLock("role")
	if err != nil {
		t.Fatalf("a lock of another name: %v", err)
	}
	other.Unlock()

	waited := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		lock, err := locks.Lock(ctx, "login")
		if err == nil {
			lock.Unlock()
		}
		waited <- err
	}()
	select {
	case err := <-waited:
		t.Fatalf("lock was had while another process held it: %v", err)
	case <-time.After(60 * time.Millisecond):
	}
	if err := child.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("after its holder was killed: %v", err)
	}
}

func TestLockExcludes(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	held, err := locks.Lock(t.Context(), "login")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.TryLock("login"); err != ErrBusy {
		t.Errorf("held lock: %v, want ErrBusy", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := locks.Lock(ctx, "login"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a held lock: %v, want the context's error", err)
	}
	held.Unlock()
	held.Unlock()
	if _, err := locks.Lock(ctx, "login"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("free lock, ended context: %v, want the context's error", err)
	}
	again, err := locks.TryLock("login")
	if err != nil {
		t.Fatalf("released lock: %v", err)
	}
	again.Unlock()
}

// One lock at a time, with many that wait for it.
func TestLockCrowd(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	const crowd = 12
	inside := make(chan struct{}, 1)
	done := make(chan error, crowd)
	for range crowd {
		go func() {
			lock, err := locks.Lock(t.Context(), "login")
			if err == nil {
				select {
				case inside <- struct{}{}:
					time.Sleep(time.Millisecond)
					<-inside
				default:
					err = errors.New("two hold the lock")
				}
				lock.Unlock()
			}
			done <- err
		}()
	}
	for range crowd {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestLockFiles(t *testing.T) {
	locks := Locks{filepath.Join(t.TempDir(), "state")}
	for _, name := range []string{"login-4efe5f1a", "../../escape", "a/b", "", "role\x00"} {
		lock, err := locks.TryLock(name)
		if err != nil {
			t.Errorf("lock %q: %v", name, err)
			continue
		}
		if _, err := locks.TryLock(name); err != ErrBusy {
			t.Errorf("lock %q a second time: %v", name, err)
		}
		lock.Unlock()
	}
	entries, err := os.ReadDir(locks.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 {
		t.Errorf("%d lock files, want 5, all in the state folder and kept", len(entries))
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != 0 || filepath.Ext(info.Name()) != lockSuffix {
			t.Errorf("lock file %s has %d bytes", info.Name(), info.Size())
		}
	}
}
