package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// ReadConfig returns the config file as it is, to be edited; nothing where there
// is no file yet. A file that [Load] could not read is an error, which is an
// [*Error].
func (s Source) ReadConfig() ([]byte, error) {
	path := s.ConfigFile()
	if _, err := readFile(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, cannotWrite(path, err)
	}
	return text, nil
}

// ReplaceConfig puts text in the place of old, which is what ReadConfig returned,
// in one step: whoever reads the file sees either, whole. The new text is read
// back first, and has to give each of the profiles, else nothing is written. Mode
// and owner of the file stay; where it is a link, the file that it leads to is
// replaced. A file that was changed since it was read is left alone. Every error
// is an [*Error].
func (s Source) ReplaceConfig(old, text []byte, profiles []string) error {
	path := s.ConfigFile()
	if path == "" {
		return cannotWrite("~/.aws/config", errors.New("the home folder is not known"))
	}
	target, err := followLinks(path)
	if err != nil {
		return cannotWrite(path, err)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return cannotWrite(path, err)
	}
	temporary, err := writeBeside(target, text)
	if err != nil {
		return cannotWrite(path, err)
	}
	defer os.Remove(temporary) // it is gone where all went well
	if err := s.readsBack(temporary, profiles); err != nil {
		return err
	}
	if err := unchanged(target, old); err != nil {
		return err
	}
	if err := os.Rename(temporary, target); err != nil {
		return cannotWrite(path, err)
	}
	syncFolder(filepath.Dir(target))
	return nil
}

// followLinks returns the file that a path leads to, which need not be there yet.
func followLinks(path string) (string, error) {
	for range 40 { // as many as Linux follows
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink == 0:
			return path, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return "", errors.New("it is a link that leads nowhere")
}

// writeBeside writes text to a new file in the folder of target, with target's
// mode and owner, and returns its name.
func writeBeside(target string, text []byte) (name string, err error) {
	mode := fs.FileMode(0o600)
	info, err := os.Stat(target)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return "", errors.New("it is no regular file")
	case err == nil && info.Mode().Perm()&0o200 == 0:
		return "", errors.New("it is read-only")
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(target), ".daypass-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if info != nil {
		if err := keepOwner(f, info); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		return "", err
	}
	if _, err := f.Write(text); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// readsBack loads the profiles from the file that is to become the config file.
func (s Source) readsBack(temporary string, profiles []string) error {
	ahead := Source{Home: s.Home, Getenv: func(name string) string {
		if name == "AWS_CONFIG_FILE" {
			return temporary
		}
		return s.getenv(name)
	}}
	for _, name := range profiles {
		_, err := Load(ahead, name)
		var wrong *Error
		if errors.As(err, &wrong) {
			wrong.where = strings.ReplaceAll(wrong.where, plain(temporary), plain(s.ConfigFile()))
			wrong.problem = strings.ReplaceAll(wrong.problem, plain(temporary), plain(s.ConfigFile()))
			return wrong
		}
	}
	return nil
}

// unchanged demands that target still holds what was read.
func unchanged(target string, old []byte) error {
	now, err := readBounded(target)
	switch {
	case errors.Is(err, fs.ErrNotExist) && old == nil:
		return nil
	case err == nil && old != nil && bytes.Equal(now, old):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cannotWrite(target, err)
	}
	return &Error{where: plain(target), problem: "was changed by another program meanwhile; nothing was written", hint: "run the command again"}
}

func cannotWrite(path string, err error) *Error {
	cause := err
	var inPath *fs.PathError
	var inLink *os.LinkError
	if errors.As(err, &inPath) {
		cause = inPath.Err // without the name of a temporary file
	} else if errors.As(err, &inLink) {
		cause = inLink.Err
	}
	return &Error{where: plain(path), problem: fmt.Sprintf("cannot be written: %v", cause),
		hint: "check the owner and the permissions of the file and its folder", cause: err}
}
