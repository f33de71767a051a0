//go:build e2e && linux

package e2e

import (
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/ptytest"
)

// terminal is a terminal with a command in the foreground.
type terminal struct {
	*ptytest.Terminal
	t   *testing.T
	cmd *exec.Cmd
}

// startInTerminal starts cmd on a terminal of 100 columns and 50 rows. Descriptors
// that cmd leaves nil are the terminal.
func startInTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	term := &terminal{ptytest.Open(t, 100, 50), t, cmd}
	must(t, term.Start(cmd))
	return term
}

// waitFor waits until the terminal shows what the expression matches, and
// returns the match and its groups.
func (term *terminal) waitFor(expression string) []string {
	term.t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if match := re.FindStringSubmatch(term.Screen()); match != nil {
			return match
		}
		if time.Now().After(end) {
			term.t.Fatalf("the terminal did not show %q within 30 s, but:\n%s", expression, term.Screen())
		}
	}
}

// press types keys.
func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.Master.WriteString(keys); err != nil {
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
	for _, end := range []chan struct{}{ended, term.Left} {
		select {
		case <-end:
		case <-time.After(90 * time.Second):
			_ = term.cmd.Process.Kill()
			term.t.Fatalf("%q did not leave the terminal within 90 s:\n%s", term.cmd.Args, term.Screen())
		}
	}
	return term.cmd.ProcessState.ExitCode()
}
