package cache

import (
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/zalando/go-keyring"
)

// service is the service name under which all items lie in the keyring.
const service = "daypass"

const (
	// readBound is what a read may take where no dialog can be shown: a
	// keyring that is there answers in milliseconds.
	readBound = 2 * time.Second
	// writeBound is what storing an answer may take: it is worth a login.
	writeBound = 20 * time.Second
)

// Bytes that one item can hold.
const (
	// windowsItemLimit is CRED_MAX_CREDENTIAL_BLOB_SIZE, 5*512:
	// https://learn.microsoft.com/windows/win32/api/wincred/ns-wincred-credentialw
	windowsItemLimit = 2560

	// macItemLimit follows from the 4096 bytes of a line of "security -i",
	// into which go-keyring writes
	//
	//	add-generic-password -U -s daypass -a 'KEY#S.NNN' -w go-keyring-base64:BASE64
	//
	// 61 bytes of it are fixed (with the line feed), 2 are quotes, an item's
	// name is at most maxName+6 bytes. 4096-169 bytes of base64 stand for 2943
	// bytes; the rest is margin.
	macItemLimit = 2900
)

// goKeyring is the items that go-keyring reaches. Its calls know no context:
// one that outlasts ctx goes on in the background until the process ends.
type goKeyring struct {
	title string // for people
}

func (k goKeyring) name() string { return k.title }

func (k goKeyring) get(ctx context.Context, name string) ([]byte, error) {
	var value string
	err := k.call(ctx, func() (err error) {
		value, err = keyring.Get(service, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []byte(value), nil
}

func (k goKeyring) set(ctx context.Context, name string, value []byte, _ time.Time) error {
	text := string(value)
	return k.call(ctx, func() error { return keyring.Set(service, name, text) })
}

func (k goKeyring) remove(ctx context.Context, name string) error {
	return k.call(ctx, func() error { return keyring.Delete(service, name) })
}

// unlock has nothing to do: these systems unlock the keyring with the session,
// or ask by themselves while it is read. One that still is locked stays so.
func (k goKeyring) unlock(context.Context) error {
	return &UnreachableError{Where: k.title, Locked: true, Err: errors.New("the system does not offer to unlock it here")}
}

func (k goKeyring) canAsk() bool { return false }

// call runs f until ctx ends. What f assigns may be read only if call returns
// nil: f may still be running otherwise.
func (k goKeyring) call(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return &UnreachableError{Where: k.title, Err: context.Cause(ctx)}
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, keyring.ErrNotFound):
			return ErrMiss
		default:
			return &UnreachableError{Where: k.title, Locked: securityRefused(err), Err: err}
		}
	case <-ctx.Done():
		return &UnreachableError{Where: k.title, Err: context.Cause(ctx)}
	}
}

// securityRefused reports whether macOS's security tool ended because the
// keychain is locked and nobody could be asked, or the person did not unlock
// it. go-keyring loses its text, but the exit status is the low byte of the
// OSStatus: https://developer.apple.com/documentation/security/security-framework-result-codes
func securityRefused(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	switch exit.ExitCode() {
	case 36, // errSecInteractionNotAllowed, -25308
		51,  // errSecAuthFailed, -25293
		128: // errSecUserCanceled, -128
		return true
	}
	return false
}
