//go:build e2e && linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a command in the foreground.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	seen bytes.Buffer
	read chan struct{} // closed when nobody has the terminal open any more
}

// startInTerminal starts cmd as the leader of a session whose terminal is a new
// pseudo-terminal of 100 columns and 50 rows. Descriptors that cmd leaves nil
// are the terminal.
func startInTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, slave, err := openPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	if cmd.Stdin == nil {
		cmd.Stdin = slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = slave
	}
	cmd.ExtraFiles = []*os.File{slave} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	term := &terminal{t: t, master: master, cmd: cmd, read: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go term.copy()
	t.Cleanup(func() { _ = master.Close() }) // hangs up on what is still there
	return term
}

// openPTY opens a new pseudo-terminal, see pty(7).
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 100})
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// copy keeps what is written to the terminal, until its last user closes it.
func (term *terminal) copy() {
	defer close(term.read)
	buffer := make([]byte, 4096)
	for {
		n, err := term.master.Read(buffer)
		term.mu.Lock()
		term.seen.Write(buffer[:n])
		term.mu.Unlock()
		if err != nil {
			return // EIO: no process has the terminal open
		}
	}
}

// screen returns everything that was written to the terminal so far.
func (term *terminal) screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.ReplaceAll(term.seen.String(), "\r\n", "\n")
}

// waitFor waits until the terminal shows what the expression matches, and
// returns the match and its groups.
func (term *terminal) waitFor(expression string) []string {
	term.t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if match := re.FindStringSubmatch(term.screen()); match != nil {
			return match
		}
		if time.Now().After(end) {
			term.t.Fatalf("the terminal did not show %q within 30 s, but:\n%s", expression, term.screen())
		}
	}
}

// press types keys.
func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// wait waits for the command's end and returns its exit code.
func (term *terminal) wait() int {
	term.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = term.cmd.Wait() // the code says it
	}()
	for _, end := range []chan struct{}{ended, term.read} {
		select {
		case <-end:
		case <-time.After(90 * time.Second):
			report := standing(term.cmd.Process.Pid)
			_ = term.cmd.Process.Kill()
			term.t.Fatalf("%q did not leave the terminal within 90 s:\n%s%s", term.cmd.Args, term.screen(), report)
		}
	}
	return term.cmd.ProcessState.ExitCode()
}
