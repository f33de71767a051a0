package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// ErrBusy says that another holds the lock.
var ErrBusy = errors.New("lock is held by another process")

const lockSuffix = ".lock"

// Locks are locks by name, each an empty file in the state folder. The files are
// never deleted, since one that is deleted while it is locked would be locked
// twice, and never written, since a held lock's file cannot be read on Windows.
// The system releases a lock when its process ends, in whatever way.
type Locks struct {
	Dir string // the state folder, as of [StateDir]; made if need be
}

// Lock is a lock that is held.
type Lock struct {
	file *flock.Flock
}

// The longest times between two looks at a lock that is held by another, at
// first and after a while.
const (
	firstPoll = 25 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
)

// Lock waits for the named lock until ctx ends, and then returns the ctx's
// error, wrapped.
func (l Locks) Lock(ctx context.Context, name string) (*Lock, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstPoll; ; pause = min(pause*3/2, lastPoll) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for lock %q: %w", name, ctx.Err())
		}
		lock, err := l.TryLock(name)
		if !errors.Is(err, ErrBusy) {
			return lock, err
		}
		// Those who wait since the same moment would go on looking at the
		// same moments, and only one of them gets the lock at each.
		timer.Reset(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// TryLock takes the named lock, or returns [ErrBusy] at once. Two locks of one
// process exclude each other as those of two processes do.
func (l Locks) TryLock(name string) (*Lock, error) {
	if err := PrepareStateDir(l.Dir); err != nil {
		return nil, err
	}
	if !plainName(name) {
		name = Key(name)
	}
	path := filepath.Join(l.Dir, name+lockSuffix)
	for range 10 {
		file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY|openSafely), flock.SetPermissions(0o600))
		locked, err := file.TryLock()
		if err != nil {
			return nil, err
		}
		if !locked {
			return nil, ErrBusy
		}
		same, err := isLocked(path, file)
		if same {
			return &Lock{file}, nil
		}
		_ = file.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock file %q is replaced again and again", path)
}

// isLocked reports whether the file at path is the one that was locked. Someone
// who tidies up may have deleted it after it was opened here, and the next
// process locks a new file.
func isLocked(path string, file *flock.Flock) (bool, error) {
	held, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := checkOwner(path, there); err != nil {
		return false, err
	}
	return os.SameFile(held, there), nil
}

// Unlock releases the lock. It may be called more than once.
func (k *Lock) Unlock() { _ = k.file.Unlock() }
