package cache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"

	"github.com/daypass/daypass/secret"
)

// sealedSuffix ends the names of sealed files.
const sealedSuffix = ".sealed"

// Key seals the files of a login, and opens them: 32 bytes, or none.
type Key struct{ secret.String }

func newKey() Key {
	bytes := make([]byte, 32)
	_, _ = rand.Read(bytes) // never fails
	return Key{secret.New(string(bytes))}
}

// parseKey reads a keyring item. It is text, for some keyrings hold nothing else.
func parseKey(text []byte) (Key, error) {
	bytes, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(bytes) != 32 {
		return Key{}, errors.New("it is not a key")
	}
	return Key{secret.New(string(bytes))}, nil
}

func (k Key) text() []byte {
	return base64.StdEncoding.AppendEncode(nil, []byte(k.Reveal()))
}

// ID tells keys apart without telling anything of them; "" if there is no key.
func (k Key) ID() string {
	if k.Empty() {
		return ""
	}
	return Name("key", k.Reveal())
}

// cipher is AES-256-GCM with random nonces, each written before its text.
func (k Key) cipher() (cipher.AEAD, error) {
	block, err := aes.NewCipher([]byte(k.Reveal())) // refuses the zero value
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal writes a sealed file into the login's folder, as [WriteFile] does, but does
// not make the folder again if a logout has deleted it: that is ErrMiss.
func (l *Login) Seal(k Key, name string, data []byte) error {
	aead, err := k.cipher()
	if err != nil {
		return err
	}
	if err = checkDir(l.Dir()); err == nil {
		err = ReplaceFile(l.Dir(), name+sealedSuffix, aead.Seal(nil, nil, data, []byte(name)))
	}
	return fileError(err)
}

// Unseal reads a sealed file. The error is ErrMiss, an *UnreadableError if this
// key does not open it under this name, or an *UnreachableError.
func (l *Login) Unseal(k Key, name string) ([]byte, error) {
	aead, err := k.cipher()
	if err != nil {
		return nil, err
	}
	sealed, err := ReadFile(l.Dir(), name+sealedSuffix, int64(MaxRecord+aead.Overhead()))
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, &UnreadableError{Where: filepath.Join(l.Dir(), name+sealedSuffix), Err: errors.New("the login's key does not open it")}
	}
	return data, nil
}

// Sealed returns the names of the sealed files.
func (l *Login) Sealed() (names []string, err error) {
	files, err := fileNames(l.Dir())
	for _, file := range files {
		if name, isSealed := strings.CutSuffix(file, sealedSuffix); isSealed {
			names = append(names, name)
		}
	}
	return names, err
}
