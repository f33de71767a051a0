package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
)

// maxFile bounds the config file in bytes. Generated files of thousands of
// profiles are smaller.
const maxFile = 16 << 20

// maxValue bounds one value in bytes; the longest that AWS accepts is a session
// policy of 2048 characters.
const maxValue = 8192

// Section is one section of the config file that daypass reads.
type Section struct {
	IDP  bool // it is [daypass-idp NAME], else [profile NAME]
	Name string
}

// Header returns the header that configure writes, as in "[profile dev]".
func (s Section) Header() string {
	if s == (Section{Name: "default"}) {
		return "[default]" // some SDKs know no [profile default]
	}
	return "[" + s.bareHeader() + "]"
}

func (s Section) bareHeader() string {
	if s.IDP {
		return "daypass-idp " + s.Name
	}
	return "profile " + s.Name
}

// Config is the config file, read once, with what overrides it. It serves any
// number of profiles.
type Config struct {
	src      Source
	path     string
	old      []byte // the file as it was read to be edited, nil if there was none
	exposed  bool   // other users can read the file
	text     *document
	sections map[Section]*section // of several headers for one, as [default] and [profile default], the last
	order    []*section           // in the order of the file
	headers  map[string][]entry   // the settings below each header, of the last one if it is there twice
}

// section is what the file says in a section.
type section struct {
	Section
	header   entry
	twice    bool // the file has this header more than once
	settings []entry
}

// Open reads the config file. If there is no ~/.aws/config, the Config is empty;
// a file that AWS_CONFIG_FILE names must exist, unless the flags say everything.
func Open(src Source) (*Config, error) {
	text, exposed, err := src.readConfig()
	if err != nil {
		return nil, err
	}
	c, err := src.parse(text)
	if err != nil {
		return nil, err
	}
	c.exposed = exposed
	return c, nil
}

// ConfigFile returns the path of the file that settings are read from:
// $AWS_CONFIG_FILE, else .aws/config in the home folder. As in botocore a
// leading ~ of the variable means the home folder. It is "" if neither the
// variable nor the home folder is known.
func (s Source) ConfigFile() string {
	if path := s.getenv("AWS_CONFIG_FILE"); path != "" {
		return s.expandHome(path)
	}
	if s.Home == "" {
		return ""
	}
	return filepath.Join(s.Home, ".aws", "config")
}

// expandHome replaces a leading ~ by the home folder.
func (s Source) expandHome(path string) string {
	if s.Home != "" && (path == "~" || len(path) > 1 && path[0] == '~' && os.IsPathSeparator(path[1])) {
		return filepath.Join(s.Home, path[1:])
	}
	return path
}

// readConfig returns the text of the config file, "" if there is none, and whether
// other users can read it.
func (s Source) readConfig() (text string, exposed bool, err error) {
	path := s.ConfigFile()
	if path == "" && s.complete() {
		return "", false, nil
	}
	if path == "" {
		return "", false, fault("~/.aws/config", "the home folder is not known", "Set HOME, or set AWS_CONFIG_FILE to the path of the file.")
	}
	text, err = readText(path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.getenv("AWS_CONFIG_FILE") == "" || s.complete() {
			return "", false, nil
		}
		return "", false, failure.New(failure.ExitUsage, err, plain(path)+": there is no such file, and AWS_CONFIG_FILE names it.",
			"Unset AWS_CONFIG_FILE, or set up a profile there: daypass configure")
	}
	if info, failed := os.Stat(path); err == nil && failed == nil {
		exposed = runtime.GOOS != "windows" && info.Mode().Perm()&0o044 != 0
	}
	return text, exposed, err
}

// readText returns a text file.
func readText(path string) (string, error) {
	where := plain(path)
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return "", fault(where, "this is a folder, not a file", "Name the file itself.")
	}
	if err == nil && !info.Mode().IsRegular() && path != os.DevNull {
		// A pipe could keep us waiting for ever.
		return "", fault(where, "not a regular file", "Name a regular file.")
	}
	var data []byte
	if err == nil {
		data, err = readBounded(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", failure.New(failure.ExitUsage, err, where+": there is no such file")
	case err != nil:
		return "", failure.New(failure.ExitUsage, err, where+": cannot be read: "+bare(err).Error(), "Check the owner and the permissions of the file.")
	case len(data) > maxFile:
		return "", fault(where, fmt.Sprintf("larger than %d bytes", maxFile), "Check that this is an AWS config file.")
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		return "", fault(where, "not a text file in UTF-8", "Save it as UTF-8.")
	}
	return string(data), nil
}

// readBounded reads at most one byte more than maxFile.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil {
		data.Grow(int(min(info.Size(), maxFile)) + bytes.MinRead)
	}
	_, err = data.ReadFrom(io.LimitReader(f, maxFile+1))
	return data.Bytes(), err
}

// parse finds the sections of a text.
func (s Source) parse(text string) (*Config, error) {
	c := &Config{src: s, path: s.ConfigFile(), text: newDocument(text), sections: map[Section]*section{}, headers: map[string][]entry{}}
	entries := c.text.entries
	for i, e := range entries {
		if !e.isHeader {
			continue
		}
		if e.header == "" {
			return nil, fault(plain(c.path), fmt.Sprintf("line %d: this is not a section header", e.first+1),
				"Correct the line: sections begin with [profile NAME] or [daypass-idp NAME].")
		}
		end := i + 1
		for end < len(entries) && !entries[end].isHeader {
			end++
		}
		_, twice := c.headers[e.header]
		c.headers[e.header] = entries[i+1 : end]
		if id, ok := readHeader(e.header); ok {
			c.sections[id] = &section{Section: id, header: e, twice: twice, settings: entries[i+1 : end]}
			c.order = append(c.order, c.sections[id])
		}
	}
	return c, nil
}

// readHeader tells which section a header begins, as botocore reads it: the
// name may be quoted, and [default] is the one profile without the word.
func readHeader(header string) (id Section, ok bool) {
	if header == "default" {
		return Section{Name: header}, true
	}
	if !strings.HasPrefix(header, "profile") && !strings.HasPrefix(header, "daypass-idp") {
		return Section{}, false
	}
	words, err := strings.Fields(header), error(nil)
	if strings.ContainsAny(header, "'\"\\") {
		words, err = splitWords(header, true)
	}
	if err != nil || len(words) != 2 || words[1] == "" || strings.ContainsFunc(words[1], unicode.IsControl) {
		return Section{}, false
	}
	return Section{words[0] == "daypass-idp", words[1]}, words[0] == "daypass-idp" || words[0] == "profile"
}

// find returns a section, or nil. The same header twice is an error: botocore
// refuses such a file, other SDKs merge the two, and so nobody can say which
// setting is meant. So is a header with a name of two words, which botocore takes
// for no profile.
func (c *Config) find(id Section) (*section, error) {
	s := c.sections[id]
	bare := id.bareHeader()
	_, hasBare := c.headers[bare]
	switch {
	case s == nil && strings.ContainsAny(id.Name, " \t") && hasBare:
		return nil, fault(plain(c.path)+": "+plain("["+bare+"]"), "no AWS tool reads a name with a space there",
			fmt.Sprintf("Rename it, or put the name in quotes: [%s %q].", strings.TrimSuffix(bare, " "+id.Name), id.Name))
	case s != nil && s.twice:
		return nil, fault(c.place(s), "the section is there twice", "Put its settings into one section; the AWS CLI refuses such a file too.")
	}
	return s, nil
}

// place names a section for errors.
func (c *Config) place(s *section) string {
	return plain(c.path) + ": " + plain("["+s.header.header+"]")
}

// value returns what a section says in one key, and "" if it does not. Nothing
// else of the section is looked at; it need not be in use.
func (c *Config) value(s *section, key string) string {
	for _, e := range s.settings {
		if e.key == key {
			return c.text.value(e)
		}
	}
	return ""
}

// values returns the settings of a section that is in use. known are the keys
// that daypass knows there; counts tells which unknown ones are errors.
func (c *Config) values(s *section, known []key, counts func(name string) bool) (map[string]string, error) {
	values := make(map[string]string, len(known))
	seen := map[string]bool{}
	for _, e := range s.settings {
		name := e.key
		if name == "" {
			continue // botocore refuses the file, see Check
		}
		where := func() string { return c.place(s) + " " + plain(name) }
		if seen[name] {
			return nil, fault(where(), "the key is there twice", "Remove one of the two lines; the AWS CLI refuses such a file too.")
		}
		seen[name] = true
		if !knows(known, name) {
			if counts(name) {
				return nil, unknownKey(where(), name, s.IDP)
			}
			continue
		}
		value := c.text.value(e)
		switch {
		case len(value) > maxValue:
			return nil, fault(where(), fmt.Sprintf("longer than %d bytes", maxValue), "")
		case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
			return nil, fault(where(), "holds a control character", "Type the value again; it may have been pasted with invisible characters.")
		case quotesAround(value) && name != "credential_process" && name != "browser_command": // these are split into words
			return nil, fault(where(), "has quotes around it, which are part of a value here", "Leave them out.")
		}
		values[name] = value
	}
	return values, nil
}

// Names returns the profiles that have daypass_idp or daypass_role_arn, in the
// order of the file.
func (c *Config) Names() []string { return c.names(false, c.isOurs) }

// NamesUsing returns the profiles that log in with the section [daypass-idp IDP].
func (c *Config) NamesUsing(idp string) []string {
	return c.names(false, func(s *section) bool { return idp != "" && c.value(s, "daypass_idp") == idp })
}

// IDPNames returns the names of the [daypass-idp NAME] sections.
func (c *Config) IDPNames() []string {
	return c.names(true, func(*section) bool { return true })
}

func (c *Config) names(idp bool, wanted func(*section) bool) []string {
	var names []string
	for _, s := range c.order {
		if s.IDP == idp && c.sections[s.Section] == s && wanted(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// isOurs reports whether a profile is set up for daypass.
func (c *Config) isOurs(s *section) bool {
	return c.value(s, "daypass_idp") != "" || c.value(s, "daypass_role_arn") != ""
}
