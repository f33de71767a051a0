package cache

import (
	"context"
	"encoding/hex"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// connectBus connects to the bus at address and says Hello. godbus asks the bus
// first which ways of authentication it has, and then whether it passes files:
// waiting for five answers before the first request takes as long as that. On a
// socket with a path, everything is said at once; the one answer that counts is
// waited for.
//
// https://dbus.freedesktop.org/doc/dbus-specification.html#auth-protocol
func connectBus(life context.Context, address string) (*dbus.Conn, error) {
	path, plain := socketPath(address)
	if !plain {
		return dbus.Connect(address, dbus.WithContext(life))
	}
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	conn, err := dbus.NewConn(&toldSocket{UnixConn: socket}, dbus.WithContext(life))
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid())))
	if _, err = socket.Write([]byte("\x00AUTH EXTERNAL " + uid + "\r\nBEGIN\r\n")); err == nil {
		err = conn.Auth([]dbus.Auth{toldAuth{}})
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	// The bus answers what follows in any case, or closes the connection.
	conn.BusObject().Go("org.freedesktop.DBus.Hello", 0, make(chan *dbus.Call, 1))
	return conn, nil
}

// socketPath returns the path of an address that is nothing but one path, as it
// is. Others are left to godbus.
func socketPath(address string) (string, bool) {
	path, ok := strings.CutPrefix(address, "unix:path=")
	path, _, _ = strings.Cut(path, ",") // guid=
	return path, ok && !strings.ContainsAny(address, "%;")
}

// toldSocket is a connection on which godbus's part of the authentication has
// been said: it is not sent again, and godbus's question is answered here.
type toldSocket struct {
	*net.UnixConn
	asked, begun bool
}

func (s *toldSocket) Write(p []byte) (int, error) {
	if s.begun {
		return s.UnixConn.Write(p)
	}
	s.begun = string(p) == "BEGIN\r\n"
	return len(p), nil
}

func (s *toldSocket) Read(p []byte) (int, error) {
	if !s.asked {
		s.asked = true
		return copy(p, "REJECTED EXTERNAL\r\n"), nil
	}
	return s.UnixConn.Read(p)
}

// toldAuth waits for the bus's OK.
type toldAuth struct{}

func (toldAuth) FirstData() (name, resp []byte, status dbus.AuthStatus) {
	return []byte("EXTERNAL"), nil, dbus.AuthOk
}

func (toldAuth) HandleData([]byte) ([]byte, dbus.AuthStatus) { return nil, dbus.AuthError }
