package cache

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asStranger runs the test that calls it in a child, as a user who has no keys
// yet; as this user where only this one can be had.
func asStranger(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := child(t, "kernel")
	if os.Getuid() == 0 {
		// The kernel keeps a user's keyrings until it ends: so always one of a few.
		uid := uint32(2_000_000 + os.Getpid()%8)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Dir = "/"
		// The test binary lies where root alone can read.
		self, err := os.Open("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { self.Close() })
		cmd.ExtraFiles = []*os.File{self}
		cmd.Path = "/proc/self/fd/3"
	}
	return cmd
}

func TestKernelQuota(t *testing.T) {
	if os.Getenv(childDir) == "" {
		if out, err := asStranger(t).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	store, closed := testKernel(t)
	if closed {
		return
	}
	now := time.Now()
	set := func(key string, size int, until time.Time) error {
		return store.Set(t.Context(), key, payload(1, size), until)
	}
	there := func(keys ...string) {
		t.Helper()
		for _, key := range []string{"login", "attempt", "other", "expired1", "expired2", "soon", "late"} {
			_, err := store.Get(t.Context(), key)
			want := strings.Contains(" "+strings.Join(keys, " ")+" ", " "+key+" ")
			if want && err != nil || !want && !errors.Is(err, ErrMiss) {
				t.Errorf("%s: %v, want it there: %v", key, err, want)
			}
		}
	}
	if err := set("login", 0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	unit := freeQuota(t) / 10
	for _, r := range []struct {
		key   string
		until time.Time
	}{
		{"login", time.Time{}},
		{"late", now.Add(2 * time.Hour)},
		{"expired1", now.Add(-time.Minute)},
		{"soon", now.Add(time.Hour)},
		{"expired2", now.Add(-2 * time.Hour)},
	} {
		if err := set(r.key, unit*15/10, r.until); err != nil {
			t.Fatalf("%s: %v", r.key, err)
		}
	}
	there("login", "late", "expired1", "soon", "expired2")
	// 2.5 units are left, less what the keys themselves cost.
	if err := set("other", unit*3, time.Time{}); err != nil {
		t.Error(err)
	}
	there("login", "late", "soon", "other")
	if err := set("attempt", unit*3, time.Time{}); err != nil {
		t.Error(err)
	}
	there("login", "late", "other", "attempt")
	err := set("new", unit*5, time.Time{})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, unix.EDQUOT) || !strings.Contains(err.Error(), "quota") {
		t.Errorf("got %v, want an UnreachableError that names the quota", err)
	}
	there("login", "other", "attempt")
	// A login that grows, and what is not dropped for others makes no room either.
	if err := set("login", unit*3, time.Time{}); err != nil {
		t.Error(err)
	}
	if err := set("login", unit*9, time.Time{}); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("got %v, want %v", err, unix.EDQUOT)
	}
	there("login", "other", "attempt")
	// A record is not dropped to make room for itself.
	if err := set("late", 10, now.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := set("late", unit*9, now.Add(time.Hour)); !errors.Is(err, unix.EDQUOT) {
		t.Errorf("got %v, want %v", err, unix.EDQUOT)
	}
	there("login", "other", "attempt", "late")
}

// freeQuota is how many bytes of keys this user may still have.
func freeQuota(t *testing.T) int {
	t.Helper()
	users, err := os.ReadFile("/proc/key-users")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(users)) {
		var uid, usage, keys, live, counted, maxKeys, bytes, maxBytes int
		if _, err := fmt.Sscanf(line, "%d: %d %d/%d %d/%d %d/%d", &uid, &usage, &keys, &live, &counted, &maxKeys, &bytes, &maxBytes); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if uid == os.Getuid() {
			return min(maxBytes-bytes, 10*kernelItemLimit)
		}
	}
	t.Fatalf("this user has no line:\n%s", users)
	return 0
}

// More roles than a user may have keys: the old ones make room, the login stays.
func TestKernelNumberOfKeys(t *testing.T) {
	if os.Getenv(childDir) == "" {
		if out, err := asStranger(t).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	store, closed := testKernel(t)
	if closed {
		return
	}
	if err := store.Set(t.Context(), "login", []byte("v"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	const records = 215
	dropped, allowed := 0, 0
	if text, err := os.ReadFile("/proc/sys/kernel/keys/maxkeys"); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(string(text), &allowed); err != nil {
		t.Fatal(err)
	}
	for n := range records {
		if err := store.Set(t.Context(), fmt.Sprint("role", n), []byte("v"), now.Add(time.Duration(n)*time.Minute)); err != nil {
			t.Fatalf("role %d: %v", n, err)
		}
		if got, err := store.Get(t.Context(), fmt.Sprint("role", n)); err != nil || string(got) != "v" {
			t.Errorf("role %d: %q, %v", n, got, err)
		}
	}
	for n := range records {
		if _, err := store.Get(t.Context(), fmt.Sprint("role", n)); errors.Is(err, ErrMiss) {
			dropped++
		}
	}
	if dropped < records-allowed {
		t.Errorf("%d of %d records were dropped, and %d keys are allowed", dropped, records, allowed)
	}
	if _, err := store.Get(t.Context(), "login"); err != nil {
		t.Errorf("login: %v", err)
	}
}
