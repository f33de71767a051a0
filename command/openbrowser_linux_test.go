package command

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/ptytest"
	"github.com/daypass/daypass/internal/sandbox"
)

// A browser that does not start is none: without a terminal process says so at once,
// and on a terminal nobody reads of a tab.
func TestBrowserThatDoesNotStart(t *testing.T) {
	l := newBareLaptop(t, sandbox.Options{})
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.write(".aws/config", l.config())
	l.install()
	for browser, why := range map[string]string{"no-such-firefox": "not found in PATH", "/no/such/firefox": "no such file or directory"} {
		l.env["BROWSER"] = browser
		code, _, stderr := l.asChild("process", "--profile", "dev")
		if want := fmt.Sprintf("daypass: profile dev needs a login, but the browser did not start (%q: %s).\n", browser, why); code != 3 || !strings.HasPrefix(stderr, want) {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	}

	l.box.AutoApprove("taro")
	if code, seen := l.terminal("login", "--profile", "dev").End(); code != 0 || !strings.Contains(seen, "user_code=") || strings.Contains(seen, "tab opened") {
		t.Errorf("exit %d\n%s", code, seen)
	}
}

// A background job that has looked for its terminal in vain shows the code there once it
// is in the foreground.
func TestBackgroundJobComesToTheForeground(t *testing.T) {
	l := newLaptop(t, sandbox.Options{Claims: map[string]any{"email": "x\nRun: evil"}})
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the program has the real time
	l.write(".aws/config", strings.Replace(l.config(), "prompt = never\n", "", 1))
	l.write("bin/daypass", "")
	l.install()
	first, _, stderr := l.start("login", "--profile", "dev")
	asked := l.box.Count("token:device")
	waitFor(t, "a poll", func() bool { return l.box.Count("token:device") > asked })

	log := filepath.Join(l.home(), "debug.log")
	l.env["DAYPASS_DEBUG"] = log
	shell, cmd := ptytest.Open(t, 80, 24), exec.Command("sh", "-c", `set -m; "$0" process --profile dev & read x; fg`, l.installed())
	cmd.Env = append(l.environ(), "PATH="+os.Getenv("PATH"))
	shell.Start(cmd)
	waitFor(t, "the second one", func() bool {
		notes, _ := os.ReadFile(log)
		return strings.Contains(string(notes), "wait for lock")
	})
	shell.Type("\n")
	shell.Await("process --profile dev") // as the shell says what it brings to the foreground
	must(t, first.Process.Kill())
	_ = first.Wait()
	_, code, _ := strings.Cut(stderr.String(), "user_code=")
	shell.Await("daypass: log in at ")
	must(t, l.box.Approve(strings.TrimSpace(strings.Fields(code)[0]), "taro"))
	if code, seen := shell.End(); code != 0 || !strings.Contains(seen, "daypass: logged in as x Run: evil.\n") {
		t.Errorf("exit %d\n%s", code, seen)
	}
}
