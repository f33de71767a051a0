//go:build e2e

package cache

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// startFullDaemon runs gnome-keyring with the login keyring unlocked, as if the
// disk were full: it may write no byte to any file.
func (d *desktop) startFullDaemon(t *testing.T) {
	t.Helper()
	daemon := exec.Command("sh", "-c", `trap "" XFSZ; ulimit -f 0; exec gnome-keyring-daemon --foreground --unlock --components=secrets`)
	daemon.Env = d.env
	daemon.Stdin = strings.NewReader("password")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, daemon.Process) })
	conn, err := dbus.ConnectSessionBus(dbus.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for owned, tries := false, 0; !owned; tries++ {
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if tries == 3000 {
			t.Fatal("gnome-keyring-daemon does not appear on the bus")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// With the disk full under the keyring, what is there is still read, what is not
// stored is not said to be, and nothing is half there.
func TestSecretServiceDiskFull(t *testing.T) {
	d := startDesktop(t)
	first := d.startDaemon(t)
	store := desktopKeyring(t)
	old := payload(1, 12_000)
	if err := store.Set(t.Context(), "k", old, time.Time{}); err != nil {
		t.Fatal(err)
	}
	stop(t, first)
	d.startFullDaemon(t)

	check := func(when string) {
		t.Helper()
		if got, err := store.Get(t.Context(), "k"); err != nil || string(got) != string(old) {
			t.Errorf("%s: read %d bytes, %v", when, len(got), err)
		}
		if got, err := store.Get(t.Context(), "new"); !errors.Is(err, ErrMiss) {
			t.Errorf("%s: what was not stored is read as %d bytes, %v", when, len(got), err)
		}
	}
	for what, write := range map[string]func() error{
		"replace": func() error { return store.Set(t.Context(), "k", payload(2, 12_000), time.Time{}) },
		"add":     func() error { return store.Set(t.Context(), "new", payload(3, 100), time.Time{}) },
		"delete":  func() error { return store.Delete(t.Context(), "k") },
	} {
		var unreachable *UnreachableError
		if err := write(); !errors.As(err, &unreachable) || !unreachable.Full || unreachable.Locked {
			t.Errorf("%s: got %v, want an UnreachableError with Full", what, err)
		}
		check(what)
	}
	d.replaceDaemon(t)
	check("with room again")
	if err := store.Set(t.Context(), "new", payload(3, 100), time.Time{}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
