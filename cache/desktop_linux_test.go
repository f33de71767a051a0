//go:build e2e && linux

package cache

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// These tests run against gnome-keyring on a session bus of their own, with
// data folders of their own. They need dbus-daemon and
// gnome-keyring-daemon (Debian: dbus, gnome-keyring).

// rigTime is how long a part of the rig may take to start, or to end.
const rigTime = time.Minute

// desktop is a private session bus, and the environment of its programs.
type desktop struct {
	env []string
}

// startDesktop makes a private bus the session bus of this process. Bus and
// daemons end with the test, even if it is killed.
func startDesktop(t testing.TB) *desktop {
	t.Helper()
	// Sockets are made below it: t.TempDir is too long a path for them.
	dir, err := os.MkdirTemp("", "daypass")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &desktop{env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		path := filepath.Join(dir, strings.ToLower(name))
		mkdir(t, path)
		d.env = append(d.env, name+"="+path)
	}
	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address")
	bus.Env, bus.SysProcAttr = d.env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := bus.StdoutPipe()
	must(t, err)
	must(t, bus.Start())
	hangs := time.AfterFunc(rigTime, func() { _ = bus.Process.Kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	hangs.Stop()
	must(t, err)
	address = strings.TrimSpace(address)
	d.env = append(d.env, "DBUS_SESSION_BUS_ADDRESS="+address)
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"} {
		t.Setenv(name, "")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	t.Cleanup(func() { _ = bus.Process.Kill(); _ = bus.Wait() })
	return d
}

// sessionBus connects to the session bus of this process, for longer than a test
// takes: calls that are still without an answer then fail.
func sessionBus(t testing.TB) *dbus.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*rigTime)
	t.Cleanup(cancel)
	conn, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	must(t, err)
	return conn
}

// startDaemon runs gnome-keyring with the login keyring unlocked, and made on the
// first start, in the place of whichever daemon is on the bus: if none runs, the bus
// starts one that knows no password. What its shell does before is in before.
func (d *desktop) startDaemon(t testing.TB, before string) {
	t.Helper()
	conn := sessionBus(t)
	defer conn.Close()
	await := func(there bool) {
		for range 3000 {
			var owned bool
			must(t, conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned))
			if owned == there {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("gnome-keyring-daemon on the bus: %v, want %v", !there, there)
	}
	var pid uint32
	if conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, secretsName).Store(&pid) == nil {
		must(t, syscall.Kill(int(pid), syscall.SIGKILL))
		await(false)
	}
	daemon := exec.Command("sh", "-c", before+"\nexec gnome-keyring-daemon --foreground --unlock --components=secrets")
	daemon.Env, daemon.Stdin = d.env, strings.NewReader("password")
	must(t, daemon.Start())
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	await(true)
}

// desktopService is the Secret Service of the session bus, as a new process finds it.
func desktopService(t testing.TB) *secretService {
	t.Helper()
	s := newSecretService(os.Getenv)
	s.runtimeDir = "/nonexistent" // not the bus of whoever runs the test
	return s
}

// desktopLogin is a login in the Secret Service, as a new process finds it.
func desktopLogin(t *testing.T, stateDir string) *Login {
	t.Helper()
	return testLogin(t, Open(stateDir, nil, []Keyring{desktopService(t)}), "keyring")
}

func TestDesktopLogin(t *testing.T) {
	startDesktop(t).startDaemon(t, "")
	dir := t.TempDir()
	s := desktopLogin(t, dir).storages
	l, key := storeLogin(t, s, "keyring", "{}")
	for write, size := range []int{2000, 10_000, MaxRecord, 0, 500} {
		want := payload(write, size)
		if err := l.SetRecord(t.Context(), want); err != nil {
			t.Fatalf("set %d bytes: %v", size, err)
		}
		for _, l := range []*Login{l, desktopLogin(t, dir)} {
			wantRecord(t, l, string(want))
		}
	}
	if got, err := desktopLogin(t, dir).Key(t.Context()); err != nil || !got.Equal(key.String) {
		t.Errorf("another key came back, %v", err)
	}

	// What no file names is found, and deleted.
	id := wantPlace(t, l, "secret-service").ID
	must(t, desktopService(t).Set(t.Context(), "not ours", "label", nil))
	must(t, os.RemoveAll(l.Dir()))
	for _, want := range []int{1, 0} {
		strays, err := s.Strays(t.Context())
		if err != nil || len(strays) != want {
			t.Fatalf("strays: %v, %v", strays, err)
		}
		for _, items := range strays {
			if err := items.Delete(t.Context()); err != nil || items.id != id || items.Name() != "Secret Service" {
				t.Errorf("%+v: %v", items, err)
			}
		}
	}
}

// With the disk full under the keyring, what is there is still read, what is not
// stored is not said to be, and nothing is half there.
func TestDesktopDiskFull(t *testing.T) {
	d := startDesktop(t)
	d.startDaemon(t, "")
	s := desktopService(t)
	old := payload(1, 12_000)
	must(t, s.Set(t.Context(), "k", "label", old))
	d.startDaemon(t, `trap "" XFSZ; ulimit -f 0`)

	check := func(when string) {
		t.Helper()
		if got, err := s.Get(t.Context(), "k"); err != nil || string(got) != string(old) {
			t.Errorf("%s: read %d bytes, %v", when, len(got), err)
		}
		if got, err := s.Get(t.Context(), "new"); err != ErrMiss {
			t.Errorf("%s: what was not stored is read as %d bytes, %v", when, len(got), err)
		}
	}
	for what, write := range map[string]func() error{
		"replace": func() error { return s.Set(t.Context(), "k", "label", payload(2, 12_000)) },
		"add":     func() error { return s.Set(t.Context(), "new", "label", payload(3, 100)) },
		"remove":  func() error { return s.Remove(t.Context(), "k") },
	} {
		var unreachable *UnreachableError
		if err := write(); !errors.As(err, &unreachable) || !unreachable.Full || unreachable.Locked {
			t.Errorf("%s: got %v, want an UnreachableError with Full", what, err)
		}
		check(what)
	}
	d.startDaemon(t, "")
	check("with room again")
	must(t, s.Set(t.Context(), "new", "label", payload(3, 100)))
}
