package command

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// A browser that does not start is none: without a terminal process says so at once,
// and on a terminal nobody reads of a tab.
func TestBrowserThatDoesNotStart(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.write(".aws/config", l.config())
	l.install()
	l.env["BROWSER"] = "no-such-firefox"

	cmd := exec.Command(l.installed(), "process", "--profile", "dev")
	cmd.Env, cmd.SysProcAttr = l.environ(), &syscall.SysProcAttr{Setsid: true} // without a terminal
	output, _ := cmd.CombinedOutput()
	if want := `daypass: profile dev needs a login, but the browser did not start ("no-such-firefox": not found in PATH).`; cmd.ProcessState.ExitCode() != 3 || !strings.HasPrefix(string(output), want) {
		t.Errorf("%v\n%s", cmd.ProcessState, output)
	}

	l.box.AutoApprove("taro")
	if code, seen := l.terminal("login", "--profile", "dev").end(); code != 0 || !strings.Contains(seen, "user_code=") || strings.Contains(seen, "tab opened") {
		t.Errorf("exit %d\n%s", code, seen)
	}
}
