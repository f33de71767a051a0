package cache

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

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
)

// lockedError is a reason why a locked keyring stays locked.
type lockedError string

func (e lockedError) Error() string { return string(e) }

const (
	// errItemLocked says that our item is there, in a locked collection.
	errItemLocked lockedError = "it holds the record"
	// errCollectionLocked says that the collection where our item would be is
	// locked, and the service names no such item in it.
	errCollectionLocked lockedError = "it may hold the record"
	errNoDisplay        lockedError = "there is no display to ask for its password on"
	errDismissed        lockedError = "its password was not given"
	errUnanswered       lockedError = "nobody answered the dialog that asks for its password"
)

var errNoCollection = errors.New("it has no collection to keep a record in")

// secretService is the items of the Linux desktop's keyring. It reads over
// D-Bus directly, since only Service.SearchItems tells a locked item from a
// missing one without unlocking; go-keyring's Get unlocks first, and waits for
// the dialog without end. It also takes four calls less. Items have the form
// that go-keyring gives them, and are written by go-keyring.
type secretService struct {
	goKeyring
	getenv     func(string) string
	runtimeDir string // where the socket of the session bus lies without an address in the environment

	mu      sync.Mutex
	conn    *dbus.Conn      // dialed when first needed, then kept
	session dbus.ObjectPath // of conn; "" until opened
}

func openKeyring(getenv func(string) string) (Store, error) {
	s := &secretService{goKeyring: goKeyring{title: "Secret Service"}, getenv: getenv, runtimeDir: userRuntimeDir()}
	return &recordStore{items: s, read: readBound, write: writeBound}, nil
}

func (s *secretService) get(ctx context.Context, name string) ([]byte, error) {
	value, err := s.read(ctx, name)
	// A restarted daemon knows nothing of our session, and an item that was
	// replaced may have another path: look again, once.
	var answer dbus.Error
	if errors.As(err, &answer) && gone(answer.Name) {
		s.forgetSession()
		value, err = s.read(ctx, name)
	}
	if err != nil && !errors.Is(err, ErrMiss) {
		return nil, s.unreachable(ctx, err)
	}
	return value, err
}

func gone(errorName string) bool {
	switch errorName {
	case "org.freedesktop.Secret.Error.NoSession",
		"org.freedesktop.Secret.Error.NoSuchObject",
		"org.freedesktop.DBus.Error.UnknownObject",
		"org.freedesktop.DBus.Error.UnknownMethod": // gnome-keyring, of a path it does not know
		return true
	}
	return false
}

func (s *secretService) read(ctx context.Context, name string) ([]byte, error) {
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	// Both requests are under way before the first is answered.
	search := conn.Object(secretsName, secretsPath).GoWithContext(ctx, serviceInterface+".SearchItems", 0, nil,
		map[string]string{"service": service, "username": name})
	session, err := s.openSession(ctx, conn)
	if err != nil {
		return nil, err
	}
	var unlocked, locked []dbus.ObjectPath
	if err := (<-search.Done).Store(&unlocked, &locked); err != nil {
		return nil, err
	}
	if len(unlocked)+len(locked) > 0 {
		item, isLocked, err := s.ours(ctx, conn, unlocked, locked)
		switch {
		case err != nil:
			return nil, err
		case isLocked:
			return nil, errItemLocked
		case item != "":
			return getSecret(ctx, conn, item, session)
		}
	}
	// gnome-keyring finds items of locked collections too (the keyring file
	// keeps hashes of attributes outside its encrypted part), but other
	// services cannot look into what is locked. So that no login is lost by
	// writing over it, nothing found in a locked collection is not a miss.
	if err := s.needUnlocked(ctx, conn); err != nil {
		return nil, err
	}
	return nil, ErrMiss
}

// ours picks the item of the collection that go-keyring writes to; what lies in
// others would never be replaced. The usual case needs no further request.
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

func getSecret(ctx context.Context, conn *dbus.Conn, item, session dbus.ObjectPath) ([]byte, error) {
	var secret struct {
		Session     dbus.ObjectPath
		Parameters  []byte
		Value       []byte
		ContentType string
	}
	err := conn.Object(secretsName, item).CallWithContext(ctx, itemInterface+".GetSecret", 0, session).Store(&secret)
	return secret.Value, err
}

func (s *secretService) set(ctx context.Context, name string, value []byte) error {
	if err := s.writable(ctx); err != nil {
		return s.unreachable(ctx, err)
	}
	return s.goKeyring.set(ctx, name, value)
}

func (s *secretService) remove(ctx context.Context, name string) error {
	if err := s.writable(ctx); err != nil {
		return s.unreachable(ctx, err)
	}
	return s.goKeyring.remove(ctx, name)
}

// writable makes sure that go-keyring, called next, finds the bus that is read
// from (it would start one otherwise), and raises no dialog.
func (s *secretService) writable(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	// go-keyring knows the process's environment only.
	if sessionBusAddress(os.Getenv, s.runtimeDir) != sessionBusAddress(s.getenv, s.runtimeDir) {
		return errors.New("DBUS_SESSION_BUS_ADDRESS of this process names another bus")
	}
	return s.needUnlocked(ctx, conn)
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
	var all []dbus.ObjectPath
	if err := property(ctx, conn, secretsPath, serviceInterface, "Collections", &all); err != nil {
		return "", err
	}
	if slices.Contains(all, loginCollection) {
		return loginCollection, nil
	}
	var path dbus.ObjectPath
	err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, serviceInterface+".ReadAlias", 0, "default").Store(&path)
	if err != nil {
		return "", err
	}
	if path == "/" {
		return "", errNoCollection
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
	s.conn, s.session = conn, ""
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
	var output dbus.Variant
	var session dbus.ObjectPath
	err := conn.Object(secretsName, secretsPath).CallWithContext(ctx, serviceInterface+".OpenSession", 0,
		"plain", dbus.MakeVariant("")).Store(&output, &session)
	if err == nil && s.conn == conn {
		s.session = session
	}
	return session, err
}

func (s *secretService) forgetSession() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = ""
}

func (s *secretService) unreachable(ctx context.Context, err error) error {
	var reason lockedError
	var answer dbus.Error
	locked := errors.As(err, &reason) ||
		errors.As(err, &answer) && answer.Name == "org.freedesktop.Secret.Error.IsLocked"
	if !locked && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &UnreachableError{Where: s.title, Locked: locked, Err: err}
}
