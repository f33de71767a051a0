package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Login is where one login is kept: two items in one keyring, the login record
// and a key, and files in one folder of the state folder. Another process may
// move it at any time, so each call looks where it is.
type Login struct {
	storages   *Storages
	key        string
	auto       bool      // the setting storage is auto: the present place is kept
	candidates []Keyring // that the setting names, the one that is preferred first
}

// Dir is the folder of the login's files. It may not exist.
func (l *Login) Dir() string { return filepath.Join(l.storages.stateDir, l.key) }

// Key returns the key to the login's sealed files, and never unlocks. The error is
// ErrMiss, an *UnreadableError or an *UnreachableError.
func (l *Login) Key(ctx context.Context) (Key, error) {
	items, _, err := l.Present()
	if err != nil {
		return Key{}, err
	}
	text, err := items.Get(ctx, items.key())
	if err != nil {
		return Key{}, err
	}
	key, err := parseKey(text)
	if err != nil {
		return Key{}, &UnreadableError{Where: items.Name(), Err: err}
	}
	return key, nil
}

// Record returns the login record, with errors as those of [Login.Key]. The
// caller holds the login's lock, if it acts on it.
func (l *Login) Record(ctx context.Context) ([]byte, error) {
	items, _, err := l.Present()
	if err != nil {
		return nil, err
	}
	return items.Record(ctx)
}

// SetRecord replaces the login record, which is at most [MaxRecord] bytes. With an
// *UnreachableError the old record is kept, unless the storage took the new one and
// could not say so. The caller holds the login's lock, and has called [Login.Choose].
func (l *Login) SetRecord(ctx context.Context, data []byte) error {
	if len(data) > MaxRecord {
		return fmt.Errorf("login record of %d bytes is too large, the limit is %d", len(data), MaxRecord)
	}
	items, place, err := l.Present()
	if err != nil {
		return err
	}
	return items.Set(ctx, items.login(), "daypass: login "+place.IDP, data)
}

// NewKey replaces the key by a new one: files that the old one has sealed can no
// longer be read. Errors and conditions are those of [Login.SetRecord].
func (l *Login) NewKey(ctx context.Context) (Key, error) {
	items, place, err := l.Present()
	if err != nil {
		return Key{}, err
	}
	key := newKey()
	if err := items.Set(ctx, items.key(), "daypass: key "+place.IDP, key.text()); err != nil {
		return Key{}, err
	}
	return key, nil
}

// Forget deletes the login's folder, after all [Items] are deleted. The caller holds
// the login's lock.
func (l *Login) Forget() error {
	// Once it is renamed, no process finds it, and none can add to it.
	doomed := l.Dir() + tempMark
	err := removeFolder(doomed) // of a logout that was killed
	if err == nil {
		err = whileInUse(func() error { return os.Rename(l.Dir(), doomed) })
	}
	if err == nil {
		err = removeFolder(doomed)
	}
	return ignoreMiss(fileError(err))
}

// removeFolder removes a folder of files, if it exists; os.RemoveAll needs more of
// the system than Wine has. A write that had begun when the folder was renamed may
// still add a file: then it is tried again.
func removeFolder(dir string) (err error) {
	for range 10 {
		files, _ := os.ReadDir(dir)
		for _, file := range files {
			_ = os.Remove(filepath.Join(dir, file.Name()))
		}
		if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}

// Items are the two items of one login in one storage.
type Items struct {
	Keyring
	id string
}

func (i Items) key() string   { return "key-" + i.id }
func (i Items) login() string { return "login-" + i.id }

// Record returns the login record, with errors as those of [Login.Key].
func (i Items) Record(ctx context.Context) ([]byte, error) { return i.Get(ctx, i.login()) }

// Locked returns the error with which a locked keyring keeps one of the items back; nil:
// none does, whatever else goes wrong.
func (i Items) Locked(ctx context.Context) error {
	for _, item := range []string{i.key(), i.login()} {
		if _, err := i.Get(ctx, item); NeedsUnlock(err) {
			return err
		}
	}
	return nil
}

// Unlock makes the login readable. It may raise a dialog and wait for its answer: call
// it under a lock, after another call said Locked. If the login stays locked, the
// error is an *UnreachableError, with [ErrDismissed] or [ErrUnanswered] if it was asked for.
func (i Items) Unlock(ctx context.Context) error { return i.Keyring.Unlock(ctx, i.key(), i.login()) }

// Delete deletes the items: first the key, for then no sealed file can be read.
// Missing items are not an error. The caller holds the login's lock.
func (i Items) Delete(ctx context.Context) error {
	err := ignoreMiss(i.Remove(ctx, i.key()))
	if err == nil {
		err = ignoreMiss(i.Remove(ctx, i.login()))
	}
	return err
}

func ignoreMiss(err error) error {
	if errors.Is(err, ErrMiss) {
		return nil
	}
	return err
}

// Remove deletes a sealed file. A missing one is not an error.
func (l *Login) Remove(name string) error {
	return ignoreMiss(RemoveFile(l.Dir(), name+sealedSuffix))
}
