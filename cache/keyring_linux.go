package cache

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names of the Secret Service API:
// https://specifications.freedesktop.org/secret-service/latest/
const (
	secretsName     = "org.freedesktop.secrets"
	secretsPath     = dbus.ObjectPath("/org/freedesktop/secrets")
	loginCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")

	serviceInterface    = "org.freedesktop.Secret.Service"
	collectionInterface = "org.freedesktop.Secret.Collection"
	itemInterface       = "org.freedesktop.Secret.Item"
	promptInterface     = "org.freedesktop.Secret.Prompt"

	// noObject is the path that stands for none.
	noObject = dbus.ObjectPath("/")
)

const (
	// errItemLocked says that our item is there, in a locked collection.
	errItemLocked lockedError = "it holds the record"
	// errCollectionLocked says that the collection where our item would be is
	// locked, and the service names no such item in it.
	errCollectionLocked lockedError = "it may hold the record"
	errNoDisplay        lockedError = "there is no display to ask for its password on"
)

var errNoCollection = errors.New("it has no collection to keep a record in")

// secretService is the items of the Linux desktop's keyring. It talks over D-Bus
// directly: only Service.SearchItems tells a locked item from a missing one
// without unlocking, while go-keyring unlocks first, and waits for the dialog
// without end. It also takes fewer calls. Items have the form that go-keyring
// gives them, so that each reads what the other has written.
type secretService struct {
	getenv     func(string) string
	runtimeDir string // where the socket of the session bus lies without an address in the environment

	mu   sync.Mutex
	conn *dbus.Conn // dialed when first needed, then kept
	// What the service has told over conn; "" until it was asked.
	session dbus.ObjectPath
	home    dbus.ObjectPath // the collection that is written to
}

func openKeyring(o Options) (Store, error) { return openSecretService(o), nil }

func openSecretService(o Options) *recordStore {
	s := &secretService{getenv: o.Getenv, runtimeDir: userRuntimeDir()}
	return &recordStore{items: s, read: readBound, write: writeBound, now: o.Now}
}

func (s *secretService) name() string { return "Secret Service" }

func (s *secretService) get(ctx context.Context, name string) (value []byte, err error) {
	err = s.talk(ctx, func(conn *dbus.Conn) error {
		value, err = s.read(ctx, conn, name)
		return err
	})
	return value, err
}

func (s *secretService) set(ctx context.Context, name string, value []byte, _ time.Time) error {
	return s.talk(ctx, func(conn *dbus.Conn) error { return s.write(ctx, conn, name, value) })
}

func (s *secretService) remove(ctx context.Context, name string) error {
	return s.talk(ctx, func(conn *dbus.Conn) error { return s.delete(ctx, conn, name) })
}

// talk holds a conversation, and once more if the service had forgotten what it
// builds on: a restarted daemon knows nothing of our session, and an item that
// was replaced may have another path. The error is ErrMiss or an
// *UnreachableError.
func (s *secretService) talk(ctx context.Context, conversation func(*dbus.Conn) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return s.unreachable(ctx, err)
	}
	err = conversation(conn)
	if forgotten(err) {
		s.forget()
		err = conversation(conn)
	}
	if err != nil && !errors.Is(err, ErrMiss) {
		return s.unreachable(ctx, err)
	}
	return err
}

// forgotten reports whether err says that a path is not known, which was once.
func forgotten(err error) bool {
	var answer dbus.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Name {
	case "org.freedesktop.Secret.Error.NoSession",
		"org.freedesktop.Secret.Error.NoSuchObject",
		"org.freedesktop.DBus.Error.UnknownObject",
		"org.freedesktop.DBus.Error.UnknownMethod": // gnome-keyring, of a path it does not know
		return true
	}
	return false
}

func (s *secretService) read(ctx context.Context, conn *dbus.Conn, name string) ([]byte, error) {
	// Both requests are under way before the first is answered.
	search := searchItems(ctx, conn, name)
	session, err := s.openSession(ctx, conn)
	if err != nil {
		return nil, err
	}
	item, err := s.found(ctx, conn, search)
	if err != nil {
		return nil, err
	}
	var secret dbusSecret
	err = conn.Object(secretsName, item).CallWithContext(ctx, itemInterface+".GetSecret", 0, session).Store(&secret)
	return secret.Value, err
}

func searchItems(ctx context.Context, conn *dbus.Conn, name string) *dbus.Call {
	return conn.Object(secretsName, secretsPath).GoWithContext(ctx, serviceInterface+".SearchItems", 0, nil, attributes(name))
}

// attributes are those that go-keyring gives an item.
func attributes(name string) map[string]string {
	return map[string]string{"service": service, "username": name}
}

// dbusSecret is the specification's structure Secret.
type dbusSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// found returns our item among those that a search has found.
func (s *secretService) found(ctx context.Context, conn *dbus.Conn, search *dbus.Call) (dbus.ObjectPath, error) {
	var unlocked, locked []dbus.ObjectPath
	if err := (<-search.Done).Store(&unlocked, &locked); err != nil {
		return "", err
	}
	if len(unlocked)+len(locked) > 0 {
		item, isLocked, err := s.ours(ctx, conn, unlocked, locked)
		switch {
		case err != nil:
			return "", err
		case isLocked:
			return "", errItemLocked
		case item != "":
			return item, nil
		}
	}
	// gnome-keyring finds items of locked collections too (the keyring file
	// keeps hashes of attributes outside its encrypted part), but other
	// services cannot look into what is locked. So that no login is lost by
	// writing over it, nothing found in a locked collection is not a miss.
	if err := s.needUnlocked(ctx, conn); err != nil {
		return "", err
	}
	return "", ErrMiss
}

// ours picks the item of the collection that is written to; what lies in others
// would never be replaced. The usual case needs no further request.
func (s *secretService) ours(ctx context.Context, conn *dbus.Conn, unlocked, locked []dbus.ObjectPath) (item dbus.ObjectPath, isLocked bool, err error) {
	collection := loginCollection
	for {
		in := func(p dbus.ObjectPath) bool { return strings.HasPrefix(string(p), string(collection)+"/") }
		if i := slices.IndexFunc(unlocked, in); i >= 0 {
			return unlocked[i], false, nil
		}
		if slices.ContainsFunc(locked, in) {
			return "", true, nil
		}
		if collection != loginCollection {
			return "", false, nil
		}
		if collection, err = s.collection(ctx, conn); err != nil || collection == loginCollection {
			return "", false, err
		}
	}
}

// needUnlocked returns errCollectionLocked, errNoCollection, or nil if items can
// be read and written.
func (s *secretService) needUnlocked(ctx context.Context, conn *dbus.Conn) error {
	collection, err := s.collection(ctx, conn)
	if err != nil {
		return err
	}
	var locked bool
	if err := property(ctx, conn, collection, collectionInterface, "Locked", &locked); err != nil {
		return err
	}
	if locked {
		return errCollectionLocked
	}
	return nil
}

// collection is the one that go-keyring writes to: "login" if there is one,
// else the default.
func (s *secretService) collection(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.home != "" && s.conn == conn {
		return s.home, nil
	}
	var all []dbus.ObjectPath
	if err := property(ctx, conn, secretsPath, serviceInterface, "Collections", &all); err != nil {
		return "", err
	}
	path := loginCollection
	if !slices.Contains(all, path) {
		err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, serviceInterface+".ReadAlias", 0, "default").Store(&path)
		if err != nil {
			return "", err
		}
		if path == noObject {
			return "", errNoCollection
		}
	}
	if s.conn == conn {
		s.home = path
	}
	return path, nil
}

func property(ctx context.Context, conn *dbus.Conn, path dbus.ObjectPath, iface, name string, value any) error {
	var v dbus.Variant
	if err := conn.Object(secretsName, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, name).Store(&v); err != nil {
		return err
	}
	return v.Store(value)
}

// connect returns the connection to the session bus.
func (s *secretService) connect(ctx context.Context) (*dbus.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil && s.conn.Connected() {
		return s.conn, nil
	}
	address := sessionBusAddress(s.getenv, s.runtimeDir)
	if address == "" {
		return nil, errNoBus
	}
	conn, err := dialBus(ctx, address)
	if err != nil {
		return nil, err
	}
	s.conn, s.session, s.home = conn, "", ""
	return conn, nil
}

// openSession returns the session in which secrets are handed over: "plain",
// as go-keyring's, for the bus is the person's own. It ends with conn.
func (s *secretService) openSession(ctx context.Context, conn *dbus.Conn) (dbus.ObjectPath, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != "" && s.conn == conn {
		return s.session, nil
	}
	// Waited for through a Ctrl-C, until ctx's deadline: gnome-keyring-daemon (42.1)
	// ends where a caller is gone before this is answered.
	if deadline, bounded := ctx.Deadline(); bounded {
		through, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		ctx = through
	}
	var output dbus.Variant
	var session dbus.ObjectPath
	err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, serviceInterface+".OpenSession", 0,
		"plain", dbus.MakeVariant("")).Store(&output, &session)
	if err == nil && s.conn == conn {
		s.session = session
	}
	return session, err
}

func (s *secretService) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session, s.home = "", ""
}

func (s *secretService) unreachable(ctx context.Context, err error) error {
	var reason lockedError
	var answer dbus.Error
	locked := errors.As(err, &reason) ||
		errors.As(err, &answer) && answer.Name == "org.freedesktop.Secret.Error.IsLocked"
	if !locked && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var refused notTakenError
	return &UnreachableError{Where: s.name(), Locked: locked, Full: errors.As(err, &refused), Err: err}
}
