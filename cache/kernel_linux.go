package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelKeyring is keys in the user keyring of the Linux kernel (user-keyring(7)):
// in memory that is never swapped in clear, for every process of the user,
// desktop, SSH session and cron job alike, until the machine is switched off.
type kernelKeyring struct {
	prefix string // of the keys' descriptions
}

// The quota, of 20000 bytes unless the administrator set another number, counts a
// few bytes only of a big_key, but a kernel may be built without that type:
// https://docs.kernel.org/security/keys/core.html
const bigKey, userKey = "big_key", "user"

// kernelKeyPerm gives whoever possesses a key, and every process of its user, all
// permissions: keyctl_setperm(3). A key is made without most of them for the user,
// and a cron job or a systemd service does not possess the user keyring.
const kernelKeyPerm = 0x3f3f0000

func (k kernelKeyring) Kind() string                            { return "kernel" }
func (k kernelKeyring) Name() string                            { return "kernel keyring" }
func (k kernelKeyring) CanAsk() bool                            { return false }
func (k kernelKeyring) Unlock(context.Context, ...string) error { return nil }

func (k kernelKeyring) Get(ctx context.Context, item string) (value []byte, err error) {
	err = k.act(ctx, func() error {
		id, err := k.find(item)
		if err == nil {
			value, err = readKey(id)
		}
		return err
	})
	return value, err
}

// Set makes or replaces the key, all at once for its readers. add_key(2) changes one of
// the same name where it is: the quota need not hold both.
func (k kernelKeyring) Set(ctx context.Context, item, _ string, value []byte) error {
	return k.act(ctx, func() error {
		id, err := unix.AddKey(bigKey, k.prefix+item, value, unix.KEY_SPEC_USER_KEYRING)
		if errors.Is(err, unix.ENODEV) {
			id, err = unix.AddKey(userKey, k.prefix+item, value, unix.KEY_SPEC_USER_KEYRING)
		}
		if err != nil {
			return err
		}
		return unix.KeyctlSetperm(id, kernelKeyPerm)
	})
}

func (k kernelKeyring) Remove(ctx context.Context, item string) error {
	return k.act(ctx, func() error {
		id, err := k.find(item)
		if err != nil {
			return err
		}
		// Revoked first, it frees its part of the quota at once; merely unlinked,
		// only once no reader can still be using it.
		_ = keyctl(unix.KEYCTL_REVOKE, id, 0)
		return keyctl(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING)
	})
}

func (k kernelKeyring) List(ctx context.Context) (names []string, err error) {
	err = k.act(ctx, func() error {
		ids, err := readKey(unix.KEY_SPEC_USER_KEYRING)
		for ; err == nil && len(ids) >= 4; ids = ids[4:] {
			id := int(int32(binary.NativeEndian.Uint32(ids)))
			text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, id)
			// type;uid;gid;permissions;description
			if fields := strings.SplitN(text, ";", 5); err == nil && len(fields) == 5 {
				if name, ours := strings.CutPrefix(fields[4], k.prefix); ours {
					names = append(names, name)
				}
			}
		}
		return err
	})
	return names, err
}

func keyctl(command, first, second int) error {
	_, err := unix.KeyctlInt(command, first, second, 0, 0)
	return err
}

// find returns the id of the key of this name, of either type. Only one of them
// is ever used while a kernel runs.
func (k kernelKeyring) find(item string) (int, error) {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, bigKey, k.prefix+item, 0)
	if errors.Is(err, unix.ENOKEY) {
		id, err = unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, userKey, k.prefix+item, 0)
	}
	return id, err
}

// readKey returns what a key holds, all of one moment.
func readKey(id int) ([]byte, error) {
	buffer := make([]byte, MaxRecord)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buffer, 0)
	return buffer[:max(0, min(n, MaxRecord))], err
}

// kernelCause says what an error number of keyctl means for the person, "" if it
// needs no words of ours.
func kernelCause(number unix.Errno) string {
	switch number {
	case unix.ENOSYS:
		return "this system has none, or hides it as some containers do"
	case unix.EPERM:
		return "keyctl is blocked here, as containers do by default"
	case unix.EACCES:
		return "a key of daypass in it may not be used from this session"
	case unix.EDQUOT:
		return "this user's quota of keys is used up, see /proc/key-users"
	case unix.EINVAL:
		return "the record is larger than it allows"
	}
	return ""
}

// act runs f, unless ctx has ended. The error is ErrMiss or an *UnreachableError.
//
// If f may not do what it wants to, it runs again on a thread that possesses the
// keys: the user keyring is linked into the thread keyring, which makes it possess
// what lies there, also keys with no more than their first permissions.
func (k kernelKeyring) act(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return &UnreachableError{Where: k.Name(), Err: context.Cause(ctx)}
	}
	err := f()
	if errors.Is(err, unix.EACCES) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if keyctl(unix.KEYCTL_LINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_THREAD_KEYRING) == nil {
			err = f()
			_ = keyctl(unix.KEYCTL_UNLINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_THREAD_KEYRING)
		}
	}
	if err == nil {
		return nil
	}
	number, _ := errors.AsType[unix.Errno](err)
	switch number {
	case unix.ENOKEY, unix.EKEYEXPIRED, unix.EKEYREVOKED, unix.ENOENT:
		return ErrMiss
	}
	if means := kernelCause(number); means != "" {
		err = fmt.Errorf("%s (%w)", means, err)
	}
	return &UnreachableError{Where: k.Name(), Err: err}
}
