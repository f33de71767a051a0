package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// items is a storage of single items by name: a keyring, or a folder. Each item
// is replaced as a whole.
type items interface {
	// get returns the item, [ErrMiss] or an [*UnreachableError].
	get(ctx context.Context, name string) ([]byte, error)
	// set returns an [*UnreachableError] if it fails.
	set(ctx context.Context, name string, value []byte) error
	// remove returns [ErrMiss] for a missing item, else an [*UnreachableError].
	remove(ctx context.Context, name string) error
	unlock(ctx context.Context) error
	name() string
}

// recordStore is the [Store] over any items: it gives records the one form that
// record.go describes, and splits those that are larger than an item may be.
type recordStore struct {
	items items
	limit int           // bytes that an item can hold; 0: any number
	read  time.Duration // what a Get may take in all
	write time.Duration // what a Set or a Delete may take in all
}

// rereads is how often a reader looks at the head again after a mismatch: each
// time a writer may have replaced the record meanwhile.
const rereads = 3

func (s *recordStore) Name() string { return s.items.name() }

func (s *recordStore) Unlock(ctx context.Context) error { return s.items.unlock(ctx) }

// bounded gives ctx an end after d that names itself in errors.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %v", d))
}

func (s *recordStore) Get(ctx context.Context, key string) ([]byte, error) {
	if !plainName(key) {
		return nil, fmt.Errorf("bad record key %q", key)
	}
	ctx, cancel := bounded(ctx, s.read)
	defer cancel()
	var mismatch error
	for range 1 + rereads {
		head, err := s.items.get(ctx, key)
		if err != nil {
			return nil, err
		}
		var payload []byte
		payload, mismatch, err = s.assemble(ctx, key, head)
		if err != nil {
			return nil, err
		}
		if mismatch == nil {
			return payload, nil
		}
	}
	return nil, &UnreadableError{Where: s.Name(), Err: mismatch}
}

// assemble returns the payload that head stands for. mismatch says that head
// and chunks do not make a record; err, that a chunk could not be asked for.
func (s *recordStore) assemble(ctx context.Context, key string, head []byte) (payload []byte, mismatch, err error) {
	h, rest, mismatch := parseHead(head)
	if mismatch != nil {
		return nil, mismatch, nil
	}
	payload = rest
	for n := range h.chunks {
		chunk, err := s.items.get(ctx, chunkName(key, h.slot(), n))
		if errors.Is(err, ErrMiss) {
			return nil, fmt.Errorf("chunk %d of %d is missing", n+1, h.chunks), nil
		}
		if err != nil {
			return nil, nil, err
		}
		if len(payload)+len(chunk) > h.size {
			return nil, fmt.Errorf("chunk %d of %d is too long", n+1, h.chunks), nil
		}
		payload = append(payload, chunk...)
	}
	return payload, h.check(payload), nil
}

func (s *recordStore) Set(ctx context.Context, key string, value []byte) error {
	if !plainName(key) {
		return fmt.Errorf("bad record key %q", key)
	}
	if len(value) > MaxRecord {
		return fmt.Errorf("record of %d bytes is too large for %s, the limit is %d", len(value), s.Name(), MaxRecord)
	}
	ctx, cancel := bounded(ctx, s.write)
	defer cancel()

	var old header
	head, err := s.items.get(ctx, key)
	switch {
	case errors.Is(err, ErrMiss):
	case err != nil:
		return err
	default:
		// An unreadable head leaves the zero header: nothing of it can be
		// read, so either slot is free.
		if h, _, err := parseHead(head); err == nil {
			old = h
		}
	}

	h := newHeader(old.generation+1, value)
	if line := h.line(); s.limit == 0 || len(line)+len(value) <= s.limit {
		if err := s.items.set(ctx, key, append(line, value...)); err != nil {
			return err
		}
	} else {
		for ; len(value) > 0; h.chunks++ {
			n := min(len(value), s.limit)
			if err := s.items.set(ctx, chunkName(key, h.slot(), h.chunks), value[:n]); err != nil {
				return err
			}
			value = value[n:]
		}
		if err := s.items.set(ctx, key, h.line()); err != nil {
			return err
		}
		// A writer that died may have left more chunks in this slot.
		_ = s.dropChunks(ctx, key, h.slot(), h.chunks, h.chunks)
	}
	// The new record stands; chunks of the old one that cannot be removed now
	// are removed with a later record, or by Delete.
	if old.chunks > 0 {
		_ = s.dropChunks(ctx, key, old.slot(), 0, old.chunks)
	}
	return nil
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
