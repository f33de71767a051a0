//go:build e2e && linux

package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// hangTime is how long a part of the rig may take until it is of use before it
	// is started again, and startTime how long it may take then.
	hangTime  = 20 * time.Second
	startTime = time.Minute
	// endTime is how long it may take to end when it is asked to.
	endTime = 10 * time.Second
)

// daemon is a part of the rig that runs until the test ends, or until stop.
type daemon struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr said
	ended          chan struct{}
	stopping       sync.Once
}

// part says how a part of the rig is started.
type part struct {
	command func() *exec.Cmd // anew for each start
	ready   func(*daemon) bool
	what    string // it does when it is ready, for errors
}

// startDaemon starts a part of the rig and waits until it is ready. One that hangs
// is started again, once: node and others now and then do not get to their first
// line on a busy machine.
func startDaemon(t *testing.T, p part) *daemon {
	t.Helper()
	d := launchDaemon(t, p.command())
	if d.await(hangTime, p) {
		return d
	}
	t.Logf("%s is started again: %v passed before %s. %s", d.name(), hangTime, p.what, d.report())
	d.stopping.Do(d.kill)
	d = launchDaemon(t, p.command())
	if !d.await(startTime, p) {
		t.Fatalf("%s: %v passed before %s. %s", d.name(), startTime, p.what, d.report())
	}
	return d
}

// launchDaemon starts a part of the rig, and does not wait until it is of use.
func launchDaemon(t *testing.T, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &d.stdout, &d.stderr
	cmd.WaitDelay = endTime
	// A test binary that is killed takes its daemons along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	go func() {
		defer close(d.ended)
		_ = cmd.Wait() // it says that it was ended
	}()
	t.Cleanup(d.stop)
	return d
}

// await polls until the daemon is ready, and returns false if that takes too long.
// The test fails if it ends instead.
func (d *daemon) await(atMost time.Duration, p part) bool {
	d.t.Helper()
	for end := time.Now().Add(atMost); !p.ready(d); time.Sleep(10 * time.Millisecond) {
		select {
		case <-d.ended:
			if !p.ready(d) {
				d.t.Fatalf("%s ended before %s", d.name(), p.what) // and why, says stop
			}
			return true
		default:
		}
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// stop ends the daemon, and waits for its end. One that has ended by itself, or
// has to be killed, fails the test.
func (d *daemon) stop() {
	d.stopping.Do(func() {
		select {
		case <-d.ended:
			d.t.Errorf("%s had ended by itself (%v). %s", d.name(), d.cmd.ProcessState, d.report())
			return
		default:
		}
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
			return
		case <-time.After(endTime):
		}
		d.t.Errorf("%s does not end %v after SIGTERM. %s", d.name(), endTime, d.report())
		d.kill()
	})
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	select {
	case <-d.ended:
	case <-time.After(2 * endTime): // twice WaitDelay
		d.t.Errorf("%s does not end %v after SIGKILL. %s", d.name(), 2*endTime, d.report())
	}
}

// crashed reports whether the daemon has ended by itself with a certain error, of
// which the rig knows: it does not fail the test.
func (d *daemon) crashed(of string) bool {
	select {
	case <-d.ended:
	default:
		return false
	}
	if !strings.Contains(d.stderr.String(), of) {
		return false
	}
	d.stopping.Do(func() {})
	return true
}

func (d *daemon) name() string { return filepath.Base(d.cmd.Path) }

// report is what can be told of a daemon that does not do what it should.
func (d *daemon) report() string {
	return "It said:\n" + d.stdout.String() + d.stderr.String()
}

// said is what a program has written so far.
type said struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}

// await polls until a condition holds, for half a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited 30 s in vain for %s", what)
		}
	}
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// read returns what a file holds, which may not be there yet.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err) // not Fatal: other goroutines are here
	}
	return string(data)
}
