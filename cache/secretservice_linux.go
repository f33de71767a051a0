package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names of the Secret Service API:
// https://specifications.freedesktop.org/secret-service/latest/
const (
	secretsName = "org.freedesktop.secrets"
	secretsPath = dbus.ObjectPath("/org/freedesktop/secrets")
	homePath    = secretsPath + "/aliases/default" // the collection where new items go
	secretAPI   = "org.freedesktop.Secret."        // begins the names of interfaces
)

var (
	errCollectionLocked error = lockedError{errors.New("it is locked, and may hold the record")}
	errNoDisplay        error = lockedError{errors.New("there is no display to ask for its password on")}
	errNoBus                  = errors.New("there is no D-Bus session bus in this session")
)

// secretService is the keyring of the Linux desktop. It talks over D-Bus
// directly: SearchItems tells a locked item from a missing one without unlocking,
// while go-keyring unlocks first, and waits for the dialog without end. Items have
// the form that go-keyring gives them: each reads what the other has written.
type secretService struct {
	getenv     func(string) string
	runtimeDir string        // where systemd puts the socket of the user's session bus
	read       time.Duration // what a read may take
	// idle holds the connection, or nil before the first one, while nobody talks on it:
	// KeePassXC allows a connection what a person allows once, and an unanswered dialog
	// stays with it, see complete.
	idle chan *bus
}

// sessionSecret is the specification's structure Secret.
type sessionSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func systemKeyrings(getenv func(string) string) []Keyring {
	return []Keyring{newSecretService(getenv), kernelKeyring{prefix: service + ":"}}
}

func newSecretService(getenv func(string) string) *secretService {
	s := &secretService{getenv: getenv, runtimeDir: "/run/user/" + strconv.Itoa(os.Geteuid()), read: readBound, idle: make(chan *bus, 1)}
	s.idle <- nil
	return s
}

func (s *secretService) Kind() string { return "secret-service" }
func (s *secretService) Name() string { return "Secret Service" }

// CanAsk reports whether a dialog of the service has a display to be shown on.
func (s *secretService) CanAsk() bool {
	return s.getenv("DISPLAY") != "" || s.getenv("WAYLAND_DISPLAY") != ""
}

func (s *secretService) Get(ctx context.Context, item string) (value []byte, err error) {
	err = s.talk(ctx, s.read, func(ctx context.Context, conn *bus) error {
		until := time.Now().Add(s.read)
		// The usual place first: that asks a service for nothing for which it may raise a
		// dialog, see search.
		var found []dbus.ObjectPath
		_ = call(ctx, conn, homePath, "Collection.SearchItems", attributes(item)).Store(&found)
		session, err := openSession(ctx, conn, until)
		var secret sessionSecret
		get := func() error { return call(ctx, conn, found[0], "Item.GetSecret", session).Store(&secret) }
		if err == nil && (len(found) == 0 || get() != nil) {
			if found, err = find(ctx, conn, item); err == nil {
				err = get()
			}
		}
		value = secret.Value
		return err
	})
	if len(value) > MaxRecord {
		return nil, &UnreadableError{Where: s.Name(), Err: fmt.Errorf("larger than %d bytes", MaxRecord)}
	}
	return value, err
}

// Set replaces the item where it is, or makes it where new ones go. Nothing is
// repeated: when Set has returned, nothing more is on its way from here.
func (s *secretService) Set(ctx context.Context, item, label string, value []byte) error {
	return s.talk(ctx, writeBound, func(ctx context.Context, conn *bus) error {
		var collection dbus.ObjectPath
		found, err := find(ctx, conn, item)
		if err == nil {
			collection = dbus.ObjectPath(path.Dir(string(found[0])))
		} else if err == ErrMiss {
			collection, err = unlockedHome(ctx, conn)
		}
		secret := sessionSecret{Value: value, ContentType: "text/plain; charset=utf8"}
		if err == nil {
			secret.Session, err = openSession(ctx, conn, time.Now().Add(s.read))
		}
		if err != nil {
			return err
		}
		properties := map[string]dbus.Variant{
			secretAPI + "Item.Label":      dbus.MakeVariant(label),
			secretAPI + "Item.Attributes": dbus.MakeVariant(attributes(item)),
		}
		return complete(ctx, conn, call(ctx, conn, collection, "Collection.CreateItem", properties, secret, true))
	})
}

func (s *secretService) Remove(ctx context.Context, item string) error {
	bound := writeBound
	if s.CanAsk() {
		bound = dialogBound // KeePassXC asks whether to delete
	}
	return s.talk(ctx, bound, func(ctx context.Context, conn *bus) error {
		found, err := find(ctx, conn, item)
		for _, path := range found {
			if err == nil {
				err = complete(ctx, conn, call(ctx, conn, path, "Item.Delete"))
			}
		}
		return err
	})
}

func (s *secretService) List(ctx context.Context) (names []string, err error) {
	err = s.talk(ctx, s.read, func(ctx context.Context, conn *bus) error {
		unlocked, locked, err := search(ctx, conn, map[string]string{"service": service})
		for _, found := range append(unlocked, locked...) {
			var has map[string]string
			if property(ctx, conn, found, "Item", "Attributes", &has) == nil {
				names = append(names, has["username"])
			}
		}
		return err
	})
	return names, err
}

// Unlock unlocks the collection where new items go, and then those of these items
// that are still locked: KeePassXC may ask for each.
func (s *secretService) Unlock(ctx context.Context, items ...string) error {
	return s.talk(ctx, dialogBound, func(ctx context.Context, conn *bus) error {
		collection, err := unlockedHome(ctx, conn)
		if err == errCollectionLocked {
			err = s.unlock(ctx, conn, collection)
		}
		var all, locked []dbus.ObjectPath
		for i := 0; err == nil && i < len(items); i++ {
			_, locked, err = search(ctx, conn, attributes(items[i]))
			all = append(all, locked...)
		}
		if err != nil || len(all) == 0 {
			return err
		}
		return s.unlock(ctx, conn, all...)
	})
}

func (s *secretService) unlock(ctx context.Context, conn *bus, locked ...dbus.ObjectPath) error {
	answer := call(ctx, conn, secretsPath, "Service.Unlock", locked)
	if promptOf(answer) != "" && !s.CanAsk() {
		return errNoDisplay
	}
	err := complete(ctx, conn, answer)
	if err == ErrDismissed || err == ErrUnanswered {
		err = lockedError{err}
	}
	return err
}

// promptOf returns the prompt with which the service wants its answer completed:
// for a password, or before it writes, as KeePassXC always wants it. "" is none.
func promptOf(answer *dbus.Call) dbus.ObjectPath {
	if len(answer.Body) > 0 {
		if prompt, _ := answer.Body[len(answer.Body)-1].(dbus.ObjectPath); prompt != "/" {
			return prompt
		}
	}
	return ""
}

// complete runs the prompt of an answer. One that is not answered before ctx ends
// stays on the screen: gnome-keyring-daemon (42.1, gkd-secret-unlock.c,
// perform_next_unlock) ends by an assertion, and takes the open keyring along, if
// any prompt is dismissed while a dialog is up.
func complete(ctx context.Context, conn *bus, answer *dbus.Call) error {
	prompt := promptOf(answer)
	if answer.Err != nil || prompt == "" {
		return answer.Err
	}
	err := conn.call(ctx, busName, busPath, busName+".AddMatch", "type='signal',path='"+string(prompt)+"'").Err
	if err != nil {
		return err
	}
	err = conn.ask(ctx, func(m *dbus.Message) (done bool, err error) {
		completed := m.Type == dbus.TypeSignal && len(m.Body) > 0 && m.Headers[dbus.FieldPath].Value() == prompt &&
			m.Headers[dbus.FieldInterface].Value() == secretAPI+"Prompt" && m.Headers[dbus.FieldMember].Value() == "Completed"
		if completed && m.Body[0] == true {
			return true, ErrDismissed
		}
		_, err = conn.answered(m)
		return completed, err
	}, secretsName, prompt, secretAPI+"Prompt.Prompt", "")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrUnanswered
	}
	return err
}

// attributes are those that go-keyring gives an item.
func attributes(item string) map[string]string {
	return map[string]string{"service": service, "username": item}
}

// find returns where the item is, in one place normally: ErrMiss if it is missing,
// but ErrConfirms or another lockedError if it is locked or may be.
func find(ctx context.Context, conn *bus, item string) ([]dbus.ObjectPath, error) {
	found, locked, err := search(ctx, conn, attributes(item))
	if err == nil && len(locked) > 0 {
		err = lockedError{errors.New("it is locked, and holds the record")}
		if isUnlocked(ctx, conn, dbus.ObjectPath(path.Dir(string(locked[0])))) {
			err = ErrConfirms
		}
	}
	if err == nil && len(found) == 0 {
		// Some services find nothing in a collection that is locked.
		if _, err = unlockedHome(ctx, conn); err == nil {
			err = ErrMiss
		}
	}
	return found, err
}

// search does not ask a service whose collections are all locked, which is
// errCollectionLocked: KeePassXC has its database unlocked before it answers. GNOME
// Keyring always has one that is unlocked, for the session.
//
// What Get reads is first, for that is what Set must replace: an item of the name can be
// in two collections, if one of them was locked when there was none in the other.
func search(ctx context.Context, conn *bus, attributes map[string]string) (unlocked, locked []dbus.ObjectPath, err error) {
	home, err := unlockedHome(ctx, conn)
	if err == errCollectionLocked {
		var all []dbus.ObjectPath
		_ = property(ctx, conn, secretsPath, "Service", "Collections", &all)
		if !slices.ContainsFunc(all, func(collection dbus.ObjectPath) bool { return isUnlocked(ctx, conn, collection) }) {
			return nil, nil, err
		}
	}
	err = call(ctx, conn, secretsPath, "Service.SearchItems", attributes).Store(&unlocked, &locked)
	if i := slices.IndexFunc(unlocked, func(item dbus.ObjectPath) bool { return dbus.ObjectPath(path.Dir(string(item))) == home }); i > 0 {
		unlocked[0], unlocked[i] = unlocked[i], unlocked[0]
	}
	return unlocked, locked, err
}

// openSession asks for the session in which secrets are handed over: "plain", as
// go-keyring's, for the bus is the person's own. Once asked, it waits for the answer
// until then, through a Ctrl-C too: gnome-keyring-daemon (42.1) ends if a caller is
// gone before.
func openSession(ctx context.Context, conn *bus, until time.Time) (session dbus.ObjectPath, err error) {
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	through, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	err = call(through, conn, secretsPath, "Service.OpenSession", "plain", dbus.MakeVariant("")).Store(new(dbus.Variant), &session)
	return session, err
}

// unlockedHome returns the collection where new items go. One that is locked is
// errCollectionLocked.
func unlockedHome(ctx context.Context, conn *bus) (collection dbus.ObjectPath, err error) {
	err = call(ctx, conn, secretsPath, "Service.ReadAlias", "default").Store(&collection)
	if err == nil && collection == "/" {
		err = errors.New("it has no collection to keep a record in")
	}
	var locked bool
	if err == nil {
		err = property(ctx, conn, collection, "Collection", "Locked", &locked)
	}
	if locked {
		err = errCollectionLocked
	}
	return collection, err
}

func isUnlocked(ctx context.Context, conn *bus, collection dbus.ObjectPath) bool {
	locked := true
	err := property(ctx, conn, collection, "Collection", "Locked", &locked)
	return err == nil && !locked
}

func property(ctx context.Context, conn *bus, path dbus.ObjectPath, iface, name string, value any) error {
	return conn.call(ctx, secretsName, path, busName+".Properties.Get", secretAPI+iface, name).Store(value)
}

// call calls a method of the Secret Service API, and waits for its answer.
func call(ctx context.Context, conn *bus, path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return conn.call(ctx, secretsName, path, secretAPI+method, args...)
}

// talk holds a conversation with the service, within bound. The error is ErrMiss or an *UnreachableError.
func (s *secretService) talk(ctx context.Context, bound time.Duration, conversation func(context.Context, *bus) error) error {
	ctx, cancel := bounded(ctx, bound)
	defer cancel()
	conn, kept, err := s.connect(ctx)
	if err == nil {
		err = conversation(ctx, conn)
		if !conn.ready || !kept {
			_ = conn.Close()
			conn = nil
		}
	}
	if kept {
		s.idle <- conn
	}
	if err == nil || err == ErrMiss {
		return err
	}
	answer, _ := errors.AsType[dbus.Error](err)
	_, locked := errors.AsType[lockedError](err)
	locked = locked || answer.Name == secretAPI+"Error.IsLocked"
	// If it cannot write its file, the service says no more for people.
	full := bound != s.read && answer.Name == "org.freedesktop.DBus.Error.Failed"
	if !locked && !errors.Is(err, ErrUnanswered) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &UnreachableError{Where: s.Name(), Locked: locked, Full: full, Err: err}
}

// connect returns a connection to the session bus that nobody else talks on: the one
// that is kept, unless somebody is at a dialog on it.
//
// gnome-keyring-daemon (up to 50.0 at least) may serve the first call of a caller
// before it has noted who calls. A session that is opened or a property that is read
// that way makes it abort, with everybody's keyring open in it
// (https://github.com/basecamp/hey-cli/issues/352). So each conversation begins with
// a call that does no harm: ReadAlias, or SearchItems, which only fails then.
func (s *secretService) connect(ctx context.Context) (conn *bus, kept bool, err error) {
	select {
	case conn = <-s.idle:
		kept = true
	case <-time.After(s.read / 2):
	}
	if conn != nil && !conn.isOpen() {
		_ = conn.Close()
		conn = nil
	}
	if conn == nil {
		conn, err = openBus(ctx, s.socket())
	}
	return conn, kept, err
}

// socket returns where the session bus listens, in the form of package net, or "".
// No bus is started, as dbus-launch would: nobody would use it, and nobody end it.
func (s *secretService) socket() string {
	address := s.getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" || address == "autolaunch:" || address == "unix:runtime=yes" {
		for _, dir := range []string{s.getenv("XDG_RUNTIME_DIR"), s.runtimeDir} {
			socket := filepath.Join(dir, "bus")
			if _, err := os.Stat(socket); err == nil && filepath.IsAbs(socket) {
				return socket
			}
		}
		return ""
	}
	address, _, _ = strings.Cut(address, ";") // the first of several
	address, _, _ = strings.Cut(address, ",") // without guid=
	kind, value, _ := strings.Cut(address, "=")
	value, err := dbus.UnescapeBusAddressValue(value)
	switch {
	case err == nil && kind == "unix:path":
		return value
	case err == nil && kind == "unix:abstract":
		return "@" + value
	}
	return ""
}
