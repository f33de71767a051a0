//go:build !windows

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// A signal at any moment of a renewal loses nothing: the exchange is finished and
// its refresh token stored before the process ends, and the next one needs no
// person. The moments: the request is sent, the answer is on its way, and random
// ones around the reading of the answer and the two stores that follow it.
func TestSignalsDuringARenewalLoseNothing(t *testing.T) {
	daypass := filepath.Join(t.TempDir(), "daypass") // as users run it
	if out, err := exec.Command("go", "build", "-o", daypass, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	box, err := sandbox.Start(sandbox.Options{Rotate: true, IDTokenLife: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	box.AutoApprove("taro")
	home := t.TempDir()
	run := func(during func(*os.Process), args ...string) (int, string) {
		t.Helper()
		cmd := exec.Command(daypass, append([]string{args[0], "--issuer", box.Issuer, "--client-id", box.ClientID, "--role-arn", box.RoleARN,
			"--sts-endpoint", box.STSEndpoint, "--storage", "file", "--prompt", "never"}, args[1:]...)...)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if during != nil {
			during(cmd.Process)
		}
		err := cmd.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), stderr.String()
	}
	if code, stderr := run(nil, "login"); code != 0 {
		t.Fatalf("login: exit %d\n%s", code, stderr)
	}

	interrupted := 0
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP} {
		for i := range 12 {
			// Tokens that have expired when they come: each process renews. The two
			// moments that can be met exactly first, then ever later ones.
			after := time.Duration(i-2) * 700 * time.Microsecond
			var victim atomic.Pointer[os.Process]
			kill := func() {
				if p := victim.Load(); p != nil {
					_ = p.Signal(signal)
				}
			}
			box.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/token") {
					return false
				}
				if i == 0 {
					kill()
				}
				box.Serve(w, r)
				if i == 1 {
					kill()
				}
				if i > 1 {
					time.AfterFunc(after, kill)
				}
				return true
			})
			line := []string{"process", "--duration", fmt.Sprint(3600 + i)}
			if (i+int(signal))%2 == 0 {
				line = []string{"exec", line[1], line[2], "--", "true"}
			}
			code, stderr := run(func(p *os.Process) { victim.Store(p) }, line...)
			if code == 128+int(signal) {
				interrupted++
			} else if code != 0 && code != 5 { // 5: STS calls the token expired, and the signal came too late
				t.Errorf("%v, %q, moment %d: exit %d\n%s", signal, line, i, code, stderr)
			}
		}
	}
	box.Intercept(nil)
	box.Set(func(o *sandbox.Options) { o.IDTokenLife = time.Hour })
	if code, stderr := run(nil, "process"); code != 0 {
		t.Errorf("after the signals: exit %d\n%s", code, stderr)
	}
	// The command of exec has the signals, and ends as it likes.
	ready := filepath.Join(home, "ready")
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1} {
		code, stderr := run(func(p *os.Process) {
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				if os.Remove(ready) == nil {
					break
				}
			}
			_ = p.Signal(signal)
		}, "exec", "--serve", "--", "sh", "-c", "trap 'exit 130' INT TERM HUP USR1; touch "+ready+"; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.5; done")
		if code != 130 {
			t.Errorf("%v, exec: exit %d\n%s", signal, code, stderr)
		}
	}
	// Ctrl-C ends it while it reads a file that does not end.
	pipe := filepath.Join(home, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stderr := run(func(p *os.Process) {
		writer, _ := os.OpenFile(pipe, os.O_WRONLY, 0) // when daypass reads
		time.AfterFunc(5*time.Second, func() { _ = writer.Close() })
		_ = p.Signal(os.Interrupt)
	}, "exec", "--env-file", pipe, "--", "true")
	if code != -1 || stderr != "" { // of a signal
		t.Errorf("exec that reads a pipe: exit %d\n%s", code, stderr)
	}
	if interrupted < 12 {
		t.Errorf("only %d of 48 processes were interrupted: the moments were missed", interrupted)
	}
	if n := box.Count("device"); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
	if n := box.Reused(); n != 0 {
		t.Errorf("%d refresh tokens were sent twice", n)
	}
}
