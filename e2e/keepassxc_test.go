//go:build e2e && linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/daypass/daypass/internal/sandbox"
)

// keePassSettings have KeePassXC be the Secret Service, and ask before it gives an
// item to a program and before it deletes one.
const keePassSettings = `[General]
ConfigVersion=2
UpdateCheckMessageShown=true
[GUI]
CheckForUpdates=false
[FdoSecrets]
Enabled=true
ShowNotification=false
ConfirmAccessItem=true
ConfirmDeleteItem=true
UnlockBeforeSearch=true
`

// keePassDatabase is an empty database whose root group is open to other programs.
const keePassDatabase = `<?xml version="1.0" encoding="utf-8"?>
<KeePassFile>
	<Meta><RecycleBinEnabled>False</RecycleBinEnabled><CustomData><Item>
		<Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{00112233-4455-6677-8899-aabbccddeeff}</Value>
	</Item></CustomData></Meta>
	<Root><Group><UUID>ABEiM0RVZneImaq7zN3u/w==</UUID><Name>Root</Name></Group></Root>
</KeePassFile>
`

const keePassCollection = secretsPath + "/collection/person"

// The titles of its dialogs.
const (
	keePassUnlock = "^Unlock Database - KeePassXC$"
	keePassAccess = "Access Request$"
	keePassDelete = "^Delete entry"
)

// newKeePassComputer starts a computer with a screen, whose Secret Service is
// KeePassXC with an open database.
func newKeePassComputer(t *testing.T) (*computer, *screen) {
	t.Helper()
	c := newComputer(t, nil, sandbox.Options{})
	c.writeConfig(c.section("corp", "storage = keyring"), c.profile("one", "corp"), c.profile("two", "corp"))
	c.keyring.stop()
	s := &screen{t: t, c: c, xdotool: program(t, "xdotool"), bus: connectBus(t, c.bus)}
	c.env["DISPLAY"] = startXServer(t, program(t, "Xvfb"))

	file, text := filepath.Join(c.folder, "person.kdbx"), filepath.Join(c.folder, "person.xml")
	write(t, text, keePassDatabase)
	create := exec.Command(program(t, "keepassxc-cli"), "import", "-q", "-t", "100", "-p", text, file)
	create.Stdin = strings.NewReader(keyringPassword + "\n" + keyringPassword + "\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("keepassxc-cli: %v\n%s", err, out)
	}
	settings := filepath.Join(c.env["HOME"], ".config/keepassxc")
	must(t, os.MkdirAll(settings, 0o700))
	write(t, filepath.Join(settings, "keepassxc.ini"), keePassSettings)
	path := program(t, "keepassxc")
	var env []string // without the computer's mark: it is not a stray
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "TMPDIR", "LANG", "DISPLAY", "DBUS_SESSION_BUS_ADDRESS"} {
		env = append(env, name+"="+c.env[name])
	}
	c.keyring = startDaemon(t, part{
		command: func() *exec.Cmd {
			cmd := exec.Command(path, "--pw-stdin", file)
			cmd.Env, cmd.Stdin = env, strings.NewReader(keyringPassword+"\n")
			return cmd
		},
		ready: func(*daemon) bool { locked, err := s.isLocked(keePassCollection); return err == nil && !locked },
		what:  "its database was open",
	})
	t.Cleanup(func() { c.keyring.stopping.Do(c.keyring.kill) }) // it can miss a SIGTERM
	return c, s
}

// lockDatabase locks the database, as KeePassXC does by itself after a while.
func (s *screen) lockDatabase() {
	s.t.Helper()
	var prompt dbus.ObjectPath
	err := s.bus.Object(secrets, secretsPath).Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{keePassCollection}).Store(new([]dbus.ObjectPath), &prompt)
	if err == nil {
		err = s.bus.Object(secrets, prompt).Call("org.freedesktop.Secret.Prompt.Prompt", 0, "").Err
	}
	must(s.t, err)
	await(s.t, "the database to be locked", func() bool { locked, _ := s.isLocked(keePassCollection); return locked })
}

// shows returns the windows with such a title.
func (s *screen) shows(title string) string {
	return s.x("search", "--onlyvisible", "--name", title)
}

// answer waits for a dialog, gives it the keyboard, and presses keys until it is gone.
func (s *screen) answer(title string, keys ...string) {
	s.t.Helper()
	window := ""
	await(s.t, "the dialog "+title, func() bool { window = s.shows(title); return window != "" })
	s.press(func() {
		s.x("windowfocus", "--sync", window)
		s.x(append([]string{"key"}, keys...)...)
	}, "the dialog "+title+" to go", func() bool { return s.shows(title) != window })
}

// KeePassXC can ask before each access of a program, and before each deletion, and
// locks its database. daypass waits for its dialogs where a person is asked, and
// raises none elsewhere.
func TestKeePassXC(t *testing.T) {
	t.Parallel()
	c, s := newKeePassComputer(t)
	c.startPerson()
	for _, profile := range []string{"one", "two"} {
		result := make(chan result)
		go func() { result <- c.process(profile) }()
		if profile == "two" { // the login is there, and this is another program
			s.answer(keePassAccess, "Return")
		}
		credentials(t, <-result)
	}

	// dialogs runs a command while somebody answers its dialogs.
	dialogs := func(run func() result, answer func()) result {
		t.Helper()
		ended := make(chan result, 1)
		go func() { ended <- run() }()
		answer()
		return <-ended
	}
	process := func() result { return c.process("one") }
	logout := func() result { return c.say("logout", "--profile", "one") }
	nobodyIsAsked := func(says string) {
		t.Helper()
		c.ends(7, says, "status", "--profile", "one")
		c.env["DAYPASS_PROMPT"] = "never"
		c.ended(7, says, process())
		delete(c.env, "DAYPASS_PROMPT")
		if windows := s.shows(keePassAccess + "|" + keePassUnlock); windows != "" {
			t.Errorf("a dialog was raised: %s", windows)
		}
	}

	// Each process is asked about, one after the other; of two at once, the second
	// does not take the first one's dialog for its own.
	nobodyIsAsked("asks before it gives the login of corp to a program")
	ended := make(chan result)
	for _, profile := range []string{"one", "two"} {
		go func() { ended <- c.process(profile) }()
	}
	s.answer(keePassAccess, "Return")
	credentials(t, <-ended)
	s.answer(keePassAccess, "Return")
	credentials(t, <-ended)
	c.ended(7, "is locked: its dialog was dismissed", dialogs(process, func() { s.answer(keePassAccess, "Escape") }))

	// A locked database is unlocked for whoever waits, and for nobody else.
	s.lockDatabase()
	nobodyIsAsked("is locked, and no dialog is shown here")
	r := dialogs(func() result { return c.say("login", "--profile", "one") }, func() {
		await(t, "the dialog for the password", func() bool { return s.shows(keePassUnlock) != "" })
		s.press(func() { s.enter(keyringPassword) }, "the database to be open", func() bool { locked, err := s.isLocked(keePassCollection); return err == nil && !locked })
		s.answer(keePassAccess, "Return")
	})
	c.ended(0, "", r)
	if n := c.aws.Count("device"); n != 1 {
		t.Errorf("%d codes, want 1: the login was in the keyring all the time", n)
	}

	// What is not deleted is not said to be.
	declines := func() { s.answer(keePassAccess, "Return"); s.answer(keePassDelete, "Escape") }
	c.ended(7, "the Secret Service has not changed the login of corp: its dialog was dismissed", dialogs(logout, declines))
	confirms := func() {
		s.answer(keePassAccess, "Return")
		s.answer(keePassDelete, "Tab", "space") // Cancel has the focus
		s.answer(keePassDelete, "Tab", "space")
	}
	c.ended(0, "", dialogs(logout, confirms))
	c.ends(3, "", "status", "--profile", "one")
}
