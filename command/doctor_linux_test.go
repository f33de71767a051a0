package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// Ctrl-Z at a login or a doctor makes others wait, until somebody finds out for whom.
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
	waitFor(t, "a poll", func() bool { return l.box.Count("token:device") > asked })
	must(t, login.Process.Signal(syscall.SIGSTOP))
	id := strconv.Itoa(login.Process.Pid)
	if f := l.doctor().find("login"); f.State != stateBroken || !strings.Contains(f.Detail, "process "+id+" is stopped") || !strings.Contains(f.Advice, "kill "+id) {
		t.Errorf("%+v", f)
	}
	must(t, login.Process.Signal(syscall.SIGCONT))
	if f := l.doctor().find("login"); strings.Contains(f.Detail, "stopped") {
		t.Errorf("after it went on: %+v", f)
	}

	doctor := exec.Command("flock", filepath.Join(l.home(), ".local/state/daypass/doctor.lock"), "sh", "-c", "kill -STOP $PPID")
	must(t, doctor.Start())
	defer func() { _ = doctor.Process.Kill(); _ = doctor.Wait() }()
	id = strconv.Itoa(doctor.Process.Pid)
	waitFor(t, "a doctor that is stopped", func() bool {
		stat, _ := os.ReadFile("/proc/" + id + "/stat")
		return strings.Contains(string(stat), ") T ")
	})
	if f := l.doctor().find("keyring"); f.State != stateBroken || !strings.Contains(f.Detail, "process "+id+" is stopped") {
		t.Errorf("%+v", f)
	}
}
