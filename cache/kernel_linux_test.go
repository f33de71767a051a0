package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// testKernel is the kernel keyring of whoever runs the test, with keys of the
// test's own. closed says that this machine lets nobody use it, as containers do;
// that it is said so is checked then, in place of the test.
func testKernel(t *testing.T) (store *recordStore, closed bool) {
	t.Helper()
	store = kernelAs(fmt.Sprintf("daypass-test-%d-%s:", os.Getpid(), t.Name()))
	k := store.items.(kernelItems)
	t.Cleanup(func() {
		for _, id := range userKeyring() {
			if _, err := k.nameOf(id); err == nil {
				_ = drop(id)
			}
		}
	})
	_, err := unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_USER_KEYRING, 1, 0, 0)
	if !kernelClosed(err) {
		if err != nil {
			t.Fatal(err)
		}
		return store, false
	}
	wantClosed(t, store, err.(syscall.Errno))
	t.Logf("no kernel keyring on this machine: %v", err)
	return store, true
}

func kernelAs(prefix string) *recordStore {
	store := openKernelKeyring(Options{Now: time.Now})
	k := store.items.(kernelItems)
	k.prefix = prefix
	store.items = k
	return store
}

func wantClosed(t *testing.T, store Store, cause syscall.Errno) {
	t.Helper()
	_, getErr := store.Get(t.Context(), "k")
	for _, err := range []error{getErr, store.Set(t.Context(), "k", nil, time.Time{}), store.Delete(t.Context(), "k")} {
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked || unreachable.Where != "kernel keyring" || !errors.Is(err, cause) {
			t.Errorf("got %v, want an UnreachableError around %v", err, cause)
		}
	}
}

func TestKernelRoundTrip(t *testing.T) {
	store, closed := testKernel(t)
	if closed {
		return
	}
	k := store.items.(kernelItems)
	if _, err := store.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("missing: %v, want ErrMiss", err)
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	for _, limit := range []int{kernelItemLimit, 1000} {
		store.limit = limit
		for write, size := range []int{100, 9000, 8192 - 130, 0, 5000} {
			want := payload(write, size)
			if err := store.Set(t.Context(), "k", want, time.Time{}); err != nil {
				t.Fatalf("set %d bytes: %v", size, err)
			}
			if got, err := store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
			}
		}
	}
	if !k.inUse() {
		t.Error("not in use with a record in it")
	}
	id, err := k.find("k")
	if err != nil {
		t.Fatal(err)
	}
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id)
	if want := fmt.Sprintf("%d;3f3f0000;%sk", os.Getgid(), k.prefix); err != nil || !strings.HasSuffix(text, want) {
		t.Errorf("the key is %q, %v, want ...%s", text, err, want)
	}
	if err := k.set(t.Context(), "k", []byte("rubbish"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	var unreadable *UnreadableError
	if _, err := store.Get(t.Context(), "k"); !errors.As(err, &unreadable) || unreadable.Where != "kernel keyring" {
		t.Errorf("rubbish: %v, want an UnreadableError", err)
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if k.inUse() {
		t.Error("Delete leaves a key")
	}
	if _, err := readKey(id); !gone(err) {
		t.Errorf("who knows the deleted key's number reads it: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	var unreachable *UnreachableError
	if _, err := store.Get(ctx, "k"); !errors.As(err, &unreachable) || unreachable.Err.Error() != "over" {
		t.Errorf("after the end: %v, want an UnreachableError with the cause", err)
	}
}

// timeout is what /proc/keys shows as the time-out of a key, "perm" for none.
func timeout(t *testing.T, k kernelItems, name string) string {
	t.Helper()
	keys, err := os.ReadFile("/proc/keys")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(keys)) {
		if fields := strings.Fields(line); len(fields) > 8 && fields[8] == k.prefix+name+":" {
			return fields[3]
		}
	}
	t.Fatalf("/proc/keys does not list %q:\n%s", k.prefix+name, keys)
	return ""
}

func TestKernelTimeout(t *testing.T) {
	store, closed := testKernel(t)
	if closed {
		return
	}
	k := store.items.(kernelItems)
	now := time.Now()
	for _, tt := range []struct {
		until time.Time
		want  string // rounded down
	}{
		{time.Time{}, "perm"},
		{now.Add(59*time.Minute + 50*time.Second), "1h"},
		{now.Add(12*time.Hour + time.Minute), "13h"},
		{time.Time{}, "perm"},
		{now.Add(-24 * time.Hour), "59m"},
		{now.Add(100 * 365 * 24 * time.Hour), "3550w"}, // the kernel takes 32 bits
	} {
		if err := store.Set(t.Context(), "k", []byte("v"), tt.until); err != nil {
			t.Fatal(err)
		}
		if got := timeout(t, k, "k"); got != tt.want && !(tt.want == "59m" && got == "1h") {
			t.Errorf("until in %v: time-out %s, want %s", time.Until(tt.until).Round(time.Second), got, tt.want)
		}
	}
}

// A key that has timed out, or was revoked, is no record, and no obstacle.
func TestKernelDeadKey(t *testing.T) {
	store, closed := testKernel(t)
	if closed {
		return
	}
	k := store.items.(kernelItems)
	for name, kill := range map[string]func(id int) error{
		"revoked": func(id int) error {
			_, err := unix.KeyctlInt(unix.KEYCTL_REVOKE, id, 0, 0, 0)
			return err
		},
		"timed out": func(id int) error {
			if _, err := unix.KeyctlInt(unix.KEYCTL_SET_TIMEOUT, id, 1, 0, 0); err != nil {
				return err
			}
			for range 300 {
				if _, err := k.find("k"); errors.Is(err, unix.EKEYEXPIRED) {
					return nil
				}
				time.Sleep(10 * time.Millisecond)
			}
			return errors.New("it does not time out")
		},
	} {
		if err := store.Set(t.Context(), "k", []byte("old"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		id, err := k.find("k")
		if err != nil {
			t.Fatal(err)
		}
		if err := kill(id); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := store.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
			t.Errorf("%s: %q, %v, want ErrMiss", name, got, err)
		}
		if err := store.Delete(t.Context(), "k"); err != nil {
			t.Errorf("%s: delete: %v", name, err)
		}
		if err := store.Set(t.Context(), "k", []byte("new"), time.Time{}); err != nil {
			t.Errorf("%s: set: %v", name, err)
		}
		if got, err := store.Get(t.Context(), "k"); err != nil || string(got) != "new" {
			t.Errorf("%s: after a new write: %q, %v", name, got, err)
		}
	}
}

// Readers see one record or the next, whether a key is changed in place or
// another key takes its place.
func TestKernelReaders(t *testing.T) {
	store, closed := testKernel(t)
	if closed {
		return
	}
	k := store.items.(kernelItems)
	replaced := func(name string, value []byte) error {
		return k.act(t.Context(), func() error { return k.create(userKey, name, value, time.Time{}) })
	}
	inPlace := func(name string, value []byte) error { return k.set(t.Context(), name, value, time.Time{}) }
	for kind, write := range map[string]func(string, []byte) error{"replaced": replaced, "in place": inPlace} {
		if err := write("k", payload(0, 900)); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					got, err := k.get(t.Context(), "k")
					if err != nil || !bytes.Equal(got, bytes.Repeat(got[:5], len(got)/5)) {
						t.Errorf("%s: %.20q, %v", kind, got, err)
						return
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		for n := range 300 {
			if err := write("k", payload(n, []int{900, 50, 9000}[n%3])); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		close(done)
		readers.Wait()
	}
}

// A session of its own, as a cron job or a systemd service has it, does not
// possess the keys of the user keyring.
func TestKernelOtherSession(t *testing.T) {
	if prefix := os.Getenv(childDir); prefix != "" {
		otherSession(t, prefix)
		return
	}
	store, closed := testKernel(t)
	if closed {
		return
	}
	k := store.items.(kernelItems)
	if err := store.Set(t.Context(), "ours", []byte("v"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	// A key as add_key makes it: its user may view it, and no more.
	head := append(headerOf([]byte("v")).line(), 'v')
	for name, perm := range map[string]uint32{"default": 0x3f010000, "shut": 0x01010000} {
		id, err := unix.AddKey(userKey, k.prefix+name, head, unix.KEY_SPEC_USER_KEYRING)
		if err == nil {
			err = unix.KeyctlSetperm(id, perm)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := child(t, k.prefix)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := store.Get(t.Context(), "ours"); err != nil || string(got) != "theirs" {
		t.Errorf("what the other session wrote is read as %q, %v", got, err)
	}
	if got, err := store.Get(t.Context(), "new"); err != nil || string(got) != "theirs" {
		t.Errorf("what the other session made is read as %q, %v", got, err)
	}
	if _, err := store.Get(t.Context(), "default"); !errors.Is(err, ErrMiss) {
		t.Errorf("what the other session deleted: %v, want ErrMiss", err)
	}
}

func otherSession(t *testing.T, prefix string) {
	runtime.LockOSThread() // a session keyring is a thread's
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	store := kernelAs(prefix)
	k := store.items.(kernelItems)
	id, err := k.find("default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readKey(id); !errors.Is(err, unix.EACCES) {
		t.Fatalf("a default key is read with %v: the test is not in a session of its own", err)
	}
	for _, name := range []string{"ours", "default"} {
		if got, err := store.Get(t.Context(), name); err != nil || string(got) != "v" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := readKey(id); !errors.Is(err, unix.EACCES) {
		t.Errorf("possession has outlived the call that needed it: %v", err)
	}
	for _, name := range []string{"ours", "new"} {
		if err := store.Set(t.Context(), name, []byte("theirs"), time.Now().Add(time.Hour)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := store.Delete(t.Context(), "default"); err != nil {
		t.Error(err)
	}
	var unreachable *UnreachableError
	_, err = store.Get(t.Context(), "shut")
	if !errors.As(err, &unreachable) || !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "may not be used from this session") {
		t.Errorf("a key that nobody may read: %v, want an UnreachableError that says so", err)
	}
}

// Where a filter of system calls forbids keyctl, as in most containers, or the
// kernel has none, every call says so.
func TestKernelBlocked(t *testing.T) {
	if number := os.Getenv(childDir); number != "" {
		var cause int
		if _, err := fmt.Sscan(number, &cause); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		forbidKeys(t, cause)
		wantClosed(t, openKernelKeyring(Options{Now: time.Now}), syscall.Errno(cause))
		auto, err := Open(Options{Storage: "auto", StateDir: t.TempDir(), Getenv: func(string) string { return "" }})
		if err != nil {
			t.Fatal(err)
		}
		auto.(*pair).service.items.(*secretService).runtimeDir = t.TempDir()
		_, err = auto.Get(t.Context(), "k")
		for _, want := range []string{"kernel keyring cannot be used", errNoBus.Error(), os.Getenv("WANT")} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("auto: %v, want %q", err, want)
			}
		}
		return
	}
	for cause, want := range map[syscall.Errno]string{
		unix.EPERM:  "keyctl is blocked here",
		unix.ENOSYS: "this system has none",
	} {
		cmd := child(t, fmt.Sprint(int(cause)))
		cmd.Env = append(cmd.Env, "WANT="+want)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", cause, err, out)
		}
	}
}

// forbidKeys makes the system calls of keys fail on this thread, by the means of
// container runtimes: seccomp(2).
func forbidKeys(t *testing.T, errno int) {
	t.Helper()
	const load, jumpIfEqual, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load}, // the number of the system call
		{Code: jumpIfEqual, K: unix.SYS_ADD_KEY, Jt: 2},
		{Code: jumpIfEqual, K: unix.SYS_KEYCTL, Jt: 1},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
		{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		t.Fatal(err)
	}
}
