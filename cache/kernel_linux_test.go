package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// testKernel is the kernel keyring of whoever runs the test, with keys of the
// test's own. Some machines let nobody use it, as containers do; CI must.
func testKernel(t *testing.T) kernelKeyring {
	t.Helper()
	k := kernelKeyring{prefix: fmt.Sprintf("daypass-test-%d-%s:", os.Getpid(), t.Name())}
	if _, err := k.Get(t.Context(), "k"); err != ErrMiss {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no kernel keyring on this machine: %v", err)
	}
	t.Cleanup(func() {
		names, _ := k.List(context.Background())
		for _, name := range names {
			_ = k.Remove(context.Background(), name)
		}
	})
	return k
}

func TestKernel(t *testing.T) {
	k := testKernel(t)
	wantMiss(t, "missing")(k.Get(t.Context(), "k"))
	wantMiss(t, "remove of nothing")(nil, k.Remove(t.Context(), "k"))
	for write, size := range []int{44, 9000, 8192, 5000, 30_000} {
		want := payload(write, size)
		if err := k.Set(t.Context(), "k", "", want); err != nil {
			t.Fatalf("set %d bytes: %v", size, err)
		}
		if got, err := k.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	if names, err := k.List(t.Context()); err != nil || !slices.Equal(names, []string{"k"}) {
		t.Errorf("list: %q, %v", names, err)
	}
	id, err := k.find("k")
	must(t, err)
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id)
	if want := fmt.Sprintf("%d;3f3f0000;%sk", os.Getgid(), k.prefix); err != nil || !strings.HasSuffix(text, want) {
		t.Errorf("the key is %q, %v, want ...%s", text, err, want)
	}
	// A dead key is not a record and not an obstacle.
	must(t, keyctl(unix.KEYCTL_REVOKE, id, 0))
	wantMiss(t, "revoked")(k.Get(t.Context(), "k"))
	must(t, k.Set(t.Context(), "k", "", []byte("new")))
	if id, err = k.find("k"); err != nil {
		t.Fatal(err)
	}
	must(t, k.Remove(t.Context(), "k"))
	if _, err := readKey(id); !errors.Is(err, unix.ENOKEY) && !errors.Is(err, unix.EKEYREVOKED) {
		t.Errorf("whoever knows the number of the removed key reads it: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	_, err = k.Get(ctx, "k")
	wantUnreachable(t, "after the end", err, false, "cannot be used: over")
}

// A session of its own, as a cron job or a systemd service has it, does not
// possess the keys of the user keyring.
func TestKernelOtherSession(t *testing.T) {
	if prefix := os.Getenv(childDir); prefix != "" {
		otherSession(t, kernelKeyring{prefix})
		return
	}
	k := testKernel(t)
	must(t, k.Set(t.Context(), "ours", "", []byte("v")))
	// A key as add_key makes it: its user may view it, and no more.
	for name, perm := range map[string]uint32{"default": 0x3f010000, "shut": 0x01010000} {
		id, err := unix.AddKey(userKey, k.prefix+name, []byte("v"), unix.KEY_SPEC_USER_KEYRING)
		if err == nil {
			defer keyctl(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING)
			err = unix.KeyctlSetperm(id, perm)
		}
		must(t, err)
	}
	cmd := child(t, k.prefix)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"ours", "new"} {
		if got, err := k.Get(t.Context(), name); err != nil || string(got) != "theirs" {
			t.Errorf("what the other session wrote as %s is read as %q, %v", name, got, err)
		}
	}
	wantMiss(t, "what the other session removed")(k.Get(t.Context(), "default"))
}

func otherSession(t *testing.T, k kernelKeyring) {
	runtime.LockOSThread() // a session keyring is a thread's
	must(t, keyctl(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0))
	id, err := k.find("default")
	must(t, err)
	if _, err := readKey(id); !errors.Is(err, unix.EACCES) {
		t.Fatalf("a default key is read with %v: the test is not in a session of its own", err)
	}
	for _, name := range []string{"ours", "default"} {
		if got, err := k.Get(t.Context(), name); err != nil || string(got) != "v" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := readKey(id); !errors.Is(err, unix.EACCES) {
		t.Errorf("possession has outlived the call that needed it: %v", err)
	}
	for _, name := range []string{"ours", "new"} {
		if err := k.Set(t.Context(), name, "", []byte("theirs")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, k.Remove(t.Context(), "default"))
	_, err = k.Get(t.Context(), "shut")
	wantUnreachable(t, "a key that nobody may read", err, false, "may not be used from this session")
}

// What the error numbers mean is said. If the quota is used up, nothing is evicted.
func TestKernelErrors(t *testing.T) {
	for cause, want := range map[syscall.Errno]string{
		unix.EPERM: "keyctl is blocked here", unix.ENOSYS: "this system has none", unix.EDQUOT: "/proc/key-users",
		unix.EACCES: "may not be used from this session", unix.EIO: "input/output error",
	} {
		err := kernelKeyring{}.act(t.Context(), func() error { return cause })
		if wantUnreachable(t, "act", err, false, want); !errors.Is(err, cause) {
			t.Errorf("%v is not %v", err, cause)
		}
	}
}
