package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fileItems are files of mode 0600 in the folder records of the state folder.
// They protect as well as ~/.ssh does, which is less than a keyring: so this
// storage is chosen by hand.
type fileItems struct {
	stateDir string
}

func openFiles(o Options) (Store, error) {
	if !filepath.IsAbs(o.StateDir) {
		return nil, fmt.Errorf("state folder %q is not an absolute path", o.StateDir)
	}
	return &recordStore{items: fileItems{o.StateDir}, write: writeBound, now: o.Now}, nil
}

func (f fileItems) name() string { return "file" }

func (f fileItems) unlock(context.Context) error { return nil }

func (f fileItems) canAsk() bool { return false }

func (f fileItems) folder() string { return filepath.Join(f.stateDir, "records") }

func (f fileItems) get(_ context.Context, name string) ([]byte, error) {
	err := checkDir(f.stateDir)
	if err != nil {
		return nil, f.failed(missing(err))
	}
	// One byte more than a record can have shows that it is none.
	item, err := readPlain(f.folder(), name, MaxRecord+maxHeader+1)
	return item, f.failed(err)
}

func (f fileItems) set(_ context.Context, name string, value []byte, _ time.Time) error {
	if err := PrepareStateDir(f.stateDir); err != nil {
		return f.failed(err)
	}
	if err := PrepareStateDir(f.folder()); err != nil {
		return f.failed(err)
	}
	if err := writeWhole(f.folder(), name, value); err != nil {
		return f.failed(err)
	}
	dropTemps(f.folder(), name)
	return nil
}

func (f fileItems) remove(_ context.Context, name string) error {
	for _, dir := range []string{f.stateDir, f.folder()} {
		if err := checkDir(dir); err != nil {
			return f.failed(missing(err))
		}
	}
	dropTemps(f.folder(), name)
	if err := os.Remove(filepath.Join(f.folder(), name)); err != nil {
		return f.failed(missing(err))
	}
	syncDir(f.folder())
	return nil
}

func (f fileItems) failed(err error) error {
	if err == nil || errors.Is(err, ErrMiss) {
		return err
	}
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	return &UnreachableError{Where: f.name(), Full: full, Err: err}
}
