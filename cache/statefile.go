package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ReadFile reads a small file of the state folder, of at most max bytes. A
// missing one is [ErrMiss]; a link, or another user's file, is refused.
func ReadFile(dir, name string, max int64) ([]byte, error) {
	if err := stateFileName(name); err != nil {
		return nil, err
	}
	data, err := readPlain(dir, name, max+1)
	if err == nil && int64(len(data)) > max {
		return nil, fmt.Errorf("%q is larger than %d bytes", filepath.Join(dir, name), max)
	}
	return data, err
}

// WriteFile replaces a small file of the state folder, with mode 0600. Whoever
// reads it sees the old file or the new one, also after a crash, and a full disk
// leaves the old one. It makes the folder if need be.
func WriteFile(dir, name string, data []byte) error {
	if err := stateFileName(name); err != nil {
		return err
	}
	if err := PrepareStateDir(dir); err != nil {
		return err
	}
	return writeWhole(dir, name, data)
}

func stateFileName(name string) error {
	if !plainName(name) || strings.HasSuffix(name, lockSuffix) {
		return fmt.Errorf("bad name of a state file %q", name)
	}
	return nil
}

// readPlain reads the first max bytes of a plain file of this user.
func readPlain(dir, name string, max int64) ([]byte, error) {
	if err := checkDir(dir); err != nil {
		return nil, missing(err)
	}
	path := filepath.Join(dir, name)
	f, err := openPlain(path)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%q is a link", path)
	}
	if err != nil {
		return nil, missing(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a plain file", path)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, max))
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMiss
	}
	return err
}

func writeWhole(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(dir, name+tempMark+"*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = replace(f.Name(), filepath.Join(dir, name))
	}
	if err == nil {
		syncDir(dir)
	}
	return err
}

// tempMark follows a file's name in those of its temporary files. No name of a
// state file or a record has it.
const tempMark = "~"

// dropTemps removes what writers of this file that died have left.
func dropTemps(dir, name string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), name+tempMark) {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}
