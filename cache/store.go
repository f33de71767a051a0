// Package cache keeps bytes in the OS keyring, and holds the locks under which
// one process renews them.
//
// A [Store] keeps records by key. What a record means is its caller's business.
// Writers of a record hold a lock of [Locks]; readers hold none, and see the
// old record or the new one, never a mix.
//
// Three answers are never the same value, because they have different
// remedies: there is no record ([ErrMiss]), there is something but not a whole
// record ([UnreadableError]), and nothing could be found out
// ([UnreachableError]).
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrMiss says that there is no such record.
var ErrMiss = errors.New("no such record")

// UnreadableError says that something is there, but not a whole record.
type UnreadableError struct {
	Where string // the storage, as of [Store.Name]
	Err   error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("record in %s is damaged: %v", e.Where, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// UnreachableError says that the storage could not be asked, or did not take
// what it was given: whether the record is there remains unknown.
type UnreachableError struct {
	Where  string // the storage, as of [Store.Name]
	Locked bool   // it is locked, and may hold the record
	Full   bool   // it is there, and takes nothing more: the disk below it is full, say
	Err    error
}

func (e *UnreachableError) Error() string {
	switch {
	case e.Locked:
		return fmt.Sprintf("%s is locked: %v", e.Where, e.Err)
	case e.Full:
		return fmt.Sprintf("%s takes nothing more: %v", e.Where, e.Err)
	}
	return fmt.Sprintf("%s cannot be used: %v", e.Where, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// lockedError is a reason why a locked storage stays locked.
type lockedError string

func (e lockedError) Error() string { return string(e) }

// What became of the dialog of [Store.Unlock].
const (
	ErrDismissed  lockedError = "its password was not given"
	ErrUnanswered lockedError = "nobody answered the dialog that asks for its password"
)

// Store keeps records of at most [MaxRecord] bytes. Keys are made with [Key].
// Every call ends in bounded time, whatever its context says.
type Store interface {
	// Get returns the record, [ErrMiss], an [*UnreadableError] or an
	// [*UnreachableError]. It raises no unlock dialog where the platform lets
	// us avoid it: a locked storage is an UnreachableError with Locked set.
	Get(ctx context.Context, key string) ([]byte, error)
	// CanAsk reports whether Unlock can raise a dialog from here at all.
	CanAsk() bool
	// Unlock may raise one dialog, where a display is, and waits for its
	// answer until ctx ends. Call it under a lock, after Get said Locked, so
	// that many waiting processes raise one dialog.
	Unlock(ctx context.Context) error
	// Set replaces the record, all or nothing for readers. The caller holds
	// the lock under which this key is written. An error that came from the
	// storage is an [*UnreachableError]; the old record stands then, unless
	// the storage took the new one and could not say so.
	//
	// until is when the record is worth nothing any more. A storage may forget
	// it from an hour later on, and one that is full drops such records, the
	// soonest first, to make room for others. The zero time: it is kept.
	Set(ctx context.Context, key string, value []byte, until time.Time) error
	// Delete removes the record; a missing one is no error.
	Delete(ctx context.Context, key string) error
	// Name is the storage's name for people: "Secret Service",
	// "kernel keyring", "macOS keychain", "Windows Credential Manager" or
	// "file", or what of them there is.
	Name() string
	// Where is the Name of the storage in which the record was seen last, for
	// storages that are several.
	Where(key string) string
}

// Options says where records are kept.
type Options struct {
	Storage  string              // auto, keyring, kernel or file
	StateDir string              // absolute; as of [StateDir]
	Getenv   func(string) string // nil: os.Getenv
	Now      func() time.Time    // nil: time.Now
}

// Open returns the store that o names. It connects to nothing yet.
func Open(o Options) (Store, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch o.Storage {
	case "auto":
		return openAuto(o)
	case "keyring":
		return openKeyring(o)
	case "kernel":
		return openKernel(o)
	case "file":
		return openFiles(o)
	default:
		return nil, fmt.Errorf("unknown storage %q; use auto, keyring, kernel or file", o.Storage)
	}
}

// Everywhere returns each storage that records could lie in on this machine,
// whatever o.Storage says, so that a logout forgets none of them. A storage in
// it may turn out to be unreachable.
func Everywhere(o Options) []Store {
	var stores []Store
	for _, storage := range []string{"keyring", "kernel", "file"} {
		o.Storage = storage
		if store, err := Open(o); err == nil {
			stores = append(stores, store)
		}
	}
	return stores
}

// Key makes a record key of parts: the hexadecimal SHA-256 of the parts, each
// behind its length, so that "a", "bc" and "ab", "c" differ.
func Key(parts ...string) string {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint64(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	sum := sha256.Sum256(joined)
	return hex.EncodeToString(sum[:])
}

// maxName bounds names of records and files, in bytes. An item's name is part
// of the command line that [macItemLimit] leaves room for.
const maxName = 100

// plainName reports whether name can be an item's and a file's name on every
// system as it is.
func plainName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
