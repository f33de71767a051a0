package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/daypass/daypass/failure"
)

// StateDir returns the path of the folder where everything that daypass keeps in
// files lies: $XDG_STATE_HOME/daypass if that is set and absolute, else
// ~/.local/state/daypass, ~/Library/Application Support/daypass, or
// %LocalAppData%\daypass. home is the person's home folder.
//
// A folder in somebody else's home is refused with a [failure.Error]: root, with
// sudo -E, would leave files there that the person cannot use.
func StateDir(getenv func(string) string, home string) (string, error) {
	base := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		switch runtime.GOOS {
		case "windows":
			if base = getenv("LocalAppData"); base == "" {
				base = filepath.Join(home, "AppData", "Local")
			}
		case "darwin":
			base = filepath.Join(home, "Library", "Application Support")
		default:
			base = filepath.Join(home, ".local", "state")
		}
	}
	if !filepath.IsAbs(base) {
		return "", failure.New(failure.ExitUsage, nil, fmt.Sprintf("no state folder: home folder %q is not an absolute path.", home),
			"Set HOME (on Windows LocalAppData) to your own folder.")
	}
	dir := filepath.Join(base, "daypass")
	there := dir // or the last folder on the way that exists
	info, err := os.Stat(there)
	for ; err != nil && there != filepath.Dir(there); info, err = os.Stat(there) {
		there = filepath.Dir(there)
	}
	// Root's are everybody's, as /tmp is: whether they can be written to is seen then.
	if err == nil && owner(info) != 0 && checkOwner(there, info) != nil {
		return "", failure.New(failure.ExitUsage, checkOwner(there, info),
			fmt.Sprintf("%q belongs to another user, so daypass keeps nothing there.", there),
			"Run daypass as that user, or set HOME to your own home folder (sudo -H).")
	}
	return dir, nil
}

// ForeignError says that a folder or a file belongs to another user.
type ForeignError struct {
	Path       string
	Owner, Own int // user ids
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%q belongs to user id %d, and this is user id %d", e.Path, e.Owner, e.Own)
}

// checkOwner refuses what belongs to another user. Root is not an exception: it
// would leave files that the person cannot use.
func checkOwner(path string, info fs.FileInfo) error {
	if uid := owner(info); uid != os.Geteuid() {
		return &ForeignError{path, uid, os.Geteuid()}
	}
	return nil
}

// makeDir makes a folder if need be, and checks it.
func makeDir(dir string) error {
	if err := makeAll(dir); err != nil {
		return err
	}
	return checkDir(dir)
}

// makeAll is [os.MkdirAll] with mode 0700, whatever the umask: after umask 177, nobody
// could enter the new folders, now or later.
func makeAll(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
		return err
	}
	if err := makeAll(filepath.Dir(dir)); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil // another process was faster
	case err != nil:
		return err
	}
	return os.Chmod(dir, 0o700)
}

// checkDir refuses a dir that is a link, or that another user could write to, and
// takes away the access of others that an older umask or a careless copy gave them.
func checkDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	if err := checkOwner(dir, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

// ReadFile reads a small file of the state folder, or a folder in it, of at most
// max bytes. A missing file is [ErrMiss], a larger one an *UnreadableError; a link,
// another user's file and what else fails are an *UnreachableError.
func ReadFile(dir, name string, max int64) ([]byte, error) {
	data, err := readPlain(dir, name, max+1)
	if int64(len(data)) > max {
		return nil, &UnreadableError{Where: filepath.Join(dir, name), Err: fmt.Errorf("larger than %d bytes", max)}
	}
	return data, fileError(err)
}

// readPlain reads the first max bytes of a plain file of this user.
func readPlain(dir, name string, max int64) (data []byte, err error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	var f *os.File
	err = whileInUse(func() error { f, err = os.OpenFile(path, os.O_RDONLY|openSafely, 0); return err })
	if err != nil {
		return nil, err
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

// WriteFile replaces a small file of the state folder, or a folder in it, with
// mode 0600. Whoever reads it sees the old file or the new one, also after a crash,
// and a full disk leaves the old one: that is an *UnreachableError. It makes the
// folder if need be.
func WriteFile(dir, name string, data []byte) error {
	err := makeDir(dir)
	if err == nil {
		err = ReplaceFile(dir, name, data)
	}
	return fileError(err)
}

// tempMark follows a file's name in those of its temporary files. No other name
// has it.
const tempMark = "~"

// ReplaceFile is [WriteFile] in a folder that exists, whoever may write to it. Its
// errors are the system's.
func ReplaceFile(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, name+tempMark+"*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = whileInUse(func() error { return os.Rename(f.Name(), filepath.Join(dir, name)) })
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	syncDir(dir)
	return nil
}

// RemoveFile deletes a file of the state folder, or a folder in it, and what writers of
// it that died have left. A missing one is [ErrMiss].
func RemoveFile(dir, name string) error {
	names, _ := fileNames(dir)
	for _, other := range names {
		if strings.HasPrefix(other, name+tempMark) {
			_ = os.Remove(filepath.Join(dir, other))
		}
	}
	err := whileInUse(func() error { return os.Remove(filepath.Join(dir, name)) })
	syncDir(dir)
	return fileError(err)
}

// syncDir makes a change in dir last through a power loss, if the system can do that.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// fileNames returns the names of all files of a folder; none if it is missing.
func fileNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, ignoreMiss(fileError(err))
}

// fileError returns ErrMiss for what is missing, else an *UnreachableError.
func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return ErrMiss
	}
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	return &UnreachableError{Where: "the state folder", Full: full, Err: err}
}

// fileItems is a folder of files of mode 0600, which protect as well as ~/.ssh does.
type fileItems string

func (f fileItems) Kind() string                            { return "file" }
func (f fileItems) Name() string                            { return "file" }
func (f fileItems) CanAsk() bool                            { return false }
func (f fileItems) Unlock(context.Context, ...string) error { return nil }

func (f fileItems) Get(_ context.Context, item string) ([]byte, error) {
	return ReadFile(string(f), item, MaxRecord)
}

func (f fileItems) Set(_ context.Context, item, _ string, value []byte) error {
	return WriteFile(string(f), item, value)
}

func (f fileItems) Remove(_ context.Context, item string) error { return RemoveFile(string(f), item) }

func (f fileItems) List(context.Context) ([]string, error) { return fileNames(string(f)) }
