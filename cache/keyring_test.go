package cache

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"
)

// These tests replace go-keyring's provider, which is one for the process: they
// do not run in parallel.

func TestGoKeyring(t *testing.T) {
	keyring.MockInit()
	k := goKeyring{title: "test keyring"}
	store := &recordStore{items: k, limit: windowsItemLimit, read: readBound, write: writeBound, now: time.Now}
	if _, err := store.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("empty keyring: %v, want ErrMiss", err)
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete in an empty keyring: %v", err)
	}
	want := string(payload(1, 12_000))
	if err := store.Set(t.Context(), "k", []byte(want), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(t.Context(), "k"); err != nil || string(got) != want {
		t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
	}
	for _, name := range []string{"k", "k#1.0", "k#1.4"} {
		item, err := keyring.Get("daypass", name)
		if err != nil || len(item) > windowsItemLimit {
			t.Errorf("item %s of service daypass: %d bytes, %v", name, len(item), err)
		}
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Get("daypass", "k#1.0"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("a chunk after Delete: %v", err)
	}
}

func TestGoKeyringFails(t *testing.T) {
	defer keyring.MockInit()
	cause := errors.New("no such logon session")
	keyring.MockInitWithError(cause)
	store := &recordStore{items: goKeyring{title: "test keyring"}, read: readBound, write: writeBound, now: time.Now}
	_, getErr := store.Get(t.Context(), "k")
	for _, err := range []error{getErr, store.Set(t.Context(), "k", nil, time.Time{}), store.Delete(t.Context(), "k")} {
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked || !errors.Is(err, cause) || errors.Is(err, ErrMiss) {
			t.Errorf("got %v, want an UnreachableError around %v", err, cause)
		}
	}
	var unreachable *UnreachableError
	if err := store.Unlock(t.Context()); !errors.As(err, &unreachable) || !unreachable.Locked {
		t.Errorf("unlock: %v, want an UnreachableError with Locked", err)
	}
}

func TestGoKeyringHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := bounded(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := goKeyring{title: "test keyring"}.call(ctx, func() error { <-release; return nil })
	if want := "test keyring cannot be used: no answer within 20ms"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	err = goKeyring{}.call(ended, func() error { t.Error("called after the end"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestSecurityRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there is no exit status of a tool to read there, nor sh
	}
	for status, want := range map[int]bool{1: false, 36: true, 44: false, 51: true, 128: true} {
		exit := exec.Command("sh", "-c", fmt.Sprintf("exit %d", status)).Run()
		err := goKeyring{}.call(t.Context(), func() error { return exit })
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked != want {
			t.Errorf("exit status %d: %v, want Locked %v", status, err, want)
		}
	}
}

// The longest item must fit into the line that go-keyring gives to security.
func TestMacItemLimit(t *testing.T) {
	item := chunkName(strings.Repeat("k", maxName), 1, maxChunks)
	base64 := (macItemLimit + 2) / 3 * 4
	line := len("add-generic-password -U -s "+service+" -a '"+item+"' -w go-keyring-base64:\n") + base64
	if line > 4096 {
		t.Errorf("an item of %d bytes makes a line of %d bytes", macItemLimit, line)
	}
}
