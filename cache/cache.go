// Package cache keeps logins: in a keyring, in files sealed with a key from that
// keyring, and in plain files for what is not secret. A [Login] lies in exactly one
// of the [Storages] of this machine, and a file, its [Place], says in which.
//
// Writers of a record hold a lock of [Locks]; so does whoever acts on a login record.
// Readers of the key and of sealed files hold none.
//
// [ErrMiss], [UnreadableError] and [UnreachableError] are never the same value,
// because they have different remedies.
package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

// MaxRecord is the largest record that is written or read, in bytes. It holds
// several times the largest token that STS takes (20 kB).
const MaxRecord = 128 << 10

// ErrMiss says that there is no such record.
var ErrMiss = errors.New("no such record")

// UnreadableError says that something is there, but not a whole record.
type UnreadableError struct {
	Where string // the storage's name for people, or the path of a file
	Err   error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("record in %s is damaged: %v", e.Where, e.Err)
}
func (e *UnreadableError) Unwrap() error { return e.Err }

// UnreachableError says that the storage could not be asked, or did not take
// what it was given: whether the record is there remains unknown.
type UnreachableError struct {
	Where  string // the storage's name for people
	Locked bool   // it may hold the record
	Full   bool   // the disk below it is full
	Err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s cannot be used: %v", e.Where, e.Err)
}
func (e *UnreachableError) Unwrap() error { return e.Err }

// NeedsUnlock reports whether a storage is locked, and may hold the record.
func NeedsUnlock(err error) bool {
	out, unreachable := errors.AsType[*UnreachableError](err)
	return unreachable && out.Locked
}

// lockedError is a reason why a locked storage stays locked.
type lockedError struct{ error }

func (e lockedError) Unwrap() error { return e.error }

// ErrConfirms says that the storage is unlocked, but gives the record only to a
// process that a person has allowed to have it, as KeePassXC can.
var ErrConfirms error = lockedError{errors.New("it asks before it gives the record to a program")}

// What became of a dialog of the storage's, at [Items.Unlock] or a deletion.
var (
	ErrDismissed  = errors.New("its dialog was dismissed")
	ErrUnanswered = errors.New("nobody answered its dialog")
)

// Name makes a name for a login's folder or a lock: the hexadecimal SHA-256 of the
// parts, each behind its length, so that "a", "bc" and "ab", "c" differ.
func Name(parts ...string) string {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint64(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	sum := sha256.Sum256(joined)
	return hex.EncodeToString(sum[:])
}

// MachineID returns the machine-id(5) of a Linux machine, by which two machines
// that share a home folder are told apart; "" where there is none.
func MachineID() string {
	id, _ := os.ReadFile("/etc/machine-id")
	return strings.TrimSpace(string(id))
}

func machine() string { return Name("machine", MachineID()) }

// isHex reports whether s is n lower-case hexadecimal digits.
func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }

// service is the service name under which all items lie in a keyring.
const service = "daypass"

const (
	readBound   = 2 * time.Second  // for a read where no dialog can be shown
	dialogBound = 60 * time.Second // where a person may be asked for a password
	writeBound  = 20 * time.Second // for a store or a deletion
)

// Keyring is a keyring, or a folder, that keeps single items by name. Each item
// is replaced as a whole, under a lock. Errors are an [*UnreachableError], but
// [ErrMiss] and [*UnreadableError] where that is said.
type Keyring interface {
	Kind() string // as in [Place.Storage]
	Name() string // for people
	// Get returns the item, ErrMiss if new items can be stored now, or an
	// UnreadableError. It raises no dialog where the platform lets us avoid it.
	Get(ctx context.Context, item string) ([]byte, error)
	// Set stores the item; label describes it to people.
	Set(ctx context.Context, item, label string, value []byte) error
	// Remove returns ErrMiss for a missing item.
	Remove(ctx context.Context, item string) error
	// List returns the names of all our items; none from a storage that cannot List.
	List(ctx context.Context) ([]string, error)
	CanAsk() bool // whether unlock can raise a dialog
	// Unlock makes these items readable, and the place where new ones go.
	Unlock(ctx context.Context, items ...string) error
}

// Storages are the keyrings of this machine and the state folder, shared by all
// logins of a process.
type Storages struct {
	stateDir string
	keyrings []Keyring // in the order in which "auto" tries them
	all      []Keyring // those, and files
}

// Open returns the storages of this machine. stateDir is absolute, from [StateDir];
// keyrings are in the order in which "auto" tries them, nil: this system's, by its
// environment. Nothing is connected to yet.
func Open(stateDir string, getenv func(string) string, keyrings []Keyring) *Storages {
	if keyrings == nil {
		keyrings = systemKeyrings(getenv)
	}
	files := fileItems(filepath.Join(stateDir, "items"))
	return &Storages{stateDir, keyrings, append(slices.Clone(keyrings), files)}
}

// Login returns the login that key names, a name from [Name]. storage is auto,
// keyring, kernel or file: where a new login goes. Nothing is read yet.
func (s *Storages) Login(key, storage string) (*Login, error) {
	l := &Login{storages: s, key: key, auto: storage == "auto", candidates: s.keyrings}
	if storage == "keyring" {
		l.candidates = s.keyrings[:min(1, len(s.keyrings))]
	} else if !l.auto {
		l.candidates = slices.DeleteFunc(slices.Clone(s.all), func(kept Keyring) bool { return kept.Kind() != storage })
	}
	if len(l.candidates) == 0 {
		return nil, fmt.Errorf("not known on %s, use auto or file", runtime.GOOS)
	}
	return l, nil
}

// find returns the storage of a [Place].
func (s *Storages) find(kind string) (Keyring, error) {
	for _, kept := range s.all {
		if kept.Kind() == kind {
			return kept, nil
		}
	}
	return nil, &UnreachableError{Where: kind, Err: errors.New("this system does not have it")}
}

// Logins returns the keys of all logins that have a folder in the state folder, but for
// those that another machine, which shares the folder, keeps in a keyring of its own, or
// may have left something in.
func (s *Storages) Logins() ([]string, error) {
	machine := machine()
	names, err := fileNames(s.stateDir)
	return slices.DeleteFunc(names, func(name string) bool {
		if !isHex(name, 64) {
			return true // it is not a login's
		}
		place, _ := (&Login{storages: s, key: name}).Place()
		return place.Machine != "" && place.Machine != machine && (place.Storage != "file" || len(place.Earlier) > 0)
	}), err
}

// Strays returns the logins in this machine's storages that are not the place of any of
// [Storages.Logins]. With an error there may be more. See [Storages.Sweep] for storages
// that cannot be listed.
func (s *Storages) Strays(ctx context.Context) (strays []Items, err error) {
	for _, kept := range s.all {
		names, failed := kept.List(ctx)
		err = cmp.Or(err, failed)
		for _, name := range names {
			_, id, _ := strings.Cut(name, "-")
			items := Items{kept, id}
			ours := isID(id) && (name == items.key() || name == items.login())
			if ours && !slices.Contains(strays, items) {
				strays = append(strays, items)
			}
		}
	}
	// Places are read last: a login that is stored meanwhile was given its place before.
	keys, failed := s.Logins()
	if failed != nil {
		return nil, failed
	}
	named := map[string]bool{}
	for _, key := range keys {
		place, _ := (&Login{storages: s, key: key}).Place()
		named[place.ID] = true
	}
	return slices.DeleteFunc(strays, func(items Items) bool { return named[items.id] }), err
}

// Sweep deletes all items of daypass from the keyrings of macOS and Windows,
// which are not listed by [Storages.Strays]. Elsewhere it does nothing.
func (s *Storages) Sweep(ctx context.Context) error {
	for _, kept := range s.keyrings {
		if k, ok := kept.(goKeyring); ok {
			ctx, cancel := bounded(ctx, writeBound)
			defer cancel()
			return ignoreMiss(k.call(ctx, func() error { return keyring.DeleteAll(service) }))
		}
	}
	return nil
}

// bounded gives ctx an end after d that names itself in errors.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}
