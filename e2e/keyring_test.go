//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
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

// startBus starts a session bus of the test's own and returns its address.
func startBus(t *testing.T, folder string) string {
	t.Helper()
	socket := filepath.Join(folder, "bus")
	config := filepath.Join(folder, "bus.conf")
	write(t, config, fmt.Sprintf(busConfig, socket))
	startDaemon(t, exec.Command(installed.dbus, "--nofork", "--nopidfile", "--config-file="+config))
	await(t, "the session bus", func() bool {
		conn, err := net.Dial("unix", socket) // the file is there before anybody listens
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return "unix:path=" + socket
}

// startKeyring starts GNOME Keyring on the computer's bus. With the password its
// login collection is open, as after a login on a desktop; without, it is locked.
// The function it returns ends the daemon.
func startKeyring(t *testing.T, env []string, bus, password string) (stop func()) {
	t.Helper()
	cmd := exec.Command(installed.gnomeKeyring, "--foreground", "--components=secrets")
	if password != "" {
		cmd.Args = append(cmd.Args, "--unlock")
		cmd.Stdin = strings.NewReader(password)
	}
	cmd.Env = env
	stop = startDaemon(t, cmd)

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := dbus.Connect(bus, dbus.WithContext(ctx)) // a call without an answer would wait for ever
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	login := conn.Object(secrets, loginCollection)
	await(t, "the Secret Service", func() bool {
		locked, err := login.GetProperty("org.freedesktop.Secret.Collection.Locked")
		return err == nil && locked.Value() == (password == "")
	})
	return stop
}

// unlockKeyring unlocks the login collection as its dialog would.
func unlockKeyring(t *testing.T, bus, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := dbus.Connect(bus, dbus.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	service := conn.Object(secrets, secretsPath)
	var output dbus.Variant
	var session dbus.ObjectPath
	err = service.Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &session)
	if err != nil {
		t.Fatal(err)
	}
	secret := struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}{session, []byte{}, []byte(password), "text/plain"}
	err = service.Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.UnlockWithMasterPassword", 0, loginCollection, secret).Err
	if err != nil {
		t.Fatal(err)
	}
}
