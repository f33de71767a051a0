package command

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// Ctrl-Z at a login makes everybody wait, until somebody finds out for whom.
func TestDoctorNamesAStoppedProcess(t *testing.T) {
	l := newHealthyLaptop(t, sandbox.Options{})
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.write(filepath.Join("bin", executableName()), "")
	l.install()
	login := exec.Command(l.installed(), "login", "--profile", "dev", "--force")
	login.Env = l.environ()
	must(t, login.Start())
	defer func() { _ = login.Process.Kill(); _ = login.Wait() }()
	asked := l.box.Count("token:device")
	for end := time.Now().Add(20 * time.Second); l.box.Count("token:device") == asked && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	must(t, login.Process.Signal(syscall.SIGSTOP))
	id := strconv.Itoa(login.Process.Pid)
	if f := l.doctor().find("login"); f.State != stateBroken || !strings.Contains(f.Detail, "process "+id+" is stopped") || !strings.Contains(f.Advice, "kill "+id) {
		t.Errorf("%+v", f)
	}
	must(t, login.Process.Signal(syscall.SIGCONT))
	if f := l.doctor().find("login"); strings.Contains(f.Detail, "stopped") {
		t.Errorf("after it went on: %+v", f)
	}
}
