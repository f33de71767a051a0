//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/daypass/daypass/internal/sandbox"
)

// screen is the display of a computer, with GNOME's dialog for passwords on it,
// and hands at its keyboard.
type screen struct {
	t       *testing.T
	c       *computer
	xdotool string
	bus     *dbus.Conn

	marks chan struct{} // has an entry for each mark that the monitor has seen

	mu      sync.Mutex
	calls   map[string]int  // by method, of those that have to do with unlocking
	readers map[string]bool // by connection, of those that have looked for an item
}

// newLockedComputer starts a computer with a screen, on which the person has
// logged in for the profiles one and two, and not for other. Then the keyring was
// locked.
func newLockedComputer(t *testing.T) (*computer, *screen) {
	t.Helper()
	c := newComputer(t, nil, sandbox.Options{})
	c.writeConfig(c.section("corp", "storage = keyring"), c.profile("one", "corp"), c.profile("two", "corp")+
		c.section("another", "storage = keyring"), c.profile("other", "another"))
	c.startPerson()
	for _, profile := range []string{"one", "two"} {
		if r := c.process(profile); r.code != 0 {
			t.Fatalf("login: %+v", r)
		}
	}
	c.keyring.stop()
	s := startScreen(t, c)
	c.keyring = startKeyring(t, c.environ(), c.bus, "")
	return c, s
}

// startScreen starts an X server, and has the computer's bus start the dialog's
// program on it when that is first wanted, as a desktop's does.
func startScreen(t *testing.T, c *computer) *screen {
	t.Helper()
	s := &screen{t: t, c: c, marks: make(chan struct{}, 1), calls: map[string]int{}, readers: map[string]bool{}}
	s.xdotool = program(t, "xdotool")
	prompterPath := program(t, "/usr/libexec/gcr-prompter", "/usr/lib/gcr-prompter", "/usr/lib/gcr/gcr-prompter") // Debian's place, and others'
	c.env["DISPLAY"] = startXServer(t, program(t, "Xvfb"))

	services := filepath.Join(c.folder, "services")
	must(t, os.Mkdir(services, 0o700))
	const prompter = "org.gnome.keyring.SystemPrompter"
	write(t, filepath.Join(services, prompter+".service"), "[D-BUS Service]\nName="+prompter+"\nExec="+prompterPath+"\n")
	config := fmt.Sprintf(busConfig, filepath.Join(c.folder, "bus"))
	write(t, filepath.Join(c.folder, "bus.conf"), strings.Replace(config, "</busconfig>", "<servicedir>"+services+"</servicedir></busconfig>", 1))
	s.bus = connectBus(t, c.bus)
	must(t, s.bus.BusObject().Call("org.freedesktop.DBus.ReloadConfig", 0).Err)
	// With the computer's mark: it must be gone when the screen is.
	env := map[string]string{
		marker: c.folder, "DISPLAY": c.env["DISPLAY"], "HOME": c.env["HOME"], "XDG_RUNTIME_DIR": c.env["XDG_RUNTIME_DIR"], "LANG": "C.UTF-8",
		"GDK_BACKEND": "x11", "GSETTINGS_BACKEND": "memory", "GTK_IM_MODULE": "gtk-im-context-simple", "NO_AT_BRIDGE": "1",
	}
	must(t, s.bus.BusObject().Call("org.freedesktop.DBus.UpdateActivationEnvironment", 0, env).Err)
	s.watch()
	return s
}

// startXServer starts an X server that draws into memory, and returns its name.
func startXServer(t *testing.T, program string) (display string) {
	t.Helper()
	startDaemon(t, part{
		command: func() *exec.Cmd {
			return exec.Command(program, "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset")
		},
		ready: func(d *daemon) (named bool) {
			display, _, named = strings.Cut(d.stdout.String(), "\n")
			return named
		},
		what: "it named its display",
	})
	return ":" + display
}

// watch counts the calls on the bus that have to do with unlocking: Unlock, Prompt
// and Dismiss are said to the Secret Service; BeginPrompting, which raises a
// dialog, and PerformPrompt, which asks in it, to the dialog's program.
func (s *screen) watch() {
	s.t.Helper()
	monitor := connectBus(s.t, s.c.bus)
	rules := []string{
		"type='method_call',interface='org.freedesktop.Secret.Service'",
		"type='method_call',interface='org.freedesktop.Secret.Prompt'",
		"type='method_call',interface='org.gnome.keyring.internal.Prompter'",
		"type='method_call',member='GetId'", // the mark of counted
	}
	must(s.t, monitor.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, rules, uint32(0)).Err)
	messages := make(chan *dbus.Message, 1000)
	monitor.Eavesdrop(messages)
	go func() {
		for message := range messages {
			method, _ := message.Headers[dbus.FieldMember].Value().(string)
			if method == "GetId" {
				s.marks <- struct{}{}
				continue
			}
			sender, _ := message.Headers[dbus.FieldSender].Value().(string)
			s.mu.Lock()
			s.calls[method]++
			if method == "SearchItems" {
				s.readers[sender] = true
			}
			s.mu.Unlock()
		}
	}()
}

// counted returns how often a method was called so far.
func (s *screen) counted(method string) int {
	s.t.Helper()
	// What the monitor sees is in order.
	must(s.t, s.bus.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err)
	select {
	case <-s.marks:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the bus's monitor has ended")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// expect fails the test if there were not that many dialogs so far.
func (s *screen) expect(dialogs int, when string) {
	s.t.Helper()
	if n := s.counted("BeginPrompting"); n != dialogs {
		s.t.Errorf("%d dialogs %s, want %d", n, when, dialogs)
	}
	if n := s.counted("Prompt"); n != dialogs {
		s.t.Errorf("a dialog was wanted %d times %s, want %d", n, when, dialogs)
	}
}

// x runs xdotool. What it does not do is seen on the screen.
func (s *screen) x(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.xdotool, args...)
	cmd.Env = s.c.environ()
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

func (s *screen) showsDialog() bool {
	return s.x("search", "--onlyvisible", "--name", "^Unlock Login Keyring$") != ""
}

func (s *screen) awaitDialog() {
	s.t.Helper()
	await(s.t, "the keyring's dialog", s.showsDialog)
}

// press presses keys until what they do is seen: those that come before the dialog
// has the keyboard are lost.
func (s *screen) press(keys func(), what string, seen func() bool) {
	s.t.Helper()
	for range 5 {
		keys()
		for range 60 {
			if seen() {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	s.t.Fatalf("pressed keys in vain for %s", what)
}

// enter types a password in place of what is there.
func (s *screen) enter(password string) {
	s.x("key", "ctrl+a")
	s.x("type", password)
	s.x("key", "Return")
}

func (s *screen) unlock() {
	s.t.Helper()
	s.press(func() { s.enter(keyringPassword) }, "the dialog to go", func() bool { return !s.showsDialog() })
}

// lock locks the login collection, as a desktop does with its screen.
func (s *screen) lock() {
	s.t.Helper()
	err := s.bus.Object(secrets, secretsPath).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{loginCollection}).Err
	must(s.t, err)
}

// isLocked reports whether a collection is locked; it is not there if that fails.
func (s *screen) isLocked(collection dbus.ObjectPath) (bool, error) {
	locked, err := s.bus.Object(secrets, collection).GetProperty("org.freedesktop.Secret.Collection.Locked")
	return locked.Value() == true, err
}

// start starts daypass process for each profile at once, and waits until each has
// looked into the keyring: so it finds it locked. The function it returns waits
// for their ends.
func (s *screen) start(profiles ...string) (wait func() []result) {
	s.t.Helper()
	s.mu.Lock()
	clear(s.readers)
	s.mu.Unlock()
	results := make([]result, len(profiles))
	var all sync.WaitGroup
	for i, profile := range profiles {
		all.Go(func() { results[i] = s.c.process(profile) })
	}
	s.t.Cleanup(all.Wait)
	await(s.t, "each process to look into the keyring", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.readers) == len(profiles)
	})
	return func() []result { all.Wait(); return results }
}

// lockedOut fails the test unless a process found the keyring locked.
func lockedOut(t *testing.T, when string, r result) {
	t.Helper()
	const message = `^daypass: the keyring that (?:holds|would hold) the login of \w+ is locked[,:] .*\nUnlock it on the desktop, then repeat your command\.\n$`
	if r.code != 7 || r.stdout != "" || !regexp.MustCompile(message).MatchString(r.stderr) {
		t.Errorf("%s: exit code %d, want 7\n%s", when, r.code, r.stderr)
	}
}

// Whoever finds the keyring locked waits behind one dialog. The password, typed into
// it, serves them all, from what is in the keyring. A dialog that is left unlocks
// nothing, and is not raised again for those who waited behind it.
func TestUnlockDialog(t *testing.T) {
	t.Parallel()
	c, s := newLockedComputer(t)

	// Where a person wants to be left alone, or is not needed, no dialog is raised.
	c.say("status")
	c.say("doctor", "--profile", "one")
	c.env["CI"] = "true"
	lockedOut(t, "CI", c.process("one"))
	delete(c.env, "CI")
	if n := s.counted("Unlock"); n != 0 {
		t.Errorf("the keyring was asked %d times to unlock, want 0", n)
	}
	s.expect(0, "where nobody may be asked")

	before, devices := c.aws.Count(""), c.aws.Count("device")
	wait := s.start("one", "two", "one", "two", "one", "two")
	s.awaitDialog()
	s.press(func() { s.enter("not it") }, "the dialog to ask again", func() bool { return s.counted("PerformPrompt") > 1 })
	s.unlock()
	results := wait()
	for i, r := range results {
		if credentials(t, r) != credentials(t, results[i%2]) {
			t.Error("two processes of one profile have different credentials")
		}
	}
	s.expect(1, "for 6 processes")
	unlocks := s.counted("Unlock")
	credentials(t, c.process("one"))
	if n := s.counted("Unlock") - unlocks; n != 0 {
		t.Errorf("with the keyring open, process asked %d times to unlock it, want 0", n)
	}

	s.lock()
	wait = s.start("one", "two", "one", "two")
	s.awaitDialog()
	s.press(func() { s.x("key", "Escape") }, "the dialog to go", func() bool { return !s.showsDialog() })
	for _, r := range wait() {
		lockedOut(t, "the dialog was left", r)
	}
	if locked, err := s.isLocked(loginCollection); !locked {
		t.Errorf("the keyring is open, or gone: %v", err)
	}
	lockedOut(t, "the second process that some SDKs start", c.process("one"))
	s.expect(2, "after the keyring was locked once more")
	if n := c.aws.Count("") - before; n != 0 {
		t.Errorf("%d requests, want 0: the credentials were in the keyring", n)
	}

	// To somebody who types login it is raised.
	ended := make(chan result)
	go func() { ended <- c.say("login", "--profile", "one") }()
	s.awaitDialog()
	s.unlock()
	if r := <-ended; r.code != 0 {
		t.Errorf("login: exit code %d\n%s", r.code, r.stderr)
	}
	s.expect(3, "after login")
	if n := c.aws.Count("device") - devices; n != 0 {
		t.Errorf("%d new codes, want 0: the login was in the keyring", n)
	}
	credentials(t, c.process("two"))
}

// GNOME Keyring aborts when a prompt is dismissed while any dialog is shown. So
// neither a process that ends before its dialog, nor one beside it that has no
// display, dismisses anything. The dialog stays, and serves whoever comes next.
func TestUnlockDialogOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	c, s := newLockedComputer(t)
	before := c.aws.Count("")
	first := c.start(installed.daypass, "process", "--profile", "one")
	s.awaitDialog()

	display := c.env["DISPLAY"]
	delete(c.env, "DISPLAY")
	r := c.process("other") // of another login: it does not wait for the first
	c.env["DISPLAY"] = display
	lockedOut(t, "without a display", r)

	_ = first.Process.Signal(syscall.SIGINT)
	if r := first.end(); r.code != 130 {
		t.Errorf("exit code %d after Ctrl-C, want 130", r.code)
	}
	if locked, err := s.isLocked(loginCollection); !locked || !s.showsDialog() {
		t.Errorf("the dialog is gone, or the keyring: %v", err)
	}

	wait := s.start("one", "two")
	await(t, "the next process to ask", func() bool { return s.counted("Prompt") == 2 })
	s.unlock()
	for _, r := range wait() {
		credentials(t, r)
	}
	if n := s.counted("BeginPrompting"); n != 1 {
		t.Errorf("%d dialogs, want 1", n)
	}
	if n := s.counted("Dismiss"); n != 0 {
		t.Errorf("%d prompts were dismissed, want 0", n)
	}
	if n := c.aws.Count("") - before; n != 0 {
		t.Errorf("%d requests, want 0: the login was in the keyring", n)
	}
}
