//go:build e2e && linux

package cache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// machine opens the storage "auto" of one machine, with its own kernel keys and a
// state folder of its own: each call is another process.
func machine(t *testing.T) (process func() *pair, closed bool) {
	t.Helper()
	kernel, closed := testKernel(t)
	dir, bus := t.TempDir(), t.TempDir()
	return func() *pair {
		store, err := Open(Options{Storage: "auto", StateDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		p := store.(*pair)
		p.kernel.items = kernel.items
		p.kernelInUse = kernel.items.(kernelItems).inUse
		p.service.items.(*secretService).runtimeDir = bus // not of whoever runs the test
		return p
	}, closed
}

func wantRecord(t *testing.T, p *pair, want, where string) {
	t.Helper()
	if got, err := p.Get(t.Context(), "k"); err != nil || string(got) != want || p.Where("k") != where {
		t.Errorf("%q, %v in %s, want %q in %s", got, err, p.Where("k"), want, where)
	}
}

func mustSet(t *testing.T, p *pair, value string) {
	t.Helper()
	if err := p.Set(t.Context(), "k", []byte(value), time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// One person logs in over SSH first, without a session bus, and goes on at the
// desktop; and the other way round.
func TestAutoDesktopAndSSH(t *testing.T) {
	startDesktop(t).startDaemon(t)
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	desktop := func() { t.Setenv("DBUS_SESSION_BUS_ADDRESS", address) }
	ssh := func() { t.Setenv("DBUS_SESSION_BUS_ADDRESS", "") }
	process, closed := machine(t)
	if closed {
		return
	}
	ssh()
	p := process()
	if _, err := p.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) || p.Name() != "kernel keyring (no Secret Service in this session)" {
		t.Errorf("%v in %s, want ErrMiss", err, p.Name())
	}
	mustSet(t, p, "1")
	wantRecord(t, process(), "1", "kernel keyring")
	desktop()
	p = process()
	wantRecord(t, p, "1", "kernel keyring")
	mustSet(t, p, "2")
	wantRecord(t, process(), "2", "kernel keyring")
	ssh()
	wantRecord(t, process(), "2", "kernel keyring")
	if err := process().Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}

	desktop()
	p = process()
	mustSet(t, p, "3")
	wantRecord(t, p, "3", "Secret Service")
	ssh()
	// Out of reach from here: a login of its own, which the desktop meets.
	p = process()
	if _, err := p.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("%v, want ErrMiss", err)
	}
	mustSet(t, p, "4")
	desktop()
	p = process()
	wantRecord(t, p, "4", "kernel keyring")
	mustSet(t, p, "5")
	if _, err := p.service.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("the older record is left: %v", err)
	}
	if err := p.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	ssh()
	if _, err := process().Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("after Delete: %v, want ErrMiss", err)
	}
	desktop()
}

func TestAutoLocked(t *testing.T) {
	d := startDesktop(t)
	daemon := d.startDaemon(t)
	process, closed := machine(t)
	if closed {
		return
	}
	// A keyring without anything in it, locked, and nobody to unlock it.
	stop(t, daemon)
	p := process()
	if _, err := p.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("locked and empty: %v, want ErrMiss", err)
	}
	mustSet(t, p, "1")
	wantRecord(t, p, "1", "kernel keyring")
	if err := p.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete: %v", err)
	}
	// With somebody to unlock it, that is asked for first.
	t.Setenv("DISPLAY", ":99")
	_, err := process().Get(t.Context(), "k")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !unreachable.Locked {
		t.Errorf("locked, with a display: %v, want Locked", err)
	}
	t.Setenv("DISPLAY", "")

	d.replaceDaemon(t)
	p = process()
	mustSet(t, p, "2")
	wantRecord(t, p, "2", "Secret Service")

	// It locks while a process holds its answer in the hand.
	d.endDaemon(t)
	mustSet(t, p, "3")
	wantRecord(t, p, "3", "kernel keyring")
	wantRecord(t, process(), "3", "kernel keyring")

	// Unlocked again, the older record there is not taken up, and goes.
	d.replaceDaemon(t)
	p = process()
	wantRecord(t, p, "3", "kernel keyring")
	mustSet(t, p, "4")
	if _, err := p.service.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("the older record is left: %v", err)
	}
	if err := p.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}

	// There yesterday, locked now: no new login.
	p = process()
	mustSet(t, p, "5")
	d.endDaemon(t)
	if _, err := process().Get(t.Context(), "k"); !errors.Is(err, errItemLocked) {
		t.Errorf("locked with our record: %v, want %v", err, errItemLocked)
	}
	if err := process().Set(t.Context(), "k", []byte("6"), time.Time{}); !errors.Is(err, errItemLocked) {
		t.Errorf("set without having read: %v, want %v", err, errItemLocked)
	}
	if err := process().Delete(t.Context(), "k"); !errors.Is(err, errItemLocked) {
		t.Errorf("delete: %v, want %v", err, errItemLocked)
	}
}

// While the daemon is being restarted, and nothing starts it by itself, a record
// that it keeps is not missed.
func TestAutoRestart(t *testing.T) {
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, []byte(busWithoutServices), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDesktop(t, "--config-file="+config)
	process, closed := machine(t)
	if closed {
		return
	}
	if _, err := process().Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("a bus on which there never was one: %v, want ErrMiss", err)
	}
	daemon := d.startDaemon(t)
	mustSet(t, process(), "1")
	stop(t, daemon)
	_, err := process().Get(t.Context(), "k")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Locked {
		t.Errorf("without its daemon: %v, want an UnreachableError", err)
	}
	d.startDaemon(t)
	wantRecord(t, process(), "1", "Secret Service")
}

// A desktop whose keyring hangs loses no answer and holds up no reader.
func TestAutoHangs(t *testing.T) {
	d := startDesktop(t)
	daemon := d.startDaemon(t)
	process, closed := machine(t)
	if closed {
		return
	}
	p := process()
	mustSet(t, p, "1")
	if err := daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.service.write = 200 * time.Millisecond
	mustSet(t, p, "2")
	start := time.Now()
	wantRecord(t, process(), "2", "kernel keyring")
	if took := time.Since(start); took > time.Second {
		t.Errorf("a reader waited %v", took)
	}
	if err := daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// What the service does now with the write it was too slow for is no matter.
	p = process()
	wantRecord(t, p, "2", "kernel keyring")
	mustSet(t, p, "3")
	wantRecord(t, process(), "3", "kernel keyring")
	if _, err := p.service.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("the older record is left: %v", err)
	}
}
