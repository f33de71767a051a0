package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/godbus/dbus/v5"
)

var errNoBus = errors.New("there is no D-Bus session bus in this session")

// deadBusError says that nobody answers at the address of the session bus.
type deadBusError struct{ error }

func (e deadBusError) Unwrap() error { return e.error }

// userRuntimeDir is where systemd puts the socket of a person's session bus.
func userRuntimeDir() string { return "/run/user/" + strconv.Itoa(os.Getuid()) }

// sessionBusAddress finds the session bus that is there already, or returns "".
// It looks where godbus looks, without godbus's last resort: dbus-launch, which
// starts a bus that nobody uses and nobody ends.
func sessionBusAddress(getenv func(string) string, runtimeDir string) string {
	if address := getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return address
	}
	socket := filepath.Join(runtimeDir, "bus")
	if _, err := os.Stat(socket); err != nil {
		return ""
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(socket)
}

// dialBus connects to the bus at address before ctx ends. The connection
// outlives ctx.
func dialBus(ctx context.Context, address string) (*dbus.Conn, error) {
	// godbus has no context for the conversation that opens a connection, but
	// ending the connection's own context closes its socket.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	keep := context.AfterFunc(ctx, end)
	type result struct {
		conn *dbus.Conn
		err  error
	}
	dialed := make(chan result, 1)
	go func() {
		conn, err := connectBus(life, address)
		dialed <- result{conn, err}
	}()
	select {
	case r := <-dialed:
		if !keep() {
			break
		}
		if r.err != nil {
			return nil, deadBusError{r.err}
		}
		return r.conn, nil
	case <-ctx.Done():
	}
	return nil, context.Cause(ctx)
}
