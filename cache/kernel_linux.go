package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// kernelItems are keys in the user keyring of the Linux kernel (user-keyring(7)):
// in memory that is never swapped in clear, for every process of the user,
// desktop, SSH session and cron job alike, until the machine is switched off.
type kernelItems struct {
	prefix string // of the keys' descriptions
	now    func() time.Time
}

const (
	// bigKey is the key type of which the quota counts a few bytes only,
	// whatever it holds: https://docs.kernel.org/security/keys/core.html. A
	// kernel may be built without it.
	bigKey = "big_key"
	// userKey is the type that every kernel with keys has. All its bytes count,
	// of 20000 that a user may have unless the administrator set another number.
	userKey = "user"
	// kernelItemLimit is what a key of type user holds at most, in bytes.
	kernelItemLimit = 32767
	// kernelKeyMax is more than a key of any type holds, in bytes.
	kernelKeyMax = 1 << 20
	// kernelLinger is how long a key outlives what its record is worth, for
	// clocks that are set right meanwhile.
	kernelLinger = time.Hour
)

// kernelKeyPerm lets who possesses a key, and every process of its user, view,
// read, write, search, link and set attributes: keyctl_setperm(3). A key is made
// with all that for its possessor, but without most of it for the user, and a
// cron job or a systemd service does not possess the user keyring.
const kernelKeyPerm = 0x3f3f0000

func openKernel(o Options) (Store, error) { return openKernelKeyring(o), nil }

func openKernelKeyring(o Options) *recordStore {
	return &recordStore{
		items: kernelItems{prefix: "daypass:", now: o.Now},
		limit: kernelItemLimit, write: writeBound, now: o.Now,
	}
}

func (k kernelItems) name() string { return "kernel keyring" }

func (k kernelItems) unlock(context.Context) error { return nil }

func (k kernelItems) canAsk() bool { return false }

func (k kernelItems) get(ctx context.Context, name string) (value []byte, err error) {
	read := func() error {
		// A key that was found may have been replaced by another before it is read.
		for range 1 + rereads {
			var id int
			if id, err = k.find(name); err != nil {
				return err
			}
			if value, err = readKey(id); !gone(err) {
				return err
			}
		}
		return err
	}
	// Where a goroutine keeps its thread, Go starts one more, which takes longer
	// than the read; and most keys can be read without possessing them.
	err = k.explained(ctx, func() error {
		if err := read(); !errors.Is(err, unix.EACCES) {
			return err
		}
		return possessing(read)
	})
	return value, err
}

func (k kernelItems) set(ctx context.Context, name string, value []byte, until time.Time) error {
	return k.act(ctx, func() error {
		return k.withRoom(name, func() error { return k.put(name, value, until) })
	})
}

func (k kernelItems) remove(ctx context.Context, name string) error {
	return k.act(ctx, func() error {
		id, err := k.find(name)
		if err != nil {
			return err
		}
		return drop(id)
	})
}

// act runs f as [possessing] does, and explains its error.
func (k kernelItems) act(ctx context.Context, f func() error) error {
	return k.explained(ctx, func() error { return possessing(f) })
}

// possessing runs f on one thread, for keys are possessed by threads: the thread
// keyring is f's own. Where f may not do what it wants to, it runs again with the
// user keyring linked into the thread keyring: that makes it possess what lies
// there, also keys with no more than their first permissions.
func possessing(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := f()
	if errors.Is(err, unix.EACCES) && linkKey(unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_THREAD_KEYRING) == nil {
		err = f()
		_ = unlinkKey(unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_THREAD_KEYRING)
	}
	return err
}

// explained runs f, unless ctx has ended. The error is ErrMiss or an
// *UnreachableError.
func (k kernelItems) explained(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return &UnreachableError{Where: k.name(), Err: context.Cause(ctx)}
	}
	err := f()
	switch {
	case err == nil:
		return nil
	case gone(err):
		return ErrMiss
	default:
		return &UnreachableError{Where: k.name(), Err: explainKernel(err)}
	}
}

// find returns the id of the key of this name, of either type. Only one of them
// is ever used while a kernel runs.
func (k kernelItems) find(name string) (int, error) {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, bigKey, k.prefix+name, 0)
	if errors.Is(err, unix.ENOKEY) {
		id, err = unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, userKey, k.prefix+name, 0)
	}
	return id, err
}

// put makes or replaces the key, all at once for its readers.
func (k kernelItems) put(name string, value []byte, until time.Time) error {
	err := k.create(bigKey, name, value, until)
	if !errors.Is(err, unix.ENODEV) {
		return err
	}
	// Two keys of this type, the old one and the new, may be more than the quota
	// allows: so the old one is changed where it is, as add_key does with a key of
	// the same name (keyctl_update takes no more than a page).
	old, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, userKey, k.prefix+name, 0)
	if err != nil && !gone(err) {
		return err
	}
	if err == nil {
		id, err := unix.AddKey(userKey, k.prefix+name, value, unix.KEY_SPEC_USER_KEYRING)
		if err != nil {
			return err
		}
		if id == old {
			// The change has taken its time-out away. That it cannot be given back is
			// not worth failing for: the record has its until too, and that is read
			// when room is needed.
			_ = k.setTimeout(id, until)
			return nil
		}
		// The old one was dropped meanwhile, and this one has not the permissions.
	}
	return k.create(userKey, name, value, until)
}

// create makes a new key in the thread keyring, where nobody sees it, and links it
// into the user keyring when it is finished: that takes the place of an older key
// of the same name.
func (k kernelItems) create(keyType, name string, value []byte, until time.Time) error {
	id, err := unix.AddKey(keyType, k.prefix+name, value, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return err
	}
	defer func() { _ = unlinkKey(id, unix.KEY_SPEC_THREAD_KEYRING) }()
	if err := unix.KeyctlSetperm(id, kernelKeyPerm); err != nil {
		return err
	}
	if err := k.setTimeout(id, until); err != nil {
		return err
	}
	return linkKey(id, unix.KEY_SPEC_USER_KEYRING)
}

// setTimeout lets the kernel forget the key some time after it is worth nothing.
// A key that is worth something for good, as a login, has no time-out: how long
// a refresh token lives is for its provider to say, and a time-out that is
// renewed with each use would still lose the login of a long holiday.
func (k kernelItems) setTimeout(id int, until time.Time) error {
	if until.IsZero() {
		return nil // so it is made, and so it is after a change
	}
	seconds := (max(until.Sub(k.now()), 0) + kernelLinger) / time.Second
	_, err := unix.KeyctlInt(unix.KEYCTL_SET_TIMEOUT, id, int(min(seconds, math.MaxInt32)), 0, 0)
	return err
}

// readKey returns what a key holds, all of one moment.
func readKey(id int) ([]byte, error) {
	buffer := make([]byte, 8<<10)
	for {
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, 0)
		if err != nil {
			return nil, err
		}
		if n <= len(buffer) {
			return buffer[:n], nil
		}
		if n > kernelKeyMax {
			return nil, fmt.Errorf("a key of %d bytes", n)
		}
		buffer = make([]byte, n) // nothing was copied: it did not fit
	}
}

// drop wipes a key and unlinks it. Revoked first, it frees its part of the quota
// at once; merely unlinked, only when no reader can be using it any more.
func drop(id int) error {
	_, _ = unix.KeyctlInt(unix.KEYCTL_REVOKE, id, 0, 0, 0)
	return unlinkKey(id, unix.KEY_SPEC_USER_KEYRING)
}

func linkKey(id, keyring int) error {
	_, err := unix.KeyctlInt(unix.KEYCTL_LINK, id, keyring, 0, 0)
	return err
}

func unlinkKey(id, keyring int) error {
	_, err := unix.KeyctlInt(unix.KEYCTL_UNLINK, id, keyring, 0, 0)
	return err
}

// gone reports that there is no such key, or no more.
func gone(err error) bool {
	return errors.Is(err, unix.ENOKEY) || errors.Is(err, unix.EKEYEXPIRED) ||
		errors.Is(err, unix.EKEYREVOKED) || errors.Is(err, unix.ENOENT)
}

// kernelClosed reports that no process like this one can use keys here at all.
func kernelClosed(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// explainKernel says what an error number of keyctl means for the person.
func explainKernel(err error) error {
	var means string
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		means = "this system has none, or hides it as some containers do"
	case errors.Is(err, unix.EPERM):
		means = "keyctl is blocked here, as containers do by default"
	case errors.Is(err, unix.EACCES):
		means = "a key of daypass in it may not be used from this session"
	case errors.Is(err, unix.EDQUOT):
		means = "it is full: this user's quota of keys is used up, see /proc/key-users"
	default:
		return err
	}
	return fmt.Errorf("%s (%w)", means, err)
}
