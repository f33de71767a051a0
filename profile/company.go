package profile

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/daypass/daypass/failure"
)

// A company can keep [daypass-idp NAME] sections in a file for everybody on a
// machine. What a person's own section of that name says wins, key by key.

// companyVariable names another file than the system's.
const companyVariable = "DAYPASS_SYSTEM_CONFIG"

// CompanyFile returns the path of the file in which a company keeps its settings,
// which need not exist.
func (s Source) CompanyFile() string {
	path := s.getenv(companyVariable)
	switch {
	case path != "":
		return path
	case runtime.GOOS == "windows":
		if folder := s.getenv("ProgramData"); folder != "" {
			return filepath.Join(folder, "daypass", "config")
		}
		return ""
	case runtime.GOOS == "darwin":
		return "/Library/Application Support/daypass/config"
	}
	return "/etc/daypass/config"
}

// openCompany reads the company's file, nil if there is none. Whoever can write it
// decides where people log in, so it has to be an administrator's, or the person's
// own; and since the person may not see it, nothing in it is passed over.
func (s Source) openCompany() (*Config, error) {
	path := s.CompanyFile()
	switch {
	case path == "":
		return nil, nil
	case !filepath.IsAbs(path):
		return nil, fault(companyVariable+" "+shown(path), "want an absolute path", "")
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil { // nobody else may change or replace it, nor the link to it
		err = cmp.Or(checkOwner(real, false), checkOwner(filepath.Dir(real), true), checkOwner(filepath.Dir(path), true))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.getenv(companyVariable) == "":
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, failure.New(failure.ExitUsage, err, plain(path)+": there is no such file, and "+companyVariable+" names it.", "Unset "+companyVariable+".")
	case err != nil:
		return nil, failure.New(failure.ExitUsage, err, plain(path)+": "+failure.Bare(err).Error()+", so it may not say where you log in.",
			"Tell the administrator of this machine. The file and its folder must belong to root (or you) and be writable by nobody else.")
	}
	text, err := readText(real) // a link may lead elsewhere by now
	if err != nil {
		return nil, err
	}
	c, err := Source{}.parse(path, text)
	if err != nil {
		return nil, err
	}
	if p := c.text.problem(); p != "" {
		return nil, fault(plain(path), p, "Tell the administrator of this machine.")
	}
	for _, s := range c.order {
		if s.IDP {
			if _, err := c.read(s); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// CompanyIDPNames returns the names of the company's sections.
func (c *Config) CompanyIDPNames() []string { return c.company.IDPNames() }

// companyKeys are the keys of which the company's values count.
func (s *settings) companyKeys() (keys []string) {
	if s.company != nil {
		for key, value := range s.company.values {
			if _, own := s.values[key]; !own && value != "" && !s.src.given(flagName(key)) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}
