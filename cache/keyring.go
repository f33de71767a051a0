package cache

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/zalando/go-keyring"
)

// Bytes that one item can hold: CRED_MAX_CREDENTIAL_BLOB_SIZE of
// https://learn.microsoft.com/windows/win32/api/wincred/ns-wincred-credentialw, and
// what fits as base64 into the 4096 bytes of a line of "security -i".
const (
	windowsItemLimit = 5 * 512
	macItemLimit     = 2900
)

// goKeyring is the keyring of macOS or Windows, by go-keyring. A larger item is
// split: the item of its own name is then a head that names chunks.
type goKeyring struct {
	id    string
	title string // for people
	limit int    // bytes that an item can hold
	read  time.Duration
}

func (k goKeyring) Kind() string { return k.id }
func (k goKeyring) Name() string { return k.title }

// List has nothing to show: go-keyring cannot list.
func (k goKeyring) List(context.Context) ([]string, error) { return nil, nil }

// These systems unlock the keyring with the session, or ask by themselves while it is
// read.
func (k goKeyring) CanAsk() bool                            { return false }
func (k goKeyring) Unlock(context.Context, ...string) error { return nil }

func (k goKeyring) Get(ctx context.Context, item string) ([]byte, error) {
	ctx, cancel := bounded(ctx, k.read)
	defer cancel()
	text, err := k.getItem(ctx, item)
	if err != nil {
		return nil, err
	}
	set, chunks := parseHead(text)
	if chunks == 0 {
		return []byte(text), nil
	}
	var value []byte
	for n := range chunks {
		text, err := k.getItem(ctx, chunkName(item, set, n))
		if errors.Is(err, ErrMiss) {
			return nil, &UnreadableError{Where: k.title, Err: fmt.Errorf("part %d of %d is missing", n+1, chunks)}
		}
		if err != nil {
			return nil, err
		}
		value = append(value, text...)
	}
	return value, nil
}

// Set writes the chunks of a large item into the set that is not in use, then the head
// that names them: a crash at any moment leaves the old value or the new one.
func (k goKeyring) Set(ctx context.Context, item, _ string, value []byte) error {
	ctx, cancel := bounded(ctx, writeBound)
	defer cancel()
	old, err := k.getItem(ctx, item)
	if ignoreMiss(err) != nil {
		return err
	}
	set, other := "a", "b"
	if inUse, _ := parseHead(old); inUse == set {
		set, other = other, set
	}
	head, chunks := string(value), 0
	if len(value) > k.limit {
		for chunk := range slices.Chunk(value, k.limit) {
			if err := k.setItem(ctx, chunkName(item, set, chunks), string(chunk)); err != nil {
				return err
			}
			chunks++
		}
		head = fmt.Sprintf(headFormat, set, chunks)
	}
	if err := k.setItem(ctx, item, head); err != nil {
		return err
	}
	_ = k.removeChunks(ctx, item, other, 0) // what is left now is removed with the item
	return nil
}

// Remove removes both sets, for a writer that died may have left chunks, and the
// item itself last: if something fails, it is still there to be removed.
func (k goKeyring) Remove(ctx context.Context, item string) error {
	ctx, cancel := bounded(ctx, writeBound)
	defer cancel()
	for _, set := range []string{"a", "b"} {
		if err := k.removeChunks(ctx, item, set, 0); err != nil {
			return err
		}
	}
	return k.removeItem(ctx, item)
}

// removeChunks removes chunk n, from 0, of a set and those that follow it, the last
// one first: wherever it ends, it leaves no gap in front of others.
func (k goKeyring) removeChunks(ctx context.Context, item, set string, n int) error {
	name := chunkName(item, set, n)
	if _, err := k.getItem(ctx, name); err != nil {
		return ignoreMiss(err)
	}
	if err := k.removeChunks(ctx, item, set, n+1); err != nil {
		return err
	}
	return ignoreMiss(k.removeItem(ctx, name))
}

// A head is written like this: the set of its chunks, "a" or "b", and how many
// there are. No record in JSON and no key looks like it.
const headFormat = "daypass-chunks %s %d"

func parseHead(text string) (set string, chunks int) {
	if n, _ := fmt.Sscanf(text, headFormat, &set, &chunks); n < 2 {
		return "", 0 // it is not a head
	}
	return set, chunks
}

func chunkName(item, set string, n int) string { return fmt.Sprintf("%s.%s.%d", item, set, n) }

func (k goKeyring) getItem(ctx context.Context, name string) (string, error) {
	var text string
	err := k.call(ctx, func() (err error) {
		text, err = keyring.Get(service, name)
		return err
	})
	if err != nil {
		return "", err // text may still be written to
	}
	return text, nil
}

func (k goKeyring) setItem(ctx context.Context, name, text string) error {
	return k.call(ctx, func() error { return keyring.Set(service, name, text) })
}

func (k goKeyring) removeItem(ctx context.Context, name string) error {
	return k.call(ctx, func() error { return keyring.Delete(service, name) })
}

// call runs f until ctx ends; go-keyring knows no context. What f assigns may be
// read only if call returns nil, for else f may still be running. The error is
// ErrMiss or an *UnreachableError.
func (k goKeyring) call(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	if ctx.Err() == nil {
		go func() { done <- f() }()
	}
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, keyring.ErrNotFound):
			return ErrMiss
		}
		return &UnreachableError{Where: k.title, Locked: securityRefused(err), Err: err}
	case <-ctx.Done():
		return &UnreachableError{Where: k.title, Err: context.Cause(ctx)}
	}
}

// securityRefused reports whether macOS's security tool ended because the
// keychain is locked and nobody could be asked, or the person did not unlock
// it. go-keyring loses its text, but the exit status is the low byte of the
// OSStatus: https://developer.apple.com/documentation/security/security-framework-result-codes
func securityRefused(err error) bool {
	const interactionNotAllowed, authFailed, userCanceled = 36, 51, 128 // of -25308, -25293, -128
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && slices.Contains([]int{interactionNotAllowed, authFailed, userCanceled}, exit.ExitCode())
}
