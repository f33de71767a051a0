package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// ErrBusy says that another holds the lock.
var ErrBusy = errors.New("lock is held by another process")

// Locks are locks by name, each an empty file in the state folder, which is never
// deleted: it could be locked twice. The system releases a lock when its process ends.
type Locks struct {
	Dir string // the state folder, see [StateDir]; made if need be
	// Shared is for those who only wait for a lock, or look whether it is held: they
	// exclude its holder, and not each other.
	Shared bool
}

// Lock is a lock that is held.
type Lock struct{ file *flock.Flock }

// Lock waits for the named lock until ctx ends, and then returns the ctx's
// error, wrapped.
func (l Locks) Lock(ctx context.Context, name string) (*Lock, error) {
	for pause := 25 * time.Millisecond; ctx.Err() == nil; pause = min(pause*3/2, 200*time.Millisecond) {
		lock, err := l.TryLock(name)
		if !errors.Is(err, ErrBusy) {
			return lock, err
		}
		// Those who wait since the same moment would go on looking at the
		// same moments, and only one of them gets the lock at each.
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
	}
	return nil, fmt.Errorf("waiting for lock %q: %w", name, ctx.Err())
}

// TryLock takes the named lock, or returns [ErrBusy] at once. Two locks of one
// process exclude each other as those of two processes do.
func (l Locks) TryLock(name string) (*Lock, error) {
	if err := makeDir(l.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(l.Dir, name+".lock")
	for range 10 {
		file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY|openSafely), flock.SetPermissions(0o600))
		try := file.TryLock
		if l.Shared {
			try = file.TryRLock
		}
		locked, err := try()
		switch {
		case errors.Is(err, syscall.EINTR): // on a network file system
			continue
		case err != nil:
			return nil, err
		case !locked:
			return nil, ErrBusy
		case isLocked(path, file):
			return &Lock{file}, nil
		}
		_ = file.Unlock()
	}
	return nil, fmt.Errorf("lock file %q is replaced again and again", path)
}

// isLocked reports whether the file at path is the one that was locked. Somebody who
// tidies up may have deleted it since, and the next process locks a new file.
func isLocked(path string, file *flock.Flock) bool {
	held, heldErr := file.Stat()
	there, err := os.Lstat(path)
	return heldErr == nil && err == nil && os.SameFile(held, there)
}

// Unlock releases the lock. It may be called more than once.
func (k *Lock) Unlock() { _ = k.file.Unlock() }
