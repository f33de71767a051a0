package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// write replaces the item in one message, if session and collection are known.
// The message is not repeated and not sent later: when write has returned, at
// the end of ctx at the latest, nothing more is on its way from here.
func (s *secretService) write(ctx context.Context, conn *dbus.Conn, name string, value []byte) error {
	session, err := s.openSession(ctx, conn)
	if err != nil {
		return err
	}
	collection, err := s.collection(ctx, conn)
	if err != nil {
		return err
	}
	// Label and content type are go-keyring's too.
	properties := map[string]dbus.Variant{
		itemInterface + ".Label":      dbus.MakeVariant(fmt.Sprintf("Password for '%s' on '%s'", name, service)),
		itemInterface + ".Attributes": dbus.MakeVariant(attributes(name)),
	}
	secret := dbusSecret{Session: session, Parameters: []byte{}, Value: value, ContentType: "text/plain; charset=utf8"}
	var item, prompt dbus.ObjectPath
	err = conn.Object(secretsName, collection).CallWithContext(ctx, collectionInterface+".CreateItem", 0,
		properties, secret, true).Store(&item, &prompt)
	if err != nil {
		return notTaken(err)
	}
	return s.finish(ctx, conn, prompt)
}

func (s *secretService) delete(ctx context.Context, conn *dbus.Conn, name string) error {
	item, err := s.found(ctx, conn, searchItems(ctx, conn, name))
	if err != nil {
		return err
	}
	var prompt dbus.ObjectPath
	if err := conn.Object(secretsName, item).CallWithContext(ctx, itemInterface+".Delete", 0).Store(&prompt); err != nil {
		return notTaken(err)
	}
	return s.finish(ctx, conn, prompt)
}

// notTakenError is an error with which the service answered to a write.
type notTakenError struct{ error }

func (e notTakenError) Unwrap() error { return e.error }

// notTaken marks the answer of a service that cannot write its file: it calls
// that a failure, and says no more in a form that is not for people.
func notTaken(err error) error {
	var answer dbus.Error
	if errors.As(err, &answer) && answer.Name == "org.freedesktop.DBus.Error.Failed" {
		return notTakenError{err}
	}
	return err
}

// finish does what a service wants done before it writes; KeePassXC wants it
// always. A prompt that would ask for the keyring's password is not raised here,
// but by unlock alone.
func (s *secretService) finish(ctx context.Context, conn *dbus.Conn, prompt dbus.ObjectPath) error {
	if prompt == noObject {
		return nil
	}
	if err := s.needUnlocked(ctx, conn); err != nil {
		return err
	}
	return complete(ctx, conn, prompt)
}
