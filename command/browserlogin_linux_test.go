package command

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// browserLaptop is a laptop with real processes and a browser that writes down what it
// is told to open, at a provider without a device endpoint.
type browserLaptop struct {
	*laptop
	tabsFile string
}

func newBrowserLaptop(t *testing.T, o sandbox.Options) *browserLaptop {
	t.Helper()
	o.OmitDeviceEndpoint = true
	l := &browserLaptop{laptop: newLaptop(t, o)}
	l.box.Set(func(o *sandbox.Options) { o.Now = nil }) // the programs have the real time
	l.tabsFile = filepath.Join(l.home(), "tabs")
	l.write("browser", "#!/bin/sh\necho \"$1\" >> "+l.tabsFile+"\n")
	must(t, os.Chmod(filepath.Join(l.home(), "browser"), 0o700))
	l.write("bin/daypass", "")
	l.install()
	l.env["BROWSER"] = filepath.Join(l.home(), "browser")
	l.env["PATH"] = os.Getenv("PATH")
	return l
}

// tabs are the addresses that the browser was told to open; it waits for the first n.
func (l *browserLaptop) tabs(n int) (tabs []string) {
	l.t.Helper()
	waitFor(l.t, "the tab", func() bool {
		data, _ := os.ReadFile(l.tabsFile)
		tabs = strings.Fields(string(data))
		return len(tabs) >= n && strings.HasSuffix(string(data), "\n")
	})
	return tabs
}

// request is one request of a browser.
func request(t *testing.T, method, address string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	must(t, err)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	must(t, err)
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// answer is the person in the tab: it returns the redirect, and does not follow it.
func (l *browserLaptop) answer(tab, user string) string {
	l.t.Helper()
	start := request(l.t, http.MethodGet, tab)
	back, err := l.box.Authorize(start.Header.Get("Location"), user)
	if err != nil {
		l.t.Fatalf("status %d, and the provider's page says: %v", start.StatusCode, err)
	}
	return back
}

// helpers are the ids of the running helpers of this laptop.
func (l *browserLaptop) helpers() []string {
	var found []string
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(folder, "environ"))
		if strings.Contains(string(line), "\x00browser-login\x00") && strings.Contains(string(env), "HOME="+l.home()+"\x00") {
			found = append(found, filepath.Base(folder))
		}
	}
	return found
}

func (l *browserLaptop) awaitNoHelper() {
	l.t.Helper()
	waitFor(l.t, "the end of the helpers", func() bool { return len(l.helpers()) == 0 })
}

// A caller that an SDK kills leaves a helper that holds nothing of the SDK's and knows
// no secret by argument or environment; the person finishes, and the next call needs
// nobody.
func TestCallerIsKilledWhileTheBrowserIsOpen(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	cmd, _, _ := l.start("process", "--profile", "dev")
	tab := l.tabs(1)[0]
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // returns although the helper lives: it does not hold our pipes
	helpers := l.helpers()
	if len(helpers) != 1 {
		t.Fatalf("helpers %v, want one", helpers)
	}
	proc := filepath.Join("/proc", helpers[0])
	if null, err := os.Readlink(proc + "/fd/2"); err != nil || null != os.DevNull {
		t.Errorf("its stderr is %q (%v)", null, err)
	}
	for _, file := range []string{"cmdline", "environ"} {
		data, _ := os.ReadFile(filepath.Join(proc, file))
		for _, secret := range append(l.box.Issued(), tab, "state", "code_verifier") {
			if strings.Contains(string(data), secret) {
				t.Errorf("its %s holds %s", file, secret)
			}
		}
	}
	last := request(t, http.MethodGet, l.answer(tab, "taro"))
	if last.StatusCode != http.StatusSeeOther {
		t.Errorf("the redirect got status %d", last.StatusCode)
	}
	delete(l.env, "BROWSER")
	if code, stdout, stderr := l.asChild("process", "--profile", "dev"); code != 0 || !strings.Contains(stdout, "SecretAccessKey") || stderr != "" {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	l.awaitNoHelper()
}

// However many processes ask at once, there is one authorization and one tab.
func TestCrowdInTheBrowser(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	const callers = 10
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for range callers {
		cmd, stdout, _ := l.start("process", "--profile", "dev")
		all, outs = append(all, cmd), append(outs, stdout)
	}
	request(t, http.MethodGet, l.answer(l.tabs(1)[0], "taro"))
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil || outs[i].String() != outs[0].String() {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if tabs := l.tabs(1); len(tabs) != 1 || l.box.Count("token:code") != 1 || l.box.Count("sts") != 1 {
		t.Errorf("%d tabs, %d redeemed codes", len(tabs), l.box.Count("token:code"))
	}
}

// SIGKILL of the helper ends the wait, and the next call starts anew, once.
func TestHelperIsKilled(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	for try := 1; try <= 3; try++ {
		cmd, _, stderr := l.start("process", "--profile", "dev")
		if try < 3 {
			l.tabs(try)
			var pid int
			if _, err := fmt.Sscan(l.helpers()[0], &pid); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
				t.Fatalf("helper %v", l.helpers())
			}
		}
		_ = cmd.Wait()
		want := "daypass: the login in the browser ended before it was finished.\n"
		if try == 3 {
			want = "daypass: nobody answered the login of "
		}
		if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("call %d: exit %d\n%s", try, code, stderr)
		}
	}
	if tabs := l.tabs(2); len(tabs) != 2 || slices.Contains(tabs[1:], tabs[0]) {
		t.Errorf("tabs %q", tabs)
	}
}

// Ctrl-C at daypass login ends the helper: nobody waits for the tab any more.
func TestCtrlCEndsTheBrowserLogin(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	cmd, _, stderr := l.start("login", "--profile", "dev")
	l.tabs(1)
	must(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "\n  in the browser tab that was opened\n") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	l.awaitNoHelper()
}

// Whoever waits on a terminal is told of the tab; a logout ends the helper.
func TestWaitingForATab(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	first, _, _ := l.start("process", "--profile", "dev")
	tab := l.tabs(1)[0]
	p := l.terminal("process", "--profile", "dev")
	p.answer("daypass: finish in the browser tab that was opened at ", "")
	if _, out, _ := l.asChild("status", "--profile", "dev"); !strings.Contains(out, "a login in the browser, good until") || strings.Contains(out, "state=") {
		t.Errorf("status:\n%s", out)
	}
	request(t, http.MethodGet, l.answer(tab, "taro"))
	if code, seen := p.End(); code != 0 {
		t.Errorf("exit %d\n%s", code, seen)
	}
	if err := first.Wait(); err != nil {
		t.Error(err)
	}

	again, _, _ := l.start("login", "--force", "--profile", "dev")
	l.tabs(2)
	if code, _, stderr := l.asChild("logout", "--profile", "dev"); code != 0 {
		t.Errorf("logout: exit %d\n%s", code, stderr)
	}
	l.awaitNoHelper()
	if _ = again.Wait(); again.ProcessState.ExitCode() != 3 {
		t.Errorf("login, after the logout: exit %d", again.ProcessState.ExitCode())
	}
}

// Without a browser there is the paste: of an address that is not the answer nothing
// comes, and the right one is not shown.
func TestPastedRedirect(t *testing.T) {
	t.Parallel()
	l := newBrowserLaptop(t, sandbox.Options{})
	delete(l.env, "BROWSER")
	p := l.terminal("login", "--profile", "dev")
	code, seen := p.End()
	pipeCode, _, pipeSeen := l.asChild("login", "--no-browser", "--profile", "dev") // where nothing can be pasted
	for seen, code := range map[string]int{seen: code, pipeSeen: pipeCode} {
		if code != 3 || !strings.Contains(seen, "Run in a terminal: daypass login --no-browser --profile dev") {
			t.Errorf("without a browser: exit %d\n%s", code, seen)
		}
	}
	if code, _, stderr := l.asChild("login", "--no-browser", "--profile", "dev"); code != 3 || !strings.Contains(stderr, "Run in a terminal: daypass login --no-browser --profile dev") {
		t.Errorf("without a terminal: exit %d\n%s", code, stderr)
	}
	p = l.terminal("login", "--no-browser", "--profile", "dev")
	p.answer("Open it in any browser, then paste the address where it ends up.", "")
	address := ""
	for word := range strings.FieldsSeq(p.Screen()) {
		if strings.HasPrefix(word, l.box.URL+"/idp/authorize?") {
			address = word
		}
	}
	back, err := l.box.Authorize(address, "taro")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"x", strings.Replace(back, "state=", "state=x", 1), strings.Replace(back, "callback", "other", 1)} {
		p.answer("(not shown): ", wrong+"\n")
		p.answer("daypass: that address cannot be used: ", "")
	}
	p.answer("(not shown): ", back+"\n")
	code, seen = p.End()
	if code != 0 || !strings.Contains(p.stdout.String(), "logged in to corp as taro@example.com; renews by itself.") || strings.Contains(seen, "code=") {
		t.Errorf("exit %d\n%s\n%s", code, p.stdout.String(), seen)
	}
}
