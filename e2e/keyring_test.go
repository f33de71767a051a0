//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/daypass/daypass/internal/sandbox"
)

// busConfig names no service folders, so that the bus starts nothing by itself.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// Names on the session bus.
const (
	secrets         = "org.freedesktop.secrets"
	secretsPath     = dbus.ObjectPath("/org/freedesktop/secrets")
	loginCollection = secretsPath + "/collection/login"
)

// keyringCrash is what GNOME Keyring says when it crashes because a client has gone
// that had just sent its first requests: the answer to OpenSession is made from
// nothing. Debian 12 has version 42.1, but 50.0 does it too:
// https://gitlab.gnome.org/GNOME/gnome-keyring/-/work_items/199
const keyringCrash = "g_variant_new: expected GVariant of type 'v' but received value has type '(null)'"

// startBus starts a session bus of the test's own and returns its address.
func startBus(t *testing.T, folder string) string {
	t.Helper()
	socket := filepath.Join(folder, "bus")
	config := filepath.Join(folder, "bus.conf")
	write(t, config, fmt.Sprintf(busConfig, socket))
	startDaemon(t, part{
		command: func() *exec.Cmd {
			_ = os.Remove(socket) // of a start that hung
			return exec.Command(installed.dbus, "--nofork", "--nopidfile", "--config-file="+config)
		},
		ready: func(*daemon) bool { // the socket's file is there before
			conn, err := net.DialTimeout("unix", socket, time.Second)
			if err != nil {
				return false
			}
			return conn.Close() == nil
		},
		what: "it listened",
	})
	return "unix:path=" + socket
}

// startKeyring starts GNOME Keyring on the computer's bus. With the password its
// login collection is open, as after a login on a desktop; without, it is locked.
func startKeyring(t *testing.T, env []string, bus, password string) *daemon {
	t.Helper()
	conn := connectBus(t, bus)
	defer conn.Close()
	login := conn.Object(secrets, loginCollection)
	return startDaemon(t, part{
		command: func() *exec.Cmd { return keyringCommand(env, password) },
		ready: func(*daemon) bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a daemon that hangs does not answer
			defer cancel()
			var locked bool
			call := login.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Collection", "Locked")
			return call.Store(&locked) == nil && locked == (password == "")
		},
		what: "its login collection was there",
	})
}

func keyringCommand(env []string, password string) *exec.Cmd {
	cmd := exec.Command(installed.gnomeKeyring, "--foreground", "--components=secrets")
	if password != "" {
		cmd.Args = append(cmd.Args, "--unlock")
		cmd.Stdin = strings.NewReader(password)
	}
	cmd.Env = env
	return cmd
}

// connectBus connects to a bus until the test ends, and for two minutes at most:
// calls that have no answer by then fail.
func connectBus(t *testing.T, bus string) *dbus.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	conn, err := dbus.Connect(bus, dbus.WithContext(ctx))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// unlockKeyring unlocks the login collection as its dialog would.
func unlockKeyring(t *testing.T, bus, password string) error {
	t.Helper()
	conn := connectBus(t, bus)
	defer conn.Close()
	service := conn.Object(secrets, secretsPath)
	var output dbus.Variant
	var session dbus.ObjectPath
	err := service.Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &session)
	if err != nil {
		return err
	}
	secret := struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}{session, []byte{}, []byte(password), "text/plain"}
	return service.Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.UnlockWithMasterPassword", 0, loginCollection, secret).Err
}

// Where the keyring is locked and nobody can unlock it, process does not wait for
// somebody: it answers within 3 s, whether it holds the login or not. doctor names
// it, and does not guess at what needs it.
func TestLockedKeyringIsToldWithinThreeSeconds(t *testing.T) {
	t.Parallel()
	c := newComputer(t, nil, sandbox.Options{})
	c.writeConfig(c.section("known", "storage = keyring"), c.profile("known", "known")+
		c.section("new", "storage = keyring"), c.profile("new", "new")+
		c.section("auto", "storage = auto"), c.profile("auto", "auto"))
	c.startPerson()
	for _, profile := range []string{"known", "auto"} {
		if r := c.process(profile); r.code != 0 {
			t.Fatalf("login: %+v", r)
		}
	}
	c.keyring.stop()
	startKeyring(t, c.environ(), c.bus, "")
	asked := c.aws.Count("")
	for _, profile := range []string{"known", "new", "auto"} {
		began := time.Now()
		r := c.process(profile)
		if took := time.Since(began); took > 3*time.Second || r.stdout != "" || r.code != 7 || !strings.Contains(r.stderr, "locked") {
			t.Errorf("profile %s, after %v: %+v", profile, took, r)
		}
	}
	if n := c.aws.Count("") - asked; n != 0 {
		t.Errorf("%d requests, want 0", n)
	}

	code, links := c.doctor("known")
	if l := links["keyring"]; code != 7 || l.State != "FAIL" || !strings.Contains(l.Detail, "locked") || l.Advice == "" {
		t.Errorf("exit code %d: %+v", code, l)
	}
	for link, state := range map[string]string{
		"configuration": "ok", "credential_process": "ok", "provider": "ok", "issuer": "ok", "STS": "ok", "console": "ok",
		"login": "-", "role": "-",
	} {
		if l := links[link]; l.State != state {
			t.Errorf("want %q: %+v", state, l)
		}
	}
}
