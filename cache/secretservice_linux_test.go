package cache

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serviceAt is the Secret Service as it is found with only the bus address in the
// environment.
func serviceAt(t *testing.T, address string) *secretService {
	s := newSecretService(func(name string) string {
		return map[string]string{"DBUS_SESSION_BUS_ADDRESS": address}[name]
	})
	s.runtimeDir = t.TempDir() // not the bus of whoever runs the test
	return s
}

// noService checks every call, since each can be a process's first.
func noService(t *testing.T, s *secretService, cause string) {
	t.Helper()
	_, getErr := s.Get(t.Context(), "k")
	for call, err := range map[string]error{
		"get":    getErr,
		"set":    s.Set(t.Context(), "k", "label", []byte("v")),
		"remove": s.Remove(t.Context(), "k"),
		"unlock": s.Unlock(t.Context(), "k"),
	} {
		wantUnreachable(t, call, err, false, "Secret Service cannot be used: "+cause)
	}
}

func TestNoSessionBus(t *testing.T) {
	for _, address := range []string{"", "autolaunch:", "unix:runtime=yes", "autolaunch:scope=user", "disabled:", "tcp:host=localhost,port=1", "nonsense", "unix:", ";;"} {
		noService(t, serviceAt(t, address), errNoBus.Error())
	}
	noService(t, serviceAt(t, "unix:path=/nonexistent/bus"), "dial unix /nonexistent/bus: connect: no such file")
}

func TestSocket(t *testing.T) {
	empty, xdg, systemd := t.TempDir(), t.TempDir(), t.TempDir()
	touch(t, filepath.Join(xdg, "bus"))
	touch(t, filepath.Join(systemd, "bus"))
	for _, tt := range []struct {
		address, xdg, systemd, want string
	}{
		{"", empty, empty, ""},
		{"", "", empty, ""},
		{"", empty, systemd, systemd + "/bus"},
		{"", xdg, systemd, xdg + "/bus"},
		{"", ".", systemd, systemd + "/bus"},
		{"autolaunch:", xdg, systemd, xdg + "/bus"},
		{"unix:runtime=yes", xdg, systemd, xdg + "/bus"},
		{"unix:path=/run/user/1000/bus", xdg, systemd, "/run/user/1000/bus"},
		{"unix:path=/tmp/dbus-x,guid=0123456789", xdg, systemd, "/tmp/dbus-x"},
		{"unix:abstract=/tmp/dbus-x,guid=01", xdg, systemd, "@/tmp/dbus-x"},
		{"unix:path=/a%20b;tcp:host=x;unix:path=/c", xdg, systemd, "/a b"},
		{"unix:path=/a%2", xdg, systemd, ""},
		{"unix:dir=/tmp", xdg, systemd, ""},
	} {
		s := newSecretService(func(name string) string {
			return map[string]string{"DBUS_SESSION_BUS_ADDRESS": tt.address, "XDG_RUNTIME_DIR": tt.xdg}[name]
		})
		s.runtimeDir = tt.systemd
		if got := s.socket(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.address, got, tt.want)
		}
	}
}

// listen makes a bus socket where talk is held with every caller.
func listen(t *testing.T, talk func(net.Conn)) (address string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	must(t, err)
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
	return "unix:path=" + socket
}

func TestRubbishBus(t *testing.T) {
	for rubbish, cause := range map[string]string{
		"": "the session bus has hung up", "OK 1\r\n": "the session bus has hung up",
		"REJECTED\r\n": "the session bus does not let this user in", "DATA\r\nREJECTED EXTERNAL\r\nOK 1\r\n": "the session bus does not let this user in",
		"\r\n": "", "OK\r\n": "", "OK 1\r\nl\x02": "", "HTTP/1.1 400 Bad Request\r\n\r\n": "", strings.Repeat("x", 1<<16): "",
	} {
		address := listen(t, func(conn net.Conn) {
			_, _ = conn.Write([]byte(rubbish))
			_ = conn.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		})
		noService(t, serviceAt(t, address), cause)
	}
}

// asSomebody runs act as the user 12345, with nobody's groups. Only root can.
func asSomebody(t *testing.T, act func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends as it is
		const somebody = 12345
		_, _, groups := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
		_, _, group := unix.RawSyscall(unix.SYS_SETRESGID, ^uintptr(0), somebody, ^uintptr(0))
		_, _, user := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), somebody, ^uintptr(0))
		if groups != 0 || group != 0 || user != 0 {
			t.Error(groups, group, user)
			return
		}
		act()
	}()
	<-done
}

// Another user reads, replaces and locks nothing that daypass has made, in a home
// that everybody may enter.
func TestAnotherUserTakesNothing(t *testing.T) {
	home, err := os.MkdirTemp("", "daypass-test-")
	must(t, err)
	defer os.RemoveAll(home)
	dir := filepath.Join(home, "state")
	s := Open(dir, os.Getenv, nil)
	l, key := storeLogin(t, s, "file", "v1")
	err = errors.Join(l.Seal(key, "role", nil), os.Chmod(home, 0o755), os.WriteFile(filepath.Join(home, "public"), nil, 0o644),
		os.Chmod(dir, 0o777)) // as a careless copy would leave it
	lock, lockErr := Locks{Dir: dir}.TryLock("login")
	must(t, errors.Join(err, lockErr))
	defer lock.Unlock()
	var files []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		files = append(files, path)
		return err
	})
	if err != nil || len(files) < 8 {
		t.Fatalf("%q, %v", files, err)
	}
	asSomebody(t, func() {
		if f, err := os.Open(filepath.Join(home, "public")); err != nil {
			t.Errorf("the home cannot be entered, so the test says nothing: %v", err)
		} else {
			f.Close()
		}
		for _, path := range files {
			if f, err := os.Open(path); !errors.Is(err, fs.ErrPermission) {
				f.Close()
				t.Errorf("%s can be opened: %v", path, err)
			}
			if err := os.Rename(path, path+"-taken"); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s can be replaced: %v", path, err)
			}
		}
	})
}

// A bus of another user's gets nothing to read, and is not a bus.
func TestForeignBus(t *testing.T) {
	heard := make(chan int64, 4)
	var listener net.Listener
	asSomebody(t, func() {
		var err error
		if listener, err = net.Listen("unix", "@daypass-test-"+newID()); err != nil {
			t.Error(err)
		}
	})
	if listener == nil {
		return
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, conn)
			heard <- n
		}
	}()
	address := "unix:abstract=" + strings.TrimPrefix(listener.Addr().String(), "@")
	noService(t, serviceAt(t, address), errNoBus.Error()+": the one that is found belongs to user id 12345")
	for range cap(heard) {
		if n := <-heard; n != 0 {
			t.Errorf("it was sent %d bytes", n)
		}
	}
}

func TestSilentBus(t *testing.T) {
	hungUp := make(chan error, 3)
	s := serviceAt(t, listen(t, func(conn net.Conn) {
		_, err := io.Copy(io.Discard, conn)
		hungUp <- err
	}))
	s.read = 50 * time.Millisecond
	ctx, cancel := bounded(t.Context(), 150*time.Millisecond)
	defer cancel()
	_, getErr := s.Get(ctx, "k")
	for _, err := range []error{getErr, s.Set(ctx, "k", "label", nil), s.Remove(ctx, "k")} {
		wantUnreachable(t, "silent bus", err, false, "no answer within")
	}
	for range 2 { // the third call came too late to connect at all
		select {
		case <-hungUp:
		case <-time.After(5 * time.Second):
			t.Error("a connection that came to nothing is left open")
		}
	}
}
