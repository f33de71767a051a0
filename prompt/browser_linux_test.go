package prompt

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// opened is what a browser finds when it is started.
type opened struct {
	PID, Session int
	Arguments    []string
	Descriptors  map[string]string // where each one leads
}

// recordAndStay is a browser: it records how it was started in the file
// PROMPT_TEST_RECORD and goes on for a while.
func recordAndStay() {
	session, err := unix.Getsid(0)
	found := opened{PID: os.Getpid(), Session: session, Arguments: os.Args[1:], Descriptors: map[string]string{}}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/fs/cgroup/") { // the Go runtime's own
			found.Descriptors[entry.Name()] = target
		}
	}
	data, _ := json.Marshal(found)
	record := os.Getenv("PROMPT_TEST_RECORD")
	if err != nil || os.WriteFile(record+".part", data, 0o600) != nil || os.Rename(record+".part", record) != nil {
		os.Exit(1)
	}
	time.Sleep(time.Minute)
}

// browserCommand returns a command that starts a browser, and the function that
// waits for it, reads its record and ends it.
func browserCommand(t *testing.T) (command []string, found func() opened) {
	t.Helper()
	record := filepath.Join(t.TempDir(), "record")
	command = []string{"env", "PROMPT_TEST_ROLE=browser", "PROMPT_TEST_RECORD=" + record, os.Args[0]}
	return command, func() opened {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		data, err := os.ReadFile(record)
		for ; errors.Is(err, fs.ErrNotExist); data, err = os.ReadFile(record) {
			if time.Now().After(deadline) {
				t.Fatal("no browser was started")
			}
			time.Sleep(5 * time.Millisecond)
		}
		var o opened
		must(t, json.Unmarshal(data, &o))
		if err := syscall.Kill(o.PID, syscall.SIGKILL); err != nil {
			t.Errorf("the browser is gone: %v", err)
		}
		return o
	}
}

func TestOpenerIsDetached(t *testing.T) {
	// Two descriptors that a caller could have left open in us.
	var inherited [2]int
	must(t, syscall.Pipe(inherited[:]))
	defer syscall.Close(inherited[0])
	defer syscall.Close(inherited[1])

	started := func(_ context.Context, d time.Duration) error {
		if d != 2*time.Second {
			t.Errorf("it is given %v", d)
		}
		return nil
	}
	for _, test := range []struct {
		name  string
		start func(t *testing.T, command []string) error
	}{
		{"a command, and Ctrl-C, which does not wait for it", func(t *testing.T, command []string) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return Browser{Command: append(command, "{url}"), Self: "self-must-not-start", Sleep: never}.Open(ctx, link)
		}},
		{"the system's, through this executable", func(t *testing.T, command []string) error {
			program := filepath.Join(t.TempDir(), "xdg-open")
			must(t, os.WriteFile(program, []byte("#!/bin/sh\nexec '"+strings.Join(command, "' '")+"' \"$@\"\n"), 0o700))
			t.Setenv("PATH", filepath.Dir(program)+":"+os.Getenv("PATH"))
			t.Setenv("PROMPT_TEST_ROLE", "opener")
			return Browser{Self: os.Args[0], Getenv: environment(nil), Sleep: started}.Open(t.Context(), link)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			command, found := browserCommand(t)
			must(t, test.start(t, command))
			got := found()
			if diff := cmp.Diff([]string{link}, got.Arguments); diff != "" {
				t.Errorf("arguments (-want +got)\n%s", diff)
			}
			want := map[string]string{"0": os.DevNull, "1": os.DevNull, "2": os.DevNull}
			if diff := cmp.Diff(want, got.Descriptors); diff != "" {
				t.Errorf("descriptors (-want +got)\n%s", diff)
			}
			if own, err := unix.Getsid(0); err != nil || got.Session == own {
				t.Errorf("it runs in our session %d, %v", own, err)
			}
			for deadline := time.Now().Add(5 * time.Second); syscall.Kill(got.PID, 0) == nil; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it is left as a zombie")
				}
			}
		})
	}

	for _, fd := range inherited {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			t.Errorf("descriptor %d is no longer handed on to other children: flags %#x, %v", fd, flags, err)
		}
	}
}

// An opener that ends with an error was no browser; one that ends well handed the
// address to a browser that was open already.
func TestOpenerThatEnds(t *testing.T) {
	for command, want := range map[string]string{
		"exit 0":              "",
		"sleep 0.1; exit 3":   `"sh -c sleep 0.1; exit 3 {url}": it ended at once (exit status 3)`,
		"kill -s SEGV \"$$\"": `it ended at once (signal: segmentation fault)`,
	} {
		err := Browser{Command: []string{"sh", "-c", command, "{url}"}, Sleep: never}.Open(t.Context(), link)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", command, err, want)
		}
	}
}

func TestSystemArguments(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	here := Browser{Self: "/bin/daypass", Getenv: environment(nil)}
	if _, err := here.systemArguments(link); err == nil || !strings.Contains(err.Error(), "xdg-open") {
		t.Errorf("without any program: %v, want an error that names them", err)
	}
	for _, program := range []string{"x-www-browser", "rundll32.exe"} {
		must(t, os.WriteFile(filepath.Join(folder, program), nil, 0o700))
	}
	argv, err := here.systemArguments(link)
	if diff := cmp.Diff([]string{"/bin/daypass", "open-browser", link}, argv); diff != "" || err != nil {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	here.Getenv = environment(map[string]string{"WSL_DISTRO_NAME": "Debian"})
	argv, err = here.systemArguments(link)
	if err != nil || len(argv) != 3 || filepath.Base(argv[0]) != "rundll32.exe" || argv[2] != link {
		t.Errorf("on WSL: %q, %v", argv, err)
	}
}
