package cache

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	busName = "org.freedesktop.DBus" // the bus itself, and the interfaces of everybody on it
	busPath = dbus.ObjectPath("/org/freedesktop/DBus")
)

// bus is a connection to the session bus, on which one question is asked at a time.
// Its messages are godbus's, but not the connection: that has a goroutine for each
// question and some more, at the cost of a tenth of a cached answer.
//
// https://dbus.freedesktop.org/doc/dbus-specification.html
type bus struct {
	*net.UnixConn
	in     *bufio.Reader // godbus reads a message in some thirty pieces
	ready  bool          // the bus has let us in, and the next byte begins a message
	broken error         // why nothing more can be asked, or nil
	serial uint32        // of the last question
}

// openBus connects to the bus at socket before ctx ends. The connection outlives
// ctx. Nothing is sent to a bus of another user's, except root's.
func openBus(ctx context.Context, socket string) (*bus, error) {
	if socket == "" {
		return nil, errNoBus
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	b := &bus{UnixConn: conn.(*net.UnixConn), in: bufio.NewReader(conn)}
	if err = b.checkPeer(); err == nil {
		_, err = b.Write([]byte("\x00AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")) // read takes the answers
	}
	if err == nil {
		err = b.send(busName, busPath, busName+".Hello")
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

func (b *bus) checkPeer() error {
	raw, err := b.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = cmp.Or(failed, err); err != nil {
		return err
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: the one that is found belongs to user id %d", errNoBus, peer.Uid)
	}
	return nil
}

// isOpen reports whether the bus has not hung up in the meantime.
func (b *bus) isOpen() (open bool) {
	if raw, err := b.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
			open = n > 0 || err == unix.EAGAIN
		})
	}
	return open
}

// call asks a question, and waits for its answer until ctx ends.
func (b *bus) call(ctx context.Context, to string, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	var answer dbus.Call
	answer.Err = b.ask(ctx, func(m *dbus.Message) (done bool, err error) {
		if done, err = b.answered(m); done && err == nil {
			answer.Body = m.Body
		}
		return done, err
	}, to, path, method, args...)
	if errors.Is(answer.Err, os.ErrDeadlineExceeded) {
		answer.Err = context.Cause(ctx)
	}
	return &answer
}

// ask asks a question, and gives what the bus then sends to hear, until that is done
// or ctx ends, which is an [os.ErrDeadlineExceeded].
func (b *bus) ask(ctx context.Context, hear func(*dbus.Message) (done bool, err error), to string, path dbus.ObjectPath, method string, args ...any) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = b.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	err := cmp.Or(b.broken, ctx.Err())
	if err == nil {
		err = b.send(to, path, method, args...)
	}
	for done := false; err == nil && !done; {
		var m *dbus.Message
		if m, err = b.read(); err == nil {
			done, err = hear(m)
		}
	}
	if !stop() {
		<-ended
		_ = b.SetDeadline(time.Time{})
	}
	if err == io.EOF {
		err = errors.New("the session bus has hung up")
	}
	if !b.ready {
		b.broken = cmp.Or(b.broken, err)
	}
	return err
}

func (b *bus) send(to string, path dbus.ObjectPath, method string, args ...any) error {
	dot := strings.LastIndexByte(method, '.')
	question := dbus.Message{Type: dbus.TypeMethodCall, Body: args, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(to), dbus.FieldPath: dbus.MakeVariant(path),
		dbus.FieldInterface: dbus.MakeVariant(method[:dot]), dbus.FieldMember: dbus.MakeVariant(method[dot+1:]),
	}}
	if len(args) > 0 {
		question.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(args...))
	}
	var text bytes.Buffer
	if err := question.EncodeTo(&text, binary.LittleEndian); err != nil {
		return err
	}
	b.serial++
	binary.LittleEndian.PutUint32(text.Bytes()[8:], b.serial) // which only godbus's connections can set
	_, err := b.Write(text.Bytes())
	b.ready = b.ready && err == nil // or a part of it may be on its way
	return err
}

// read reads the next message. What breaks it off while it waits for one can be
// followed by another read.
func (b *bus) read() (*dbus.Message, error) {
	for !b.ready {
		line, err := b.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		b.ready = bytes.HasPrefix(line, []byte("OK "))
		if !b.ready && string(line) != "DATA\r\n" {
			return nil, errors.New("the session bus does not let this user in")
		}
	}
	if _, err := b.in.Peek(1); err != nil {
		b.ready = errors.Is(err, os.ErrDeadlineExceeded)
		return nil, err
	}
	m, err := dbus.DecodeMessage(b.in)
	b.ready = err == nil
	return m, err
}

// answered reports whether a message answers the last question. The error is the one
// that it answers with.
func (b *bus) answered(m *dbus.Message) (bool, error) {
	if m.Headers[dbus.FieldReplySerial].Value() != b.serial {
		return false, nil
	}
	if m.Type == dbus.TypeError {
		name, _ := m.Headers[dbus.FieldErrorName].Value().(string)
		return true, dbus.Error{Name: name, Body: m.Body}
	}
	return m.Type == dbus.TypeMethodReply, nil
}
