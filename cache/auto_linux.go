package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// pair is the storage "auto" of Linux: the Secret Service of a desktop, and the
// kernel keyring for everything else. A person's desktop, SSH sessions and jobs
// find the same record wherever they can reach it:
//
//   - Both are read, and the record that was written last counts.
//   - It is replaced where it was found. If it cannot be stored there, it moves.
//   - A new one goes to the Secret Service, if that is there and unlocked, else to
//     the kernel keyring.
//   - Once stored, an older one in the other storage is removed: a refresh token
//     in it may be a used one, and would end the login if it were sent again.
type pair struct {
	kernel  *recordStore
	service *recordStore

	canAsk      func() bool // a dialog that unlocks the service can be shown
	kernelInUse func() bool // a record of ours is in the kernel keyring
	stateDir    string

	mu        sync.Mutex
	seen      map[string]sight // by key
	noService bool             // as of the last look
	noKernel  bool
}

// sight is what is known of a record in each storage.
type sight struct {
	kernel, service placed
	// open says that the service takes new records.
	open bool
}

// placed is a record in one storage.
type placed struct {
	there   bool // the record, or what is left of it
	whole   bool
	written int64 // as of its header
}

// placedBy makes a placed of what load returned.
func placedBy(h header, err error) placed {
	var unreadable *UnreadableError
	return placed{there: err == nil || errors.As(err, &unreadable), whole: err == nil, written: h.written}
}

// secondLook is what the Secret Service is given to answer where the kernel
// keyring has the record. It is asked all the same, for a change of the setting
// storage may have left an old login here and a new one there; but nobody waits
// for a service that hangs while there is an answer.
const secondLook = 250 * time.Millisecond

func openAuto(o Options) (Store, error) {
	if !filepath.IsAbs(o.StateDir) {
		return nil, fmt.Errorf("state folder %q is not an absolute path", o.StateDir)
	}
	kernel, service := openKernelKeyring(o), openSecretService(o)
	return &pair{
		kernel: kernel, service: service,
		canAsk:      service.items.(*secretService).canAsk,
		kernelInUse: kernel.items.(kernelItems).inUse,
		stateDir:    o.StateDir,
	}, nil
}

// Name leaves out what is not there.
func (p *pair) Name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.noService:
		return p.kernel.Name() + " (no " + p.service.Name() + " in this session)"
	case p.noKernel:
		return p.service.Name()
	}
	return p.service.Name() + " and " + p.kernel.Name()
}

func (p *pair) Where(key string) string {
	p.mu.Lock()
	at := p.seen[key]
	p.mu.Unlock()
	switch {
	case at.inKernel():
		return p.kernel.Name()
	case at.service.whole:
		return p.service.Name()
	}
	return p.Name()
}

// inKernel reports whether the record that counts is in the kernel keyring.
func (s sight) inKernel() bool {
	return s.kernel.whole && (!s.service.whole || s.kernel.written >= s.service.written)
}

func (p *pair) Get(ctx context.Context, key string) ([]byte, error) {
	value, _, err := p.look(ctx, key)
	return value, err
}

// look reads both storages, and remembers what is where.
func (p *pair) look(ctx context.Context, key string) ([]byte, sight, error) {
	inKernel, fromKernel, kernelErr := p.kernel.load(ctx, key)
	serviceCtx, cancel := ctx, context.CancelFunc(func() {})
	if kernelErr == nil {
		serviceCtx, cancel = bounded(ctx, secondLook)
	}
	inService, fromService, serviceErr := p.service.load(serviceCtx, key)
	cancel()

	at := sight{
		kernel:  placedBy(inKernel, kernelErr),
		service: placedBy(inService, serviceErr),
		open:    isReachable(serviceErr),
	}
	p.mu.Lock()
	if p.seen == nil {
		p.seen = map[string]sight{}
	}
	p.seen[key] = at
	p.noService = noBus(serviceErr) || noService(serviceErr)
	p.noKernel = kernelClosed(kernelErr)
	p.mu.Unlock()

	switch {
	case at.inKernel():
		return fromKernel, at, nil
	case at.service.whole:
		return fromService, at, nil
	}
	return nil, at, p.nowhere(key, kernelErr, serviceErr)
}

// nowhere is the answer where no storage has given the record: a miss, unless the
// Secret Service holds it, or may hold it and is expected to be back.
func (p *pair) nowhere(key string, kernelErr, serviceErr error) error {
	switch {
	case isReachable(serviceErr), noBus(serviceErr):
	case p.isMarked(key): // it was there
		return serviceErr
	case noService(serviceErr):
	case errors.Is(serviceErr, errCollectionLocked):
		// A new record may go there once it is unlocked. But a person whose other
		// records are in the kernel keyring is not asked for a password.
		if p.canAsk() && !p.kernelInUse() {
			return serviceErr
		}
	default:
		return serviceErr // locked with the record in it, or too slow to tell
	}
	var unreadable *UnreadableError
	switch {
	case errors.As(serviceErr, &unreadable):
		return serviceErr
	case isReachable(kernelErr):
		return kernelErr
	case isReachable(serviceErr):
		return serviceErr
	}
	var unreachable *UnreachableError
	if errors.As(kernelErr, &unreachable) {
		return &UnreachableError{Where: unreachable.Where, Err: fmt.Errorf("%w; and %w", unreachable.Err, serviceErr)}
	}
	return kernelErr // of a bad key
}

// isReachable reports whether err is the answer of a storage that can be used.
func isReachable(err error) bool {
	var unreadable *UnreadableError
	return err == nil || errors.Is(err, ErrMiss) || errors.As(err, &unreadable)
}

// noBus reports that there is no session bus on which to look for a service: so
// it is in a session that is none of the desktop's.
func noBus(err error) bool {
	var dead deadBusError
	return errors.Is(err, errNoBus) || errors.As(err, &dead)
}

// noService reports that the bus knows of no Secret Service, or the service of no
// collection: as where none was ever set up, or while it is being restarted.
func noService(err error) bool {
	var answer dbus.Error
	if !errors.As(err, &answer) {
		return errors.Is(err, errNoCollection)
	}
	switch answer.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown",
		"org.freedesktop.DBus.Error.NameHasNoOwner",
		"org.freedesktop.DBus.Error.Spawn.ServiceNotFound":
		return true
	}
	return false
}

func (p *pair) CanAsk() bool { return p.service.CanAsk() }

func (p *pair) Unlock(ctx context.Context) error { return p.service.Unlock(ctx) }

func (p *pair) Set(ctx context.Context, key string, value []byte, until time.Time) error {
	p.mu.Lock()
	at, known := p.seen[key]
	p.mu.Unlock()
	if !known {
		var err error
		if _, at, err = p.look(ctx, key); !isReachable(err) {
			return err
		}
	}
	inKernel := at.inKernel() || !at.service.whole && !at.open
	err := p.store(ctx, inKernel, &at, key, value, until)
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) && (!inKernel || at.open) {
		// It moves: stored elsewhere is better than not stored.
		if p.store(ctx, !inKernel, &at, key, value, until) != nil {
			return err
		}
		inKernel, err = !inKernel, nil
	}
	if err != nil {
		return err
	}
	p.removeOlder(ctx, inKernel, &at, key)
	p.mu.Lock()
	p.seen[key] = at
	p.mu.Unlock()
	return nil
}

// store writes the record to one storage, as newer than those that are at.
func (p *pair) store(ctx context.Context, inKernel bool, at *sight, key string, value []byte, until time.Time) error {
	storage, place := p.service, &at.service
	if inKernel {
		storage, place = p.kernel, &at.kernel
		// It needs no time, but the Secret Service may have used up what there was.
		ctx = context.WithoutCancel(ctx)
	}
	h, err := storage.save(ctx, key, value, until, max(at.kernel.written, at.service.written))
	if err != nil {
		return err
	}
	*place = placedBy(h, nil)
	if inKernel {
		p.unmark(key)
	} else {
		p.mark(key)
	}
	return nil
}

// removeOlder removes the record from the storage that it was not stored in now.
// If it cannot be removed, the next Set tries again; till then it is the older one.
func (p *pair) removeOlder(ctx context.Context, inKernel bool, at *sight, key string) {
	storage, place := p.kernel, &at.kernel
	if inKernel {
		storage, place = p.service, &at.service
	}
	if !place.there {
		return
	}
	ctx, cancel := bounded(context.WithoutCancel(ctx), secondLook)
	defer cancel()
	if storage.Delete(ctx, key) == nil {
		*place = placed{}
	}
}

func (p *pair) Delete(ctx context.Context, key string) error {
	kernelErr, serviceErr := p.kernel.Delete(ctx, key), p.service.Delete(ctx, key)
	if noBus(serviceErr) || !p.isMarked(key) && (noService(serviceErr) || errors.Is(serviceErr, errCollectionLocked)) {
		serviceErr = nil // it is not there
	}
	if serviceErr != nil {
		return serviceErr
	}
	p.unmark(key)
	p.mu.Lock()
	delete(p.seen, key)
	p.mu.Unlock()
	if kernelClosed(kernelErr) {
		return nil
	}
	return kernelErr
}

// A mark is an empty file in the state folder that says that a record was stored
// in the Secret Service. By it, a service that is being restarted, or that shows
// nothing of what it has locked, is told from one that never had the record: the
// first is waited for, and the second needs a new login.

func markName(key string) string { return key + ".secret-service" }

func (p *pair) isMarked(key string) bool {
	_, err := os.Lstat(filepath.Join(p.stateDir, markName(key)))
	return err == nil
}

// mark and unmark fail where the state folder cannot be written to, and then no
// lock could be had to store the record under.

func (p *pair) mark(key string) {
	if !p.isMarked(key) {
		_ = WriteFile(p.stateDir, markName(key), nil)
	}
}

func (p *pair) unmark(key string) { _ = os.Remove(filepath.Join(p.stateDir, markName(key))) }
