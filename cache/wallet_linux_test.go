//go:build e2e

package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// walletService is a Secret Service that behaves as gnome-keyring does not:
// its default collection is not named login, it finds nothing in what is
// locked, and its dialog does what the test says.
type walletService struct {
	conn   *dbus.Conn
	answer string // to the dialog: "yes", "no", or "" for none

	mu         sync.Mutex
	locked     bool // the collection
	itemLocked bool // the item in it: KeePassXC can ask for each
	collection dbus.ObjectPath
	item       []byte            // as CreateItem has given it
	locksLate  bool              // the item, once it was found
	twin       bool              // another item of the name is in the old collection
	unnoted    bool              // the caller, as yet
	asked      map[string]func() // called by a method, before it answers

	unlocking []dbus.ObjectPath // what the prompt is for
	calls     []string
}

const (
	walletPath = dbus.ObjectPath("/org/freedesktop/secrets/collection/wallet")
	oldPath    = dbus.ObjectPath("/org/freedesktop/secrets/collection/old")
	promptPath = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p1")
)

func startWallet(t *testing.T, answer string) *walletService {
	t.Helper()
	startDesktop(t)
	conn := sessionBus(t)
	t.Cleanup(func() { conn.Close() })
	w := &walletService{conn: conn, answer: answer, collection: walletPath, item: []byte("the record")}
	for _, path := range []dbus.ObjectPath{walletPath, oldPath} {
		for _, export := range []struct {
			methods map[string]any
			path    dbus.ObjectPath
			iface   string
		}{
			{map[string]any{"SearchItems": w.searchItems, "OpenSession": w.openSession, "Unlock": w.unlock, "ReadAlias": w.readAlias}, secretsPath, secretAPI + "Service"},
			{map[string]any{"Get": w.property}, secretsPath, "org.freedesktop.DBus.Properties"},
			{map[string]any{"SearchItems": w.searchHome}, homePath, secretAPI + "Collection"},
			{map[string]any{"Get": w.property}, path, "org.freedesktop.DBus.Properties"},
			{map[string]any{"CreateItem": w.createItem(path)}, path, secretAPI + "Collection"},
			{map[string]any{"GetSecret": w.getSecret, "Delete": w.delete}, path + "/1", secretAPI + "Item"},
			{map[string]any{"Prompt": w.prompt, "Dismiss": w.dismiss}, promptPath, secretAPI + "Prompt"},
		} {
			must(t, conn.ExportMethodTable(export.methods, export.path, export.iface))
		}
	}
	if _, err := conn.RequestName(secretsName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return w
}

// called notes a call. The function it returns ends it.
func (w *walletService) called(method string) func() {
	w.mu.Lock()
	w.calls = append(w.calls, method)
	if asked := w.asked[method]; asked != nil {
		asked()
	}
	return w.mu.Unlock
}

// with changes the service.
func (w *walletService) with(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
	change()
}

func (w *walletService) searchItems(map[string]string) (unlocked, locked []dbus.ObjectPath, _ *dbus.Error) {
	defer w.called("SearchItems")()
	switch found := []dbus.ObjectPath{w.collection + "/1"}; {
	case w.locked || w.item == nil:
		return nil, nil, nil
	case w.itemLocked:
		return nil, found, nil
	case w.twin:
		return append([]dbus.ObjectPath{oldPath + "/1"}, found...), nil, nil
	default:
		return found, nil, nil
	}
}

func (w *walletService) searchHome(map[string]string) (found []dbus.ObjectPath, _ *dbus.Error) {
	defer w.called("Collection.SearchItems")()
	if w.unnoted {
		w.unnoted = false
		return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownMethod", nil)
	}
	if !w.locked && w.item != nil && w.collection == walletPath {
		found = append(found, walletPath+"/1")
	}
	return found, nil
}

func (w *walletService) createItem(collection dbus.ObjectPath) any {
	return func(_ map[string]dbus.Variant, secret sessionSecret, _ bool) (item, prompt dbus.ObjectPath, _ *dbus.Error) {
		defer w.called("CreateItem in " + string(collection))()
		w.item, w.collection = secret.Value, collection
		return walletPath + "/1", "/", nil
	}
}

func (w *walletService) delete() (dbus.ObjectPath, *dbus.Error) {
	defer w.called("Delete")()
	w.item = nil
	return "/", nil
}

func (w *walletService) openSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	defer w.called("OpenSession")()
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s1", nil
}

func (w *walletService) unlock(objects []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	defer w.called("Unlock")()
	w.unlocking = objects
	return nil, promptPath, nil
}

func (w *walletService) readAlias(string) (dbus.ObjectPath, *dbus.Error) {
	defer w.called("ReadAlias")()
	return walletPath, nil
}

func (w *walletService) property(_, name string) (dbus.Variant, *dbus.Error) {
	defer w.called(name)()
	return dbus.MakeVariant(w.locked), nil
}

func (w *walletService) getSecret(session dbus.ObjectPath) (sessionSecret, *dbus.Error) {
	defer w.called("GetSecret")()
	if w.locksLate || w.itemLocked {
		return sessionSecret{}, dbus.NewError("org.freedesktop.Secret.Error.IsLocked", nil)
	}
	return sessionSecret{session, nil, w.item, "text/plain"}, nil
}

func (w *walletService) prompt(string) *dbus.Error {
	defer w.called("Prompt")()
	if w.answer == "" {
		return nil
	}
	if w.answer == "yes" {
		w.locked = w.locked && !slices.Contains(w.unlocking, walletPath)
		w.itemLocked = w.itemLocked && !slices.Contains(w.unlocking, w.collection+"/1")
	}
	// Completed of another prompt is not our answer.
	_ = w.conn.Emit(promptPath+"0", secretAPI+"Prompt.Completed", w.answer == "yes", dbus.MakeVariant(""))
	_ = w.conn.Emit(promptPath, secretAPI+"Prompt.Completed", w.answer != "yes", dbus.MakeVariant(w.unlocking))
	return nil
}

func (w *walletService) dismiss() *dbus.Error {
	defer w.called("Dismiss")()
	return nil
}

// seen returns the calls since the last change.
func (w *walletService) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func TestUnlockDialog(t *testing.T) {
	for _, tt := range []struct {
		answer, display  string
		collection, item bool // is locked
		want             error
		prompts          int
	}{
		{"yes", "DISPLAY", true, false, nil, 1},
		{"yes", "WAYLAND_DISPLAY", true, false, nil, 1},
		{"yes", "DISPLAY", false, true, nil, 1},
		{"yes", "DISPLAY", true, true, nil, 2},
		{"yes", "DISPLAY", false, false, nil, 0},
		{"no", "DISPLAY", true, false, ErrDismissed, 1},
		{"no", "DISPLAY", false, true, ErrDismissed, 1},
		{"", "DISPLAY", true, false, ErrUnanswered, 1},
		{"yes", "", true, false, errNoDisplay, 0},
		{"yes", "", false, true, errNoDisplay, 0},
	} {
		wallet := startWallet(t, tt.answer)
		if tt.display != "" {
			t.Setenv(tt.display, ":0")
		}
		wallet.with(func() { wallet.locked, wallet.itemLocked = tt.collection, tt.item })
		s := desktopService(t)
		before := errCollectionLocked
		if !tt.collection {
			before = ErrConfirms
		}
		if _, err := s.Get(t.Context(), "k"); (tt.collection || tt.item) && !errors.Is(err, before) {
			t.Errorf("%+v: before: %v, want %v", tt, err, before)
		}
		if names, _ := s.List(t.Context()); tt.collection && slices.Contains(wallet.seen(), "SearchItems") {
			t.Errorf("%+v: a locked service was searched, and found %q: KeePassXC raises a dialog then", tt, names)
		}
		patience := 10 * time.Second
		if tt.want != nil {
			patience = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := s.Unlock(ctx, "k", "k2")
		cancel()
		if !errors.Is(err, tt.want) {
			t.Errorf("%+v: unlock: %v, want %v", tt, err, tt.want)
		}
		if tt.want != nil {
			wantUnreachable(t, "unlock", err, true, "")
		}
		got, err := s.Get(t.Context(), "k")
		if tt.want == nil && (err != nil || string(got) != "the record") || tt.want != nil && !errors.Is(err, before) {
			t.Errorf("%+v: after: %q, %v", tt, got, err)
		}
		if n := len(slices.DeleteFunc(wallet.seen(), func(call string) bool { return call != "Prompt" && call != "Dismiss" })); n != tt.prompts {
			t.Errorf("%+v: %d prompts, or some that were dismissed", tt, n)
		}
	}
}

// An item is read, replaced and removed in the collection where it is, of two that are in
// the default one; a new one goes into the default one.
func TestItemElsewhere(t *testing.T) {
	wallet := startWallet(t, "")
	s := desktopService(t)
	set := func(want dbus.ObjectPath) {
		t.Helper()
		must(t, s.Set(t.Context(), "k", "label", []byte("new")))
		if calls := wallet.seen(); calls[len(calls)-1] != "CreateItem in "+string(want) {
			t.Errorf("%q, want the item in %s", calls, want)
		}
	}
	wallet.with(func() { wallet.twin = true })
	set(walletPath)
	wallet.with(func() { wallet.twin, wallet.collection, wallet.item = false, oldPath, []byte("the record") })
	if got, err := s.Get(t.Context(), "k"); err != nil || string(got) != "the record" {
		t.Errorf("get: %q, %v", got, err)
	}
	for _, want := range []dbus.ObjectPath{oldPath, walletPath} {
		wallet.with(func() {})
		set(want)
		must(t, s.Remove(t.Context(), "k"))
		wantMiss(t, "after its end")(s.Get(t.Context(), "k"))
	}
}

// The first call on a connection is one that a daemon can answer that has not yet
// noted who calls: gnome-keyring aborts at others, and fails a search. A read makes
// two more.
func TestFirstCall(t *testing.T) {
	wallet := startWallet(t, "")
	get := func(s *secretService) error { _, err := s.Get(t.Context(), "k"); return err }
	for _, tt := range []struct {
		name    string
		f       func(*secretService) error
		unnoted bool
		calls   []string
	}{
		{"get", get, false, []string{"Collection.SearchItems", "OpenSession", "GetSecret"}},
		{"get of one not noted", get, true, []string{"Collection.SearchItems", "OpenSession", "ReadAlias", "Locked", "SearchItems", "GetSecret"}},
		{"unlock", func(s *secretService) error { return s.Unlock(t.Context(), "k") }, false, []string{"ReadAlias"}},
		{"list", func(s *secretService) error { _, err := s.List(t.Context()); return err }, false, []string{"ReadAlias"}},
		{"set", func(s *secretService) error { return s.Set(t.Context(), "k", "label", nil) }, false, []string{"ReadAlias"}},
		{"remove", func(s *secretService) error { return s.Remove(t.Context(), "k") }, false, []string{"ReadAlias"}},
	} {
		wallet.with(func() { wallet.unnoted = tt.unnoted })
		err := tt.f(desktopService(t))
		calls := wallet.seen()
		if len(tt.calls) == 1 && len(calls) > 0 {
			calls = calls[:1]
		}
		if err != nil || !slices.Equal(calls, tt.calls) {
			t.Errorf("%s: %v, calls %q, want %q", tt.name, err, calls, tt.calls)
		}
	}
	// The service locks the item between the search and the read.
	wallet.with(func() { wallet.item, wallet.locksLate = []byte("the record"), true })
	_, err := desktopService(t).Get(t.Context(), "k")
	wantUnreachable(t, "locked late", err, true, "")
	// A Ctrl-C while it searches: the answer to OpenSession would find nobody.
	ctx, cancel := context.WithCancel(t.Context())
	wallet.with(func() { wallet.asked = map[string]func(){"Collection.SearchItems": cancel} })
	_, err = desktopService(t).Get(ctx, "k")
	wantUnreachable(t, "broken off", err, false, context.Canceled.Error())
	if calls := wallet.seen(); len(calls) != 1 {
		t.Errorf("broken off: calls %q", calls)
	}
	// A session that does not open is not waited for longer than a read may take, and its
	// late answer is not that to another question.
	answer := make(chan struct{})
	wallet.with(func() { wallet.locksLate, wallet.asked = false, map[string]func(){"OpenSession": func() { <-answer }} })
	s := desktopService(t)
	s.read = 100 * time.Millisecond
	begun := time.Now()
	_, err = s.Get(t.Context(), "k")
	wantUnreachable(t, "late", err, false, "")
	if waited := time.Since(begun); waited > time.Second {
		t.Errorf("late: waited %v", waited)
	}
	conn := kept(s)
	close(answer)
	s.read = readBound
	if got, err := s.Get(t.Context(), "k"); err != nil || string(got) != "the record" || kept(s) != conn {
		t.Errorf("after a late answer: %q, %v", got, err)
	}
}

// kept is the connection that is kept.
func kept(s *secretService) *bus {
	conn := <-s.idle
	s.idle <- conn
	return conn
}

// KeePassXC allows a connection what a person has allowed once, and a dialog that
// nobody has answered ends with its connection: so one is kept while it is good.
func TestOneConnection(t *testing.T) {
	wallet := startWallet(t, "")
	t.Setenv("DISPLAY", ":0")
	s := desktopService(t)
	get := func() *bus {
		t.Helper()
		if got, err := s.Get(t.Context(), "k"); err != nil || string(got) != "the record" {
			t.Errorf("%q, %v", got, err)
		}
		return kept(s)
	}
	first := get()
	// Two talk in turn, as those may that ask exec's server.
	connections := func() (names []string) {
		must(t, wallet.conn.BusObject().Call(busName+".ListNames", 0).Store(&names))
		return names
	}
	before, second := connections(), make(chan *bus)
	wallet.with(func() {
		wallet.asked = map[string]func(){"OpenSession": sync.OnceFunc(func() {
			go func() { second <- get() }()
			time.Sleep(50 * time.Millisecond)
			if now := connections(); len(now) != len(before) {
				t.Errorf("%q, before %q", now, before)
			}
		})}
	})
	if get() != first || <-second != first {
		t.Error("another connection was made beside it")
	}
	wallet.with(func() { wallet.locked = true })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Unlock(ctx, "k"); !errors.Is(err, ErrUnanswered) {
		t.Error(err)
	}
	wallet.with(func() { wallet.locked = false })
	if get() != first {
		t.Error("another connection was made")
	}
	must(t, first.CloseWrite())
	for first.isOpen() {
		time.Sleep(time.Millisecond)
	}
	if get() == first {
		t.Error("the bus has hung up, and it is the same connection")
	}
}
