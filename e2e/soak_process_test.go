//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// runOne runs one command on one profile, and perhaps ends it at a random moment.
// Whatever the storm does, it must end in time, and as documented.
func (s *storm) runOne(random *rand.Rand) {
	profiles := s.profiles()
	profile := profiles[random.IntN(len(profiles))]
	argv := []string{installed.daypass, "process", "--profile", profile}
	switch random.IntN(10) {
	case 0:
		argv = []string{installed.daypass, "exec", "--profile", profile, "--", "true"}
	case 1:
		argv = []string{installed.daypass, "status", "--profile", profile}
	case 2:
		argv = []string{installed.daypass, "token", "--profile", profile}
	}
	cmd := s.command(argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	if random.IntN(3) == 0 {
		signal := s.weather.signals[random.IntN(len(s.weather.signals))]
		after := time.Duration(random.IntN(600)) * time.Millisecond
		defer time.AfterFunc(after, func() { s.signal(cmd.Process, signal) }).Stop()
	}
	// process has 20 s, and an exchange is not cut off.
	tooLong := time.AfterFunc(100*time.Second, func() {
		s.t.Errorf("%q hangs. %s", argv, standing(cmd.Process.Pid))
		_ = cmd.Process.Kill()
	})
	err := cmd.Wait()
	ended := time.Now()
	tooLong.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Errorf("%q: %v", argv, err)
	}
	code := cmd.ProcessState.ExitCode()

	s.mu.Lock()
	signal, signaled := s.signaled[cmd.Process.Pid]
	delete(s.signaled, cmd.Process.Pid)
	if signal == syscall.SIGKILL && code != -1 {
		signal = 0 // it had ended before
	}
	s.log.processEnded(cmd.Process.Pid, signal)
	s.runs++
	s.exits[code]++
	s.mu.Unlock()

	s.show(stderr.String())
	s.person.read(stderr.String())
	s.checkEnd(argv, code, signaled, signal, stdout.String(), stderr.String(), ended)
}

// checkEnd checks exit code and output of one process.
func (s *storm) checkEnd(argv []string, code int, signaled bool, signal syscall.Signal, stdout, stderr string, ended time.Time) {
	expected := false
	switch code {
	case 0, 3, 4, 5, 6, 7:
		expected = true
	case -1:
		expected = signaled // SIGKILL, or another one before main has begun
	case 129, 130, 143: // of several signals, the first counts
		expected = signaled
	}
	lines := strings.Count(stderr, "\n")
	if !expected || lines > 3 || code == 0 && lines > 0 || code > 0 && lines == 0 {
		s.t.Errorf("%q: exit code %d, signal %v, standard error:\n%s", argv, code, signal, stderr)
	}
	if code > 0 && stdout != "" && argv[1] != "status" {
		s.t.Errorf("%q: exit code %d with %d bytes on standard output", argv, code, len(stdout))
	}
	var document version1
	if argv[1] == "process" && (code == 0 || stdout != "") {
		printed := ended.Add(-3 * time.Second) // at most: on a busy machine its end is seen late
		if err := json.Unmarshal([]byte(stdout), &document); err != nil || document.Version != 1 || document.SessionToken == "" || !document.Expiration.After(printed) {
			s.t.Errorf("%q: standard output of %d bytes is no document with credentials that last (until %v, at %v), %v", argv, len(stdout), document.Expiration, ended, err)
		}
	}
}
