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

func mockKeyring(err error) goKeyring {
	keyring.MockInit()
	if err != nil {
		keyring.MockInitWithError(err)
	}
	return goKeyring{id: "keychain", title: "test keyring", limit: 100, read: readBound}
}

func mockItems(t *testing.T, item string) (names []string) {
	t.Helper()
	all := []string{item}
	for _, set := range []string{"a", "b"} {
		for n := range 20 {
			all = append(all, chunkName(item, set, n))
		}
	}
	for _, name := range all {
		text, err := keyring.Get(service, name)
		if err == nil {
			names = append(names, name)
		}
		if len(text) > 100 {
			t.Errorf("item %s has %d bytes", name, len(text))
		}
	}
	return names
}

func TestGoKeyring(t *testing.T) {
	k := mockKeyring(nil)
	wantMiss(t, "empty keyring")(k.Get(t.Context(), "k"))
	wantMiss(t, "remove in an empty keyring")(nil, k.Remove(t.Context(), "k"))
	for n, tt := range []struct{ size, items int }{{40, 1}, {450, 6}, {100, 1}, {101, 3}, {950, 11}, {250, 4}, {0, 1}, {300, 4}} {
		want := strings.Repeat(fmt.Sprint(n), tt.size)
		must(t, k.Set(t.Context(), "k", "", []byte(want)))
		if got, err := k.Get(t.Context(), "k"); err != nil || string(got) != want {
			t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
		}
		if items := mockItems(t, "k"); len(items) != tt.items {
			t.Errorf("%d bytes are in %q, want %d items", tt.size, items, tt.items)
		}
	}
	chunk := mockItems(t, "k")[2]
	must(t, keyring.Delete(service, chunk))
	_, err := k.Get(t.Context(), "k")
	wantUnreadable(t, "without "+chunk, err, "")
}

// A writer that died at any moment leaves the old value, or the new one, and
// nothing that the last removal does not remove.
func TestGoKeyringCrash(t *testing.T) {
	old, chunk := strings.Repeat("o", 250), strings.Repeat("x", 100)
	for _, written := range []int{1, 4, 7} { // chunks of a larger value that were written in the free set
		for _, value := range []string{"short", strings.Repeat("n", 350)} {
			k := mockKeyring(nil)
			must(t, k.Set(t.Context(), "k", "", []byte(old)))
			for n := range written {
				must(t, keyring.Set(service, chunkName("k", "b", n), chunk))
			}
			if got, err := k.Get(t.Context(), "k"); err != nil || string(got) != old {
				t.Errorf("before the head was written: %.9q, %v", got, err)
			}
			must(t, k.Set(t.Context(), "k", "", []byte(value)))
			// It died again, before the old chunks were removed.
			must(t, keyring.Set(service, chunkName("k", "a", 0), chunk))
			if got, err := k.Get(t.Context(), "k"); err != nil || string(got) != value {
				t.Errorf("after the head was written: %.9q, %v", got, err)
			}
			if err := k.Remove(t.Context(), "k"); err != nil || len(mockItems(t, "k")) != 0 {
				t.Errorf("remove: %v, left are %q", err, mockItems(t, "k"))
			}
		}
	}
}

func TestGoKeyringFails(t *testing.T) {
	defer keyring.MockInit()
	cause := errors.New("no such logon session")
	k := mockKeyring(cause)
	_, getErr := k.Get(t.Context(), "k")
	for _, err := range []error{getErr, k.Set(t.Context(), "k", "", nil), k.Remove(t.Context(), "k")} {
		wantUnreachable(t, "failing keyring", err, false, cause.Error())
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

func TestSweep(t *testing.T) {
	k := mockKeyring(nil)
	for _, storages := range []*Storages{{keyrings: []Keyring{k}}, {keyrings: []Keyring{newMemory("first")}}} {
		must(t, storages.Sweep(t.Context()))
		must(t, k.Set(t.Context(), "login-x", "", []byte(strings.Repeat("x", 250))))
		must(t, storages.Sweep(t.Context()))
		swept := len(mockItems(t, "login-x")) == 0
		if _, ok := storages.keyrings[0].(goKeyring); swept != ok {
			t.Errorf("%T: swept is %v", storages.keyrings[0], swept)
		}
	}
}

// The largest item must fit into the line that go-keyring gives to security, and
// the largest record into the chunks.
func TestItemLimits(t *testing.T) {
	item := chunkName("login-"+newID(), "a", 99)
	base64 := (macItemLimit + 2) / 3 * 4
	line := len("add-generic-password -U -s "+service+" -a '"+item+"' -w go-keyring-base64:\n") + base64
	if line > 4096 {
		t.Errorf("an item of %d bytes makes a line of %d bytes", macItemLimit, line)
	}
}

func TestSecurityRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there is no exit status of a tool to read there, nor sh
	}
	for status, want := range map[int]bool{1: false, 36: true, 44: false, 51: true, 128: true} {
		exit := exec.Command("sh", "-c", fmt.Sprintf("exit %d", status)).Run()
		wantUnreachable(t, "security", goKeyring{}.call(t.Context(), func() error { return exit }), want, fmt.Sprint("exit status ", status))
	}
}
