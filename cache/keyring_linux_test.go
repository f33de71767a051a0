package cache

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openTestService opens the Secret Service as it is found with only the bus
// address in the environment.
func openTestService(t *testing.T, address string) *recordStore {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
	store := openSecretService(Options{Getenv: os.Getenv, Now: time.Now})
	// Not the bus of whoever runs the test.
	store.items.(*secretService).runtimeDir = t.TempDir()
	return store
}

// wantUnreachable checks every call, since each can be a process's first.
func wantUnreachable(t *testing.T, store Store, locked bool, cause string) {
	t.Helper()
	_, getErr := store.Get(t.Context(), "k")
	for call, err := range map[string]error{
		"get":    getErr,
		"set":    store.Set(t.Context(), "k", []byte("v"), time.Time{}),
		"delete": store.Delete(t.Context(), "k"),
		"unlock": store.Unlock(t.Context()),
	} {
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked != locked || !strings.Contains(err.Error(), cause) {
			t.Errorf("%s: %v, want an UnreachableError, locked %v, with %q", call, err, locked, cause)
		}
	}
}

func TestNoSessionBus(t *testing.T) {
	for _, address := range []string{"", "autolaunch:"} {
		t.Run(address, func(t *testing.T) {
			dir := t.TempDir()
			record := filepath.Join(dir, "called")
			script := "#!/bin/sh\necho called >>" + record + "\n"
			if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir)
			wantUnreachable(t, openTestService(t, address), false, errNoBus.Error())
			if _, err := os.Stat(record); err == nil {
				t.Error("dbus-launch was called")
			}
			if err := exec.Command("dbus-launch").Run(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(record); err != nil {
				t.Errorf("the test would not see a call of dbus-launch: %v", err)
			}
		})
	}
}

func TestDeadBusAddress(t *testing.T) {
	for _, address := range []string{"unix:path=/nonexistent/bus", "autolaunch:scope=user", "disabled:", "nonsense", "unix:", ";;"} {
		t.Run(address, func(t *testing.T) {
			wantUnreachable(t, openTestService(t, address), false, "Secret Service cannot be used")
		})
	}
}

// listen makes a bus socket where talk is held with every caller.
func listen(t *testing.T, talk func(net.Conn)) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go talk(conn)
		}
	}()
	return socket
}

func TestSilentBus(t *testing.T) {
	hungUp := make(chan error, 3)
	silent := listen(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		hungUp <- err
	})
	store := openTestService(t, "unix:path="+silent)
	store.read, store.write = 50*time.Millisecond, 50*time.Millisecond
	start := time.Now()
	_, err := store.Get(t.Context(), "k")
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Locked {
		t.Errorf("get: %v, want an UnreachableError", err)
	}
	if err := store.Set(t.Context(), "k", nil, time.Time{}); !errors.As(err, &unreachable) {
		t.Errorf("set: %v, want an UnreachableError", err)
	}
	if err := store.Delete(t.Context(), "k"); !errors.As(err, &unreachable) {
		t.Errorf("delete: %v, want an UnreachableError", err)
	}
	if took := time.Since(start); took > readBound {
		t.Errorf("three calls bound by 50 ms took %v", took)
	}
	for range 3 {
		select {
		case <-hungUp:
		case <-time.After(5 * time.Second):
			t.Error("a connection that came to nothing is left open")
		}
	}
}

func TestRubbishBus(t *testing.T) {
	for _, rubbish := range []string{"", "\r\n", "REJECTED\r\n", "OK\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", strings.Repeat("x", 1<<16)} {
		socket := listen(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte(rubbish))
			conn.Close()
		})
		_, err := openTestService(t, "unix:path="+socket).Get(t.Context(), "k")
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Locked {
			t.Errorf("%.20q: %v, want an UnreachableError", rubbish, err)
		}
		if !noBus(err) {
			t.Errorf("%.20q: %v, want to hear that there is no bus to talk to", rubbish, err)
		}
	}
}

// A bus that refuses us is left at once, and its connection with it.
func TestRefusingBus(t *testing.T) {
	hungUp := make(chan error, 1)
	socket := listen(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("REJECTED EXTERNAL\r\n"))
		_, err := io.Copy(io.Discard, conn)
		hungUp <- err
	})
	if _, err := openTestService(t, "unix:path="+socket).Get(t.Context(), "k"); !noBus(err) {
		t.Errorf("%v, want to hear that there is no bus to talk to", err)
	}
	select {
	case <-hungUp:
	case <-time.After(5 * time.Second):
		t.Error("the connection is left open")
	}
}

func TestSessionBusAddress(t *testing.T) {
	empty, full := t.TempDir(), filepath.Join(t.TempDir(), "1000")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(full, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ env, runtimeDir, want string }{
		{"", empty, ""},
		{"autolaunch:", empty, ""},
		{"", full, "unix:path=" + full + "/bus"},
		{"autolaunch:", full, "unix:path=" + full + "/bus"},
		{"unix:abstract=/tmp/x", full, "unix:abstract=/tmp/x"},
	}
	for _, tt := range tests {
		if got := sessionBusAddress(func(string) string { return tt.env }, tt.runtimeDir); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}
