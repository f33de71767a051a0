package cache

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// memory is a keyring that does what a test says.
type memory struct {
	id     string
	items  map[string]string
	broken error  // with which everything fails
	dialog bool   // whether unlock can ask
	listed func() // if it is set, what happens while a List is under way
}

func newMemory(id string) *memory { return &memory{id: id, items: map[string]string{}} }

func (m *memory) Kind() string { return m.id }

func (m *memory) Name() string { return "the " + m.id }

func (m *memory) Get(_ context.Context, item string) ([]byte, error) {
	value, ok := m.items[item]
	if m.broken == nil && !ok {
		return nil, ErrMiss
	}
	return []byte(value), m.broken
}

func (m *memory) Set(_ context.Context, item, _ string, value []byte) error {
	if m.broken == nil {
		m.items[item] = string(value)
	}
	return m.broken
}

func (m *memory) Remove(_ context.Context, item string) error {
	if _, ok := m.items[item]; m.broken == nil && !ok {
		return ErrMiss
	}
	if m.broken == nil {
		delete(m.items, item)
	}
	return m.broken
}

func (m *memory) List(context.Context) (names []string, err error) {
	if m.listed != nil {
		m.listed()
	}
	for name := range m.items {
		names = append(names, name)
	}
	return names, m.broken
}

func (m *memory) CanAsk() bool { return m.dialog }

func (m *memory) Unlock(context.Context, ...string) error { m.broken = nil; return nil }

var (
	errGone = &UnreachableError{Where: "the keyring", Err: errors.New("no bus")}
	errShut = &UnreachableError{Where: "the keyring", Locked: true, Err: errItemShut}
)

var errItemShut error = lockedError{errors.New("shut")}

// testStorages are two keyrings, "first" and "kernel", and files.
func testStorages(t *testing.T) (s *Storages, first, kernel *memory) {
	dir := filepath.Join(t.TempDir(), "state")
	first, kernel = newMemory("first"), newMemory("kernel")
	return Open(dir, nil, []Keyring{first, kernel}), first, kernel
}

func testLogin(t *testing.T, s *Storages, setting string) *Login {
	t.Helper()
	l, err := s.Login(Name("corp"), setting)
	must(t, err)
	return l
}

// unlock has a person who is there unlock it.
func unlock(t *testing.T) func(Items, error) error {
	return func(items Items, _ error) error { return items.Unlock(t.Context()) }
}

// storeLogin stores a login as a process that was told this setting.
func storeLogin(t *testing.T, s *Storages, setting, record string) (*Login, Key) {
	t.Helper()
	l := testLogin(t, s, setting)
	must(t, l.Choose(t.Context(), "corp", nil))
	key, err := l.NewKey(t.Context())
	must(t, err)
	must(t, l.SetRecord(t.Context(), []byte(record)))
	return l, key
}

func wantPlace(t *testing.T, l *Login, storage string, earlier ...string) Place {
	t.Helper()
	place, err := l.Place()
	if err != nil || place.Storage != storage || !slices.Equal(place.Earlier, earlier) || place.IDP != "corp" || !isID(place.ID) {
		t.Errorf("place is %+v, %v, want %s and earlier %q", place, err, storage, earlier)
	}
	return place
}

func wantRecord(t *testing.T, l *Login, want string) {
	t.Helper()
	if got, err := l.Record(t.Context()); err != nil || string(got) != want {
		t.Errorf("record is %q, %v, want %q", got, err, want)
	}
}

func TestLogin(t *testing.T) {
	s, first, kernel := testStorages(t)
	_, keyErr := testLogin(t, s, "auto").Key(t.Context())
	_, recordErr := testLogin(t, s, "auto").Record(t.Context())
	if items, err := testLogin(t, s, "auto").Items(); keyErr != ErrMiss || recordErr != ErrMiss || len(items) != 0 || err != nil {
		t.Errorf("no login: key %v, record %v, items %v, %v", keyErr, recordErr, items, err)
	}
	if _, err := os.Lstat(s.stateDir); err == nil {
		t.Error("reading has made the state folder")
	}
	l, key := storeLogin(t, s, "auto", "v1")
	place := wantPlace(t, l, "first")
	if l.Where() != "the first" {
		t.Errorf("where: %s", l.Where())
	}
	again := testLogin(t, s, "auto")
	wantRecord(t, again, "v1")
	if got, err := again.Key(t.Context()); err != nil || !got.Equal(key.String) || got.Empty() {
		t.Errorf("another key came back, %v", err)
	}
	if len(first.items) != 2 || len(kernel.items) != 0 || first.items["login-"+place.ID] != "v1" || first.items["key-"+place.ID] != string(key.text()) {
		t.Errorf("the keyring holds %q", first.items)
	}
	if keys, err := s.Logins(); err != nil || !slices.Equal(keys, []string{l.key}) {
		t.Errorf("logins: %q, %v", keys, err)
	}
	if err := l.SetRecord(t.Context(), make([]byte, MaxRecord+1)); err == nil {
		t.Error("a record that is too large is taken")
	}
	for _, rubbish := range []string{"", "rubbish", string(key.text()[:40]), strings.Repeat("A", 64)} {
		first.items["key-"+place.ID] = rubbish
		_, err := again.Key(t.Context())
		wantUnreadable(t, rubbish, err, "not a key")
	}
	delete(first.items, "key-"+place.ID)
	wantMiss(t, "no key")(again.Key(t.Context()))
}

// A place that is out of reach is an error, never another place and never a miss.
func TestPlaceOutOfReach(t *testing.T) {
	s, first, kernel := testStorages(t)
	l, _ := storeLogin(t, s, "auto", "v1")
	for _, broken := range []*UnreachableError{errGone, errShut} {
		first.broken = broken
		must(t, l.Choose(t.Context(), "corp", unlock(t)))
		wantPlace(t, l, "first")
		_, keyErr := l.Key(t.Context())
		_, recordErr := l.Record(t.Context())
		_, newErr := l.NewKey(t.Context())
		items, err := l.Items()
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		for call, err := range map[string]error{
			"key": keyErr, "record": recordErr, "new key": newErr, "set": l.SetRecord(t.Context(), nil), "delete": items[0].Delete(t.Context()),
		} {
			if err != broken {
				t.Errorf("%s: %v, want %v", call, err, broken)
			}
		}
	}
	if len(kernel.items) != 0 {
		t.Errorf("the other keyring holds %q", kernel.items)
	}
	first.dialog = true
	items, _, err := l.Present()
	if must(t, err); !items.CanAsk() {
		t.Error("cannot ask")
	}
	must(t, items.Unlock(t.Context()))
	wantRecord(t, l, "v1")

	// A place of another system, by a home folder that both use.
	place, _ := l.Place()
	place.Storage = "keychain"
	data, _ := json.Marshal(place)
	must(t, WriteFile(l.Dir(), placeFile, data))
	_, err = l.Key(t.Context())
	wantUnreachable(t, "key", err, false, "this system does not have it")
	_, err = l.Items()
	wantUnreachable(t, "items", err, false, "this system does not have it")
}

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		name           string
		first, kernel  error
		dialog, canAsk bool
		want, err      string
	}{
		{name: "unlocked", want: "first"},
		{name: "out of reach", first: errGone, want: "kernel"},
		{name: "locked, nobody to ask", first: errShut, dialog: true, want: "kernel"},
		{name: "locked, no display", first: errShut, canAsk: true, want: "kernel"},
		{name: "locked, can be unlocked", first: errShut, dialog: true, canAsk: true, want: "first"},
		{name: "nothing", first: errGone, kernel: errGone, err: "the keyring cannot be used: no bus"},
	} {
		s, first, kernel := testStorages(t)
		first.broken, first.dialog, kernel.broken = tt.first, tt.dialog, tt.kernel
		l := testLogin(t, s, "auto")
		var ask func(Items, error) error
		if tt.canAsk {
			ask = unlock(t)
		}
		err := l.Choose(t.Context(), "corp", ask)
		if tt.err != "" {
			wantUnreachable(t, tt.name, err, false, tt.err)
			if _, err := l.Place(); err != ErrMiss {
				t.Errorf("%s: place %v, want ErrMiss", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		wantPlace(t, l, tt.want)
	}

	// A setting is not replaced by another storage.
	s, first, _ := testStorages(t)
	first.broken = errShut
	if err := testLogin(t, s, "keyring").Choose(t.Context(), "corp", unlock(t)); err != errShut {
		t.Errorf("keyring: %v, want %v", err, errShut)
	}
}

// With another setting, the login is elsewhere: what is there is not looked at, a
// new login moves the place, and logout reaches all of them.
func TestMove(t *testing.T) {
	s, first, _ := testStorages(t)
	l, _ := storeLogin(t, s, "auto", "v1")
	id := wantPlace(t, l, "first").ID

	l = testLogin(t, s, "kernel")
	wantMiss(t, "key")(l.Key(t.Context()))
	if _, err := l.Record(t.Context()); err != ErrMiss || l.Where() != "the kernel" {
		t.Errorf("record: %v in %s, want ErrMiss", err, l.Where())
	}
	l, _ = storeLogin(t, s, "kernel", "v2")
	if place := wantPlace(t, l, "kernel", "first"); place.ID != id {
		t.Errorf("the id is %s, was %s", place.ID, id)
	}
	wantRecord(t, testLogin(t, s, "auto"), "v2")

	// Back again: the old login there, with a used refresh token, is not taken up.
	l = testLogin(t, s, "keyring")
	first.broken = errGone
	if err := l.Choose(t.Context(), "corp", nil); err != errGone {
		t.Errorf("choose: %v, want %v", err, errGone)
	}
	wantPlace(t, l, "kernel", "first")
	first.broken, first.dialog = errShut, true
	must(t, l.Choose(t.Context(), "corp", unlock(t)))
	wantPlace(t, l, "first", "kernel")
	wantMiss(t, "record")(l.Record(t.Context()))
	storeLogin(t, s, "keyring", "v3")
	storeLogin(t, s, "file", "v4")
	wantPlace(t, l, "file", "kernel", "first")

	items, err := testLogin(t, s, "auto").Items()
	must(t, err)
	var got []string
	for _, i := range items {
		record, err := i.Record(t.Context())
		got = append(got, i.Name()+" "+string(record))
		must(t, err)
	}
	if diff := cmp.Diff([]string{"file v4", "the kernel v2", "the first v3"}, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestBadPlace(t *testing.T) {
	s, first, _ := testStorages(t)
	l, _ := storeLogin(t, s, "auto", "v1")
	good, err := l.Place()
	must(t, err)
	for _, text := range []string{`{"id":"..","storage":"first"}`, `{"id":"` + good.ID + `"}`, `{"storage":"first"}`, `{"id":"` + good.ID + `","storage":"first"}` + strings.Repeat(" ", 4<<10)} {
		must(t, WriteFile(l.Dir(), placeFile, []byte(text)))
		_, err := l.Key(t.Context())
		wantUnreadable(t, text[:4], err, "")
	}
	// The login of before is a stray; the next one repairs the place.
	strays, err := s.Strays(t.Context())
	if err != nil || len(strays) != 1 {
		t.Fatalf("%d strays, %v", len(strays), err)
	}
	if record, err := strays[0].Record(t.Context()); err != nil || string(record) != "v1" || strays[0].Name() != "the first" {
		t.Errorf("stray %q, %v in %s", record, err, strays[0].Name())
	}
	storeLogin(t, s, "auto", "v2")
	if place := wantPlace(t, l, "first"); place.ID == good.ID {
		t.Error("the new place has the old id")
	}
	must(t, strays[0].Delete(t.Context()))
	wantRecord(t, l, "v2")
	first.items["login-x"], first.items["login-"+newID()+".a.0"], first.items["other"] = "", "", ""
	if strays, err := s.Strays(t.Context()); err != nil || len(strays) != 0 {
		t.Errorf("%d strays, %v, want none", len(strays), err)
	}
	first.broken = errGone
	if strays, err := s.Strays(t.Context()); err != errGone || len(strays) != 0 {
		t.Errorf("%d strays in what is out of reach, %v", len(strays), err)
	}
	must(t, s.Sweep(t.Context()))
	first.broken = nil
	first.listed = func() { storeLogin(t, s, "auto", "v3") }
	must(t, l.Forget())
	if strays, err := s.Strays(t.Context()); err != nil || len(strays) != 1 || strays[0].id == wantPlace(t, l, "first").ID {
		t.Errorf("a login that was stored meanwhile is a stray: %v, %v", strays, err)
	}
}

// A login of another machine that shares this home folder is in a keyring that only
// that one reaches: its folder stays, also if the login is in a file by now. What this
// machine has of it is a stray.
func TestAnotherMachine(t *testing.T) {
	for _, c := range []struct {
		storage string
		earlier []string
		listed  int
	}{{"first", nil, 0}, {"file", nil, 1}, {"file", []string{"kernel"}, 0}} {
		s, first, _ := testStorages(t)
		l, _ := storeLogin(t, s, c.storage, "v1")
		place := wantPlace(t, l, c.storage)
		place.Machine, place.Earlier = Name("machine", "another"), c.earlier
		data, _ := json.Marshal(place)
		must(t, WriteFile(l.Dir(), placeFile, data))
		keys, err := s.Logins()
		strays, strayErr := s.Strays(t.Context())
		if err != nil || strayErr != nil || len(keys) != c.listed || len(strays) != 1-c.listed {
			t.Errorf("%+v: logins %q, %v, strays %v, %v", c, keys, err, strays, strayErr)
		}
		clear(first.items)
		must(t, os.RemoveAll(filepath.Join(s.stateDir, "items")))
		if strays, err := s.Strays(t.Context()); err != nil || len(strays) != 0 {
			t.Errorf("%+v: strays %v, %v", c, strays, err)
		}
	}
}
