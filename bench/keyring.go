//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// session is a session bus with an open GNOME Keyring on it.
type session struct {
	address string
	daemons []*exec.Cmd
}

// startKeyring starts a bus and a keyring whose files are all in the folder.
func startKeyring(folder string) (*session, error) {
	socket, config := filepath.Join(folder, "bus"), filepath.Join(folder, "bus.conf")
	s := &session{address: "unix:path=" + socket}
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		return nil, err
	}
	bus := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config)
	keyring := exec.Command("gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock")
	keyring.Stdin = strings.NewReader("open sesame")
	keyring.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + folder, "XDG_RUNTIME_DIR=" + folder, "DBUS_SESSION_BUS_ADDRESS=" + s.address}

	err := s.start(bus, func() bool { _, err := os.Stat(socket); return err == nil })
	if err == nil {
		err = s.start(keyring, func() bool { return isOpen(s.address) })
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// start starts a daemon and waits until it is ready.
func (s *session) start(cmd *exec.Cmd, ready func() bool) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whoever kills us kills it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w; run: sh e2e/install.sh", err)
	}
	s.daemons = append(s.daemons, cmd)
	for range 200 {
		if ready() {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New(cmd.Path + " is not ready after 10 s")
}

// isOpen reports whether the login collection is there and open.
func isOpen(bus string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := dbus.Connect(bus, dbus.WithContext(ctx))
	if err != nil {
		return false
	}
	defer conn.Close()
	locked, err := conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets/collection/login").
		GetProperty("org.freedesktop.Secret.Collection.Locked")
	return err == nil && locked.Value() == false
}

// stop ends the daemons, the last one first.
func (s *session) stop() {
	for i := len(s.daemons) - 1; i >= 0; i-- {
		_ = s.daemons[i].Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = s.daemons[i].Wait()                          // and says that it was ended
	}
}
