package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// items is a storage of single items by name: a keyring, or a folder. Each item
// is replaced as a whole.
type items interface {
	// get returns the item, [ErrMiss] or an [*UnreachableError].
	get(ctx context.Context, name string) ([]byte, error)
	// set returns an [*UnreachableError] if it fails. From until on the item is
	// worth nothing, if until is not zero.
	set(ctx context.Context, name string, value []byte, until time.Time) error
	// remove returns [ErrMiss] for a missing item, else an [*UnreachableError].
	remove(ctx context.Context, name string) error
	unlock(ctx context.Context) error
	canAsk() bool // whether unlock can raise a dialog
	name() string
}

// recordStore is the [Store] over any items: it gives records the one form that
// record.go describes, and splits those that are larger than an item may be.
type recordStore struct {
	items items
	limit int           // bytes that an item can hold; 0: any number
	read  time.Duration // what a Get may take in all; 0: as long as the calls of items take
	write time.Duration // what a Set or a Delete may take in all
	now   func() time.Time

	mu   sync.Mutex
	seen map[string]header // by key, of the record that this process read or wrote last
}

// rereads is how often a reader looks at the head again after a mismatch: each
// time a writer may have replaced the record meanwhile.
const rereads = 3

func (s *recordStore) Name() string { return s.items.name() }

func (s *recordStore) Where(string) string { return s.Name() }

func (s *recordStore) CanAsk() bool { return s.items.canAsk() }

func (s *recordStore) Unlock(ctx context.Context) error { return s.items.unlock(ctx) }

// bounded gives ctx an end after d that names itself in errors.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}

func (s *recordStore) Get(ctx context.Context, key string) ([]byte, error) {
	_, payload, err := s.load(ctx, key)
	return payload, err
}

// load is Get that also tells the record's header.
func (s *recordStore) load(ctx context.Context, key string) (header, []byte, error) {
	if !plainName(key) {
		return header{}, nil, fmt.Errorf("bad record key %q", key)
	}
	if s.read > 0 { // a file is read in less time than it takes to start a timer
		bound, cancel := bounded(ctx, s.read)
		defer cancel()
		ctx = bound
	}
	var mismatch error
	for range 1 + rereads {
		head, err := s.items.get(ctx, key)
		if err != nil {
			return header{}, nil, err
		}
		var h header
		var payload []byte
		h, payload, mismatch, err = s.assemble(ctx, key, head)
		if err != nil {
			return header{}, nil, err
		}
		if mismatch == nil {
			s.remember(key, h)
			return h, payload, nil
		}
	}
	return header{}, nil, &UnreadableError{Where: s.Name(), Err: mismatch}
}

// assemble returns the record that head stands for. mismatch says that head and
// chunks do not make a record; err, that a chunk could not be asked for.
func (s *recordStore) assemble(ctx context.Context, key string, head []byte) (h header, payload []byte, mismatch, err error) {
	h, payload, mismatch = parseHead(head)
	if mismatch != nil {
		return h, nil, mismatch, nil
	}
	for n := range h.chunks {
		chunk, err := s.items.get(ctx, chunkName(key, h.slot(), n))
		if errors.Is(err, ErrMiss) {
			return h, nil, fmt.Errorf("chunk %d of %d is missing", n+1, h.chunks), nil
		}
		if err != nil {
			return h, nil, nil, err
		}
		if len(payload)+len(chunk) > h.size {
			return h, nil, fmt.Errorf("chunk %d of %d is too long", n+1, h.chunks), nil
		}
		payload = append(payload, chunk...)
	}
	return h, payload, h.check(payload), nil
}

func (s *recordStore) remember(key string, h header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]header{}
	}
	s.seen[key] = h
}

// replaced returns the header of the record that a Set is about to replace; the
// zero header if there is none.
func (s *recordStore) replaced(ctx context.Context, key string) (header, error) {
	// Where no record is in chunks, the header is needed only to count on from,
	// and the one seen last will do. So the answer of an exchange is stored in
	// one call: the mark that went before it has told the header.
	if s.limit == 0 {
		s.mu.Lock()
		h, ok := s.seen[key]
		s.mu.Unlock()
		if ok {
			return h, nil
		}
	}
	head, err := s.items.get(ctx, key)
	if errors.Is(err, ErrMiss) {
		return header{}, nil
	}
	if err != nil {
		return header{}, err
	}
	h, _, err := parseHead(head)
	if err != nil {
		// Nothing of it can be read, so either slot is free.
		return header{}, nil
	}
	return h, nil
}

func (s *recordStore) Set(ctx context.Context, key string, value []byte, until time.Time) error {
	_, err := s.save(ctx, key, value, until, 0)
	return err
}

// save is Set that makes the record newer than one written at after, and
// returns its header.
func (s *recordStore) save(ctx context.Context, key string, value []byte, until time.Time, after int64) (header, error) {
	if !plainName(key) {
		return header{}, fmt.Errorf("bad record key %q", key)
	}
	if len(value) > MaxRecord {
		return header{}, fmt.Errorf("record of %d bytes is too large for %s, the limit is %d", len(value), s.Name(), MaxRecord)
	}
	ctx, cancel := bounded(ctx, s.write)
	defer cancel()
	old, err := s.replaced(ctx, key)
	if err != nil {
		return header{}, err
	}
	previous := old
	previous.written = max(previous.written, after)
	h := previous.next(s.now(), until, value)
	if line := h.line(); s.limit == 0 || len(line)+len(value) <= s.limit {
		if err := s.items.set(ctx, key, append(line, value...), until); err != nil {
			return header{}, err
		}
	} else {
		for ; len(value) > 0; h.chunks++ {
			n := min(len(value), s.limit)
			if err := s.items.set(ctx, chunkName(key, h.slot(), h.chunks), value[:n], until); err != nil {
				return header{}, err
			}
			value = value[n:]
		}
		if err := s.items.set(ctx, key, h.line(), until); err != nil {
			return header{}, err
		}
		// A writer that died may have left more chunks in this slot.
		_ = s.dropChunks(ctx, key, h.slot(), h.chunks, h.chunks)
	}
	s.remember(key, h)
	// The new record stands; chunks of the old one that cannot be removed now
	// are removed with a later record, or by Delete.
	if old.chunks > 0 {
		_ = s.dropChunks(ctx, key, old.slot(), 0, old.chunks)
	}
	return h, nil
}

func (s *recordStore) Delete(ctx context.Context, key string) error {
	if !plainName(key) {
		return fmt.Errorf("bad record key %q", key)
	}
	ctx, cancel := bounded(ctx, s.write)
	defer cancel()
	// The head first: from then on there is no record.
	if err := s.items.remove(ctx, key); err != nil && !errors.Is(err, ErrMiss) {
		return err
	}
	if s.limit == 0 {
		return nil
	}
	return errors.Join(s.dropChunks(ctx, key, 0, 0, 0), s.dropChunks(ctx, key, 1, 0, 0))
}

// dropChunks removes the chunks of a slot from number from on; those below
// known are there for certain. The last goes first: so those that a crash
// leaves are still numbered without a gap, and found the next time.
func (s *recordStore) dropChunks(ctx context.Context, key string, slot, from, known int) error {
	end := known
	for ; end < maxChunks; end++ {
		if _, err := s.items.get(ctx, chunkName(key, slot, end)); errors.Is(err, ErrMiss) {
			break
		} else if err != nil {
			return err
		}
	}
	for n := end - 1; n >= from; n-- {
		if err := s.items.remove(ctx, chunkName(key, slot, n)); err != nil && !errors.Is(err, ErrMiss) {
			return err
		}
	}
	return nil
}

// chunkName names chunk n, from 0, of key's record in slot 0 or 1. A key has no
// "#", so it is never the name of another record's head.
func chunkName(key string, slot, n int) string { return fmt.Sprintf("%s#%d.%d", key, slot, n) }
