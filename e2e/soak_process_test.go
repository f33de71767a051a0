//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"
)

// runOne runs one command on one profile, and perhaps ends it at a random moment.
// Whatever the storm does, it must end in time, and as documented.
func (s *storm) runOne(random *rand.Rand) {
	profile := s.profiles[random.IntN(len(s.profiles))]
	argv := []string{installed.daypass, "process", "--profile", profile}
	switch random.IntN(10) {
	case 0:
		argv = []string{installed.daypass, "exec", "--profile", profile, "--", "true"}
	case 1:
		argv = []string{installed.daypass, "status", "--profile", profile}
	case 2:
		argv = []string{installed.daypass, "token", "--profile", profile}
	}
	running := s.start(argv...)
	pid := running.Process.Pid
	if random.IntN(3) == 0 {
		signal := s.weather.signals[random.IntN(len(s.weather.signals))]
		after := time.Duration(random.IntN(600)) * time.Millisecond
		defer time.AfterFunc(after, func() { s.signal(running.Process, signal) }).Stop()
	}
	r := running.end() // process has 20 s, and an exchange is not cut off
	ended := time.Now()

	s.mu.Lock()
	signal, signaled := s.signaled[pid]
	delete(s.signaled, pid)
	if signal == syscall.SIGKILL && r.code != -1 {
		signal = 0 // it had ended before
	}
	s.log.processEnded(pid, signal)
	s.runs++
	s.exits[r.code]++
	s.mu.Unlock()

	s.checkEnd(argv, r, signaled, signal, ended)
}

// checkEnd checks exit code and output of one process.
func (s *storm) checkEnd(argv []string, r result, signaled bool, signal syscall.Signal, ended time.Time) {
	expected := slices.Contains([]int{0, 3, 4, 5, 6, 7}, r.code)
	if signaled { // -1: SIGKILL, or another one before main has begun; of several signals, the first counts
		expected = expected || slices.Contains([]int{-1, 129, 130, 143}, r.code)
	}
	lines := strings.Count(r.stderr, "\n")
	if !expected || lines > 3 || r.code == 0 && lines > 0 || r.code > 0 && lines == 0 {
		s.t.Errorf("%q: exit code %d, signal %v, standard error:\n%s", argv, r.code, signal, r.stderr)
	}
	if r.code > 0 && r.stdout != "" && argv[1] != "status" {
		s.t.Errorf("%q: exit code %d with %d bytes on standard output", argv, r.code, len(r.stdout))
	}
	var document version1
	if argv[1] == "process" && (r.code == 0 || r.stdout != "") {
		printed := ended.Add(-3 * time.Second) // at most: on a busy machine its end is seen late
		if err := json.Unmarshal([]byte(r.stdout), &document); err != nil || document.Version != 1 || document.SessionToken == "" || !document.Expiration.After(printed) {
			s.t.Errorf("%q: standard output of %d bytes is no document with credentials that last (until %v, at %v), %v", argv, len(r.stdout), document.Expiration, ended, err)
		}
	}
}
