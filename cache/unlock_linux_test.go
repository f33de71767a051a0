//go:build e2e

package cache

import (
	"context"
	"errors"
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

	mu        sync.Mutex
	locked    bool
	prompts   int
	dismissed bool
	elsewhere bool // items lie in another collection than the default one
	asks      bool // each write needs a prompt, as with KeePassXC
	calls     []string
	item      []byte // as CreateItem has given it
}

const (
	walletPath = dbus.ObjectPath("/org/freedesktop/secrets/collection/wallet")
	promptPath = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p1")
)

func startWallet(t *testing.T, answer string) *walletService {
	t.Helper()
	conn := sessionBus(t)
	t.Cleanup(func() { conn.Close() })
	value := []byte("the record")
	w := &walletService{conn: conn, answer: answer, locked: true, item: append(headerOf(value).line(), value...)}
	for _, export := range []struct {
		methods map[string]any
		path    dbus.ObjectPath
		iface   string
	}{
		{map[string]any{"SearchItems": w.searchItems, "OpenSession": w.openSession, "Unlock": w.unlock, "ReadAlias": w.readAlias}, secretsPath, serviceInterface},
		{map[string]any{"Get": w.property}, secretsPath, "org.freedesktop.DBus.Properties"},
		{map[string]any{"Get": w.property}, walletPath, "org.freedesktop.DBus.Properties"},
		{map[string]any{"CreateItem": w.createItem}, walletPath, collectionInterface},
		{map[string]any{"GetSecret": w.getSecret, "Delete": w.delete}, walletPath + "/1", itemInterface},
		{map[string]any{"Prompt": w.prompt, "Dismiss": w.dismiss}, promptPath, promptInterface},
	} {
		if err := conn.ExportMethodTable(export.methods, export.path, export.iface); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.RequestName(secretsName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *walletService) searchItems(map[string]string) (unlocked, locked []dbus.ObjectPath, _ *dbus.Error) {
	defer w.called("SearchItems")()
	unlocked = []dbus.ObjectPath{"/org/freedesktop/secrets/collection/wallets/7"}
	if !w.locked && !w.elsewhere {
		unlocked = append(unlocked, walletPath+"/1")
	}
	return unlocked, []dbus.ObjectPath{"/org/freedesktop/secrets/collection/old/3"}, nil
}

// called notes a call. The function it returns ends it.
func (w *walletService) called(method string) func() {
	w.mu.Lock()
	w.calls = append(w.calls, method)
	return w.mu.Unlock
}

// since returns the calls since it was called last.
func (w *walletService) since() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *walletService) createItem(_ map[string]dbus.Variant, secret dbusSecret, _ bool) (item, prompt dbus.ObjectPath, _ *dbus.Error) {
	defer w.called("CreateItem")()
	if w.asks {
		return "/", promptPath, nil
	}
	w.item = secret.Value
	return walletPath + "/1", "/", nil
}

func (w *walletService) delete() (dbus.ObjectPath, *dbus.Error) {
	defer w.called("Delete")()
	if w.asks {
		return promptPath, nil
	}
	return "/", nil
}

func (w *walletService) openSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	defer w.called("OpenSession")()
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s1", nil
}

func (w *walletService) unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	return nil, promptPath, nil
}

func (w *walletService) readAlias(string) (dbus.ObjectPath, *dbus.Error) {
	defer w.called("ReadAlias")()
	return walletPath, nil
}

func (w *walletService) property(_, name string) (dbus.Variant, *dbus.Error) {
	defer w.called(name)()
	if name == "Locked" {
		return dbus.MakeVariant(w.locked), nil
	}
	return dbus.MakeVariant([]dbus.ObjectPath{walletPath}), nil
}

func (w *walletService) getSecret(session dbus.ObjectPath) (dbusSecret, *dbus.Error) {
	defer w.called("GetSecret")()
	return dbusSecret{session, nil, w.item, "text/plain"}, nil
}

func (w *walletService) prompt(string) *dbus.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prompts++
	if w.answer == "" {
		return nil
	}
	w.locked = w.answer != "yes"
	w.calls = append(w.calls, "Prompt")
	// Completed of another prompt is not our answer.
	_ = w.conn.Emit(promptPath+"0", promptInterface+".Completed", !w.locked, dbus.MakeVariant(""))
	_ = w.conn.Emit(promptPath, promptInterface+".Completed", w.locked, dbus.MakeVariant([]dbus.ObjectPath{walletPath}))
	return nil
}

func (w *walletService) dismiss() *dbus.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	return nil
}

func (w *walletService) seen() (prompts int, dismissed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prompts, w.dismissed
}

func TestUnlockDialog(t *testing.T) {
	tests := []struct {
		answer, display string
		want            error
		prompts         int
	}{
		{"yes", "DISPLAY", nil, 1},
		{"yes", "WAYLAND_DISPLAY", nil, 1},
		{"no", "DISPLAY", ErrDismissed, 1},
		{"", "DISPLAY", ErrUnanswered, 1},
		{"yes", "", errNoDisplay, 0},
	}
	for _, tt := range tests {
		t.Run(tt.answer+" "+tt.display, func(t *testing.T) {
			startDesktop(t)
			if tt.display != "" {
				t.Setenv(tt.display, ":0")
			}
			wallet := startWallet(t, tt.answer)
			store := desktopKeyring(t)
			if _, err := store.Get(t.Context(), "k"); !errors.Is(err, errCollectionLocked) {
				t.Errorf("before: %v, want %v", err, errCollectionLocked)
			}
			wait := 300 * time.Millisecond
			if tt.want == nil {
				wait = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			err := store.Unlock(ctx)
			if !errors.Is(err, tt.want) {
				t.Errorf("unlock: %v, want %v", err, tt.want)
			}
			var unreachable *UnreachableError
			if tt.want != nil && (!errors.As(err, &unreachable) || !unreachable.Locked) {
				t.Errorf("unlock: %v, want Locked", err)
			}
			got, err := store.Get(t.Context(), "k")
			if tt.want == nil && (err != nil || string(got) != "the record") {
				t.Errorf("after: %q, %v", got, err)
			}
			if tt.want != nil && !errors.Is(err, errCollectionLocked) {
				t.Errorf("after: %v, want %v", err, errCollectionLocked)
			}
			if prompts, dismissed := wallet.seen(); prompts != tt.prompts || dismissed {
				t.Errorf("%d prompts, dismissed %v, want %d and none dismissed", prompts, dismissed, tt.prompts)
			}
		})
	}
}

// What lies in other collections is never written by us: it is not our record.
func TestItemElsewhere(t *testing.T) {
	startDesktop(t)
	wallet := startWallet(t, "yes")
	wallet.mu.Lock()
	wallet.locked, wallet.elsewhere = false, true
	wallet.mu.Unlock()
	if got, err := desktopKeyring(t).Get(t.Context(), "k"); !errors.Is(err, ErrMiss) {
		t.Errorf("got %q, %v, want ErrMiss", got, err)
	}
}
