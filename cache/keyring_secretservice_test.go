//go:build e2e && linux

package cache

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"
)

// These tests run against gnome-keyring on a session bus of their own, with
// data folders of their own. They need dbus-run-session and
// gnome-keyring-daemon (Debian: dbus, gnome-keyring).

// rigTime is how long a part of the rig may take to start, or to end.
const rigTime = time.Minute

// desktop is a private session bus, and the environment of its programs.
type desktop struct {
	env []string
}

// startDesktop makes a private bus the session bus of this process. Bus and
// daemons end with the test, even if it is killed: the bus lives as long as
// cat, which ends when the pipe from this process is closed.
func startDesktop(t *testing.T, args ...string) *desktop {
	t.Helper()
	// Sockets are made below it: t.TempDir is too long a path for them.
	dir, err := os.MkdirTemp("", "daypass")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &desktop{env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		path := filepath.Join(dir, strings.ToLower(name))
		mkdir(t, path)
		d.env = append(d.env, name+"="+path)
	}
	bus := exec.Command("dbus-run-session", append(args, "--", "sh", "-c", `echo "$DBUS_SESSION_BUS_ADDRESS"; cat`)...)
	bus.Env = d.env
	bus.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := bus.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatal(err)
	}
	// late ends what hangs: bus and daemons.
	late := func(what string) *time.Timer {
		return time.AfterFunc(rigTime, func() {
			t.Errorf("the session bus has not %s after %v", what, rigTime)
			_ = syscall.Kill(-bus.Process.Pid, syscall.SIGKILL)
		})
	}
	end := func() {
		defer late("ended").Stop()
		in.Close()
		_ = bus.Wait()
	}
	starting := late("started")
	address, err := bufio.NewReader(out).ReadString('\n')
	starting.Stop()
	if err != nil {
		end()
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	d.env = append(d.env, "DBUS_SESSION_BUS_ADDRESS="+address)
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"} {
		t.Setenv(name, "")
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	t.Cleanup(func() {
		// go-keyring keeps one connection to the session bus: the next test's
		// calls must not find this one still open.
		shared, err := dbus.SessionBus()
		end()
		if err == nil {
			<-shared.Context().Done()
		}
	})
	return d
}

// sessionBus connects to the session bus of this process, for longer than a test
// takes: calls that are still without an answer then fail.
func sessionBus(t *testing.T) *dbus.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*rigTime)
	t.Cleanup(cancel)
	conn, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// startDaemon runs gnome-keyring with the login keyring unlocked, and made on
// the first start. Where it was not called, or its daemon ended, the bus starts
// a daemon as soon as one is asked for, and that one knows no password.
func (d *desktop) startDaemon(t *testing.T) *os.Process {
	t.Helper()
	daemon := exec.Command("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	daemon.Env = d.env
	daemon.Stdin = strings.NewReader("password")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, daemon.Process) })
	conn := sessionBus(t)
	defer conn.Close()
	for range 500 {
		var owned bool
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if owned {
			return daemon.Process
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("gnome-keyring-daemon does not appear on the bus")
	return nil
}

// replaceDaemon runs an unlocked gnome-keyring in the place of the one that the
// bus has started.
func (d *desktop) replaceDaemon(t *testing.T) *os.Process {
	t.Helper()
	d.endDaemon(t)
	return d.startDaemon(t)
}

// endDaemon ends whichever daemon is on the bus. The bus starts another one when
// one is asked for, and that is locked.
func (d *desktop) endDaemon(t *testing.T) {
	t.Helper()
	conn := sessionBus(t)
	defer conn.Close()
	var pid uint32
	if err := conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, secretsName).Store(&pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for owned := true; owned; {
		if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
			t.Fatal(err)
		}
	}
}

func stop(t *testing.T, daemon *os.Process) {
	t.Helper()
	if err := daemon.Kill(); errors.Is(err, os.ErrProcessDone) {
		return
	}
	_, _ = daemon.Wait()
}

func desktopKeyring(t *testing.T) *recordStore {
	t.Helper()
	store, err := Open(Options{Storage: "keyring"})
	if err != nil {
		t.Fatal(err)
	}
	return store.(*recordStore)
}

func TestSecretServiceRoundTrip(t *testing.T) {
	startDesktop(t).startDaemon(t)
	writer, reader := desktopKeyring(t), desktopKeyring(t)
	if _, err := reader.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("missing: %v, want ErrMiss", err)
	}
	if err := writer.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	for write, size := range []int{2000, 10_000, 100_000, 0} {
		want := payload(write, size)
		if err := writer.Set(t.Context(), "k", want, time.Time{}); err != nil {
			t.Fatalf("set %d bytes: %v", size, err)
		}
		for _, store := range []Store{reader, writer, desktopKeyring(t)} {
			if got, err := store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
			}
		}
		item, err := keyring.Get("daypass", "k")
		if err != nil || !strings.HasSuffix(item, "\n"+string(want)) {
			t.Errorf("go-keyring reads %d bytes of ours as %d, %v", size, len(item), err)
		}
	}
	if err := writer.Unlock(t.Context()); err != nil {
		t.Errorf("unlock of an unlocked keyring: %v", err)
	}

	theirs := payload(9, 3000)
	if err := keyring.Set("daypass", "k", string(headerOf(theirs).line())+string(theirs)); err != nil {
		t.Fatal(err)
	}
	if got, err := reader.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, theirs) {
		t.Errorf("go-keyring's record is read as %d bytes, %v", len(got), err)
	}
	if err := keyring.Set("daypass", "k", "rubbish"); err != nil {
		t.Fatal(err)
	}
	var unreadable *UnreadableError
	if _, err := reader.Get(t.Context(), "k"); !errors.As(err, &unreadable) {
		t.Errorf("rubbish: %v, want an UnreadableError", err)
	}
	if err := writer.Delete(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	if _, err := reader.Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("deleted: %v, want ErrMiss", err)
	}
}

// The bus is the one that the store was told of.
func TestSecretServiceOnAnotherBus(t *testing.T) {
	startDesktop(t).startDaemon(t)
	address := os.Getenv("DBUS_SESSION_BUS_ADDRESS")
	store := openSecretService(Options{Now: time.Now, Getenv: func(name string) string {
		return map[string]string{"DBUS_SESSION_BUS_ADDRESS": address}[name]
	}})
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	if err := store.Set(t.Context(), "k", []byte("v"), time.Time{}); err != nil {
		t.Errorf("set: %v", err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	if got, err := desktopKeyring(t).Get(t.Context(), "k"); err != nil || string(got) != "v" {
		t.Errorf("get: %q, %v", got, err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete: %v", err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	if _, err := desktopKeyring(t).Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("after delete: %v, want ErrMiss", err)
	}
}

// Splitting is for other systems, but these are items as good as any.
func TestSecretServiceSplit(t *testing.T) {
	startDesktop(t).startDaemon(t)
	store := desktopKeyring(t)
	store.limit = windowsItemLimit
	for write, size := range []int{12_000, 100, 12_000} {
		want := payload(write, size)
		if err := store.Set(t.Context(), "k", want, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	if err := store.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Delete("daypass", "k#1.0"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("a chunk after Delete: %v", err)
	}
}

func TestSecretServiceReaders(t *testing.T) {
	startDesktop(t).startDaemon(t)
	writer := desktopKeyring(t)
	if err := writer.Set(t.Context(), "k", payload(0, 900), time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		store := desktopKeyring(t)
		readers.Go(func() {
			for {
				got, err := store.Get(t.Context(), "k")
				if err != nil || !bytes.Equal(got, bytes.Repeat(got[:5], len(got)/5)) {
					t.Errorf("%.10q, %v", got, err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for write := range 60 {
		if err := writer.Set(t.Context(), "k", payload(write, []int{900, 50, 4000}[write%3]), time.Time{}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestSecretServiceLocked(t *testing.T) {
	d := startDesktop(t)
	daemon := d.startDaemon(t)
	store := desktopKeyring(t)
	want := payload(1, 2000)
	if err := store.Set(t.Context(), "k", want, time.Time{}); err != nil {
		t.Fatal(err)
	}

	// The bus starts another daemon, which is locked. One store has its
	// connection still from before, the other is new.
	stop(t, daemon)
	start := time.Now()
	for _, store := range []*recordStore{store, desktopKeyring(t)} {
		wantUnreachable(t, store, true, "")
		if _, err := store.Get(t.Context(), "k"); !errors.Is(err, errItemLocked) {
			t.Errorf("our item in a locked keyring: %v, want %v", err, errItemLocked)
		}
		if _, err := store.Get(t.Context(), "other"); !errors.Is(err, errCollectionLocked) {
			t.Errorf("no item in a locked keyring: %v, want %v", err, errCollectionLocked)
		}
		if err := store.Unlock(t.Context()); !errors.Is(err, errNoDisplay) {
			t.Errorf("unlock: %v, want %v", err, errNoDisplay)
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a locked keyring took %v in all", took)
	}
	// A display that is not there: the dialog cannot be shown.
	t.Setenv("DISPLAY", ":99")
	ctx, cancel := bounded(t.Context(), 3*time.Second)
	defer cancel()
	var unreachable *UnreachableError
	if err := store.Unlock(ctx); !errors.As(err, &unreachable) || !unreachable.Locked {
		t.Errorf("unlock on a dead display: %v, want Locked", err)
	}

	// Unlocked again, by another daemon still.
	d.replaceDaemon(t)
	if got, err := store.Get(t.Context(), "k"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after unlocking: %d bytes, %v", len(got), err)
	}
}

// The bus has a daemon, but no keyring was ever made.
func TestSecretServiceWithoutCollection(t *testing.T) {
	startDesktop(t)
	wantUnreachable(t, desktopKeyring(t), false, errNoCollection.Error())
}

// busWithoutServices is the configuration of a bus that starts nothing by itself.
const busWithoutServices = `<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`

func TestBusWithoutSecretService(t *testing.T) {
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, []byte(busWithoutServices), 0o600); err != nil {
		t.Fatal(err)
	}
	startDesktop(t, "--config-file="+config)
	start := time.Now()
	wantUnreachable(t, desktopKeyring(t), false, "org.freedesktop.secrets")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a bus without a keyring took %v", took)
	}
}

func TestSecretServiceHangs(t *testing.T) {
	daemon := startDesktop(t).startDaemon(t)
	store := desktopKeyring(t)
	if err := store.Set(t.Context(), "k", []byte("v"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	store.read, store.write = 200*time.Millisecond, 200*time.Millisecond
	_, getErr := store.Get(t.Context(), "k")
	for _, err := range []error{getErr, store.Set(t.Context(), "k", []byte("new"), time.Time{}), store.Delete(t.Context(), "k")} {
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked || !strings.Contains(err.Error(), "no answer within 200ms") {
			t.Errorf("got %v, want an UnreachableError that names the time", err)
		}
	}
	if err := daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	store.read = readBound
	// What the bus has taken is not taken back: the new record, or the old one.
	if got, err := store.Get(t.Context(), "k"); err != nil || string(got) != "v" && string(got) != "new" {
		t.Errorf("after it goes on: %q, %v", got, err)
	}
	// Nothing more of it is sent from here.
	if err := keyring.Set("daypass", "k", "other"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if got, err := keyring.Get("daypass", "k"); err != nil || got != "other" {
		t.Errorf("a write after that was undone: %q, %v", got, err)
	}
}

// secret-tool, another client of the same service, finds our items.
func TestSecretServiceOtherClient(t *testing.T) {
	d := startDesktop(t)
	d.startDaemon(t)
	if err := desktopKeyring(t).Set(t.Context(), "k", []byte("value"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rigTime)
	defer cancel()
	tool := exec.CommandContext(ctx, "secret-tool", "lookup", "service", "daypass", "username", "k")
	tool.Env = d.env
	out, err := tool.Output()
	if err != nil || !bytes.HasSuffix(out, []byte("\nvalue")) {
		t.Errorf("secret-tool finds %q, %v", out, err)
	}
}
