package profile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/daypass/daypass/failure"
)

// OpenToEdit is Open for a file that is to be edited, which need not be there yet.
// One that cannot be written, or that botocore refuses, is an error.
func OpenToEdit(src Source) (*Config, error) {
	path := src.ConfigFile()
	if path == "" {
		return nil, cannotWrite("~/.aws/config", errors.New("the home folder is not known"))
	}
	text, err := readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, cannotWrite(path, errors.New("it is a link to a file that does not exist"))
		}
		c, err := src.load("")
		c.IsNew = true // an empty text is always parsed
		return c, err
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, cannotWrite(path, errors.New("it is not a regular file"))
	} else if info.Mode().Perm()&0o200 == 0 { // root could write it
		return nil, cannotWrite(path, errors.New("it is read-only"))
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, cannotWrite(path, err)
	}
	_ = f.Close()
	c, err := src.load(text)
	if err == nil {
		err = c.Refused()
	}
	return c, err
}

// Refused returns an error if botocore refuses the whole file, and with it the AWS
// CLI, though daypass reads it.
func (c *Config) Refused() error {
	if p := c.text.problem(); p != "" {
		return fault(plain(c.path), p, "Correct it first: the AWS CLI refuses the whole file.")
	}
	return nil
}

// Replace puts what [Config.Edit] made into the place of the file that OpenToEdit read, in
// one step. Mode and owner of the file stay; if it is a link, the file that it leads to is
// replaced. A file that was changed since it was read is left alone.
func (c *Config) Replace(made *Config) error {
	path, target, err := c.path, c.path, error(nil)
	if c.IsNew {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	} else {
		target, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return cannotWrite(path, err)
	}
	temporary, err := writeBeside(target, made.text.all())
	if err != nil {
		return cannotWrite(path, err)
	}
	defer os.Remove(temporary) // it is gone if all went well
	if now, err := readText(target); err != nil && !errors.Is(err, fs.ErrNotExist) || now != c.text.all() {
		return fault(plain(path), "was changed by another program meanwhile; nothing was written", "Run the command again.")
	}
	if err := os.Rename(temporary, target); err != nil {
		return cannotWrite(path, err)
	}
	return nil
}

// writeBeside writes text to a new file in the folder of target, with target's
// mode and owner, and returns its name.
func writeBeside(target, text string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(target), ".daypass-*.tmp") // mode 0600
	if err != nil {
		return "", err
	}
	if info, failed := os.Stat(target); failed == nil {
		err = keepOwner(f, info)
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = cmp.Or(err, f.Close()); err != nil { // not joined: see failure.Bare
		_ = os.Remove(f.Name())
	}
	return f.Name(), err
}

func cannotWrite(path string, err error) error {
	return failure.New(failure.ExitUsage, err, fmt.Sprintf("%s: cannot be written: %v", plain(path), failure.Bare(err)),
		"Check that the file and its folder are yours and writable, and that the disk is not full.")
}
