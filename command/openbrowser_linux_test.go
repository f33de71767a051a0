package command

import (
	"fmt"
	"strings"
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
