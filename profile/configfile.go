package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
)

const (
	maxFile  = 16 << 20 // bytes; generated files of thousands of profiles are smaller
	maxValue = 8192     // bytes; the longest that AWS accepts is a policy of 2048 characters
)

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
	return "[" + s.kind() + " " + Word(s.Name) + "]"
}

func (s Section) kind() string {
	if s.IDP {
		return "daypass-idp"
	}
	return "profile"
}

// Config is the config file, read once, with what overrides it.
type Config struct {
	src      Source
	path     string
	IsNew    bool // OpenToEdit found no file
	text     *document
	headers  map[string]*section  // every section, of several with one header the last
	sections map[Section]*section // ours; of several, as [default] and [profile default], the last
	order    []*section           // every section, in the order of the file
	company  *Config              // the company's file, or nil
	chain    []string             // the profiles on whose way this one is loaded, see loadChained
}

// section is what the file says in a section.
type section struct {
	Section
	header   string
	first    int  // its header's place in the entries
	twice    bool // the file has this header more than once
	settings []entry
}

// Open reads the config file. If there is no ~/.aws/config, the Config is empty;
// a file that AWS_CONFIG_FILE names must exist, unless the flags say everything.
func Open(src Source) (*Config, error) {
	path, text := src.ConfigFile(), ""
	var err error
	switch {
	case path != "":
		text, err = readText(path)
	case !src.complete():
		return nil, fault("~/.aws/config", "the home folder is not known", "Set HOME, or set AWS_CONFIG_FILE to the path of the file.")
	}
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && src.getenv("AWS_CONFIG_FILE") != "" && !src.complete():
		return nil, failure.New(failure.ExitUsage, err, plain(path)+": there is no such file, and AWS_CONFIG_FILE names it.",
			"Unset AWS_CONFIG_FILE, or set up a profile there: daypass configure")
	case err != nil && !missing:
		return nil, err
	}
	return src.load(text)
}

// ConfigFile returns the path of the file that settings are read from:
// $AWS_CONFIG_FILE, else .aws/config in the home folder. It is "" if neither the
// variable nor the home folder is known.
func (s Source) ConfigFile() string { return s.awsFile("AWS_CONFIG_FILE", "config") }

// awsFile returns the path that a variable holds, in which a leading ~ means the
// home folder as in botocore, else that of a file in .aws.
func (s Source) awsFile(variable, name string) string {
	path := s.getenv(variable)
	if path == "" && s.Home != "" {
		path = filepath.Join(s.Home, ".aws", name)
	}
	return s.expandHome(path)
}

// expandHome replaces a leading ~ by the home folder.
func (s Source) expandHome(path string) string {
	if s.Home != "" && (path == "~" || len(path) > 1 && path[0] == '~' && os.IsPathSeparator(path[1])) {
		return filepath.Join(s.Home, path[1:])
	}
	return path
}

// readText returns a text file.
func readText(path string) (string, error) {
	where := plain(path)
	info, err := os.Stat(path)
	var data []byte
	if err == nil && (info.Mode().IsRegular() || path == os.DevNull) { // a pipe could keep us waiting for ever
		var f *os.File
		if f, err = os.Open(path); err == nil {
			data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
			_ = f.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", failure.New(failure.ExitUsage, err, where+": there is no such file")
	case err != nil:
		return "", failure.New(failure.ExitUsage, err, where+": cannot be read: "+failure.Bare(err).Error(), "Check the owner and the permissions of the file.")
	case info.IsDir():
		return "", fault(where, "this is a folder, not a file", "Name the file itself.")
	case data == nil:
		return "", fault(where, "not a regular file", "Name a regular file.")
	}
	return checkText(where, data)
}

// checkText returns what was read, if it can be a config file.
func checkText(where string, data []byte) (string, error) {
	switch {
	case len(data) > maxFile:
		return "", fault(where, fmt.Sprintf("larger than %d bytes", maxFile), "Check that this is an AWS config file.")
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		return "", fault(where, "not a text file in UTF-8", "Save it as UTF-8.")
	}
	return string(data), nil
}

// load is parse, with the company's file.
func (src Source) load(text string) (*Config, error) {
	c, err := src.parse(src.ConfigFile(), text)
	if err == nil {
		c.company, err = src.openCompany()
	}
	return c, err
}

// parse finds the sections of a text, which errors call by its path.
func (src Source) parse(path, text string) (*Config, error) {
	c := &Config{src: src, path: path, text: newDocument(text), headers: map[string]*section{}, sections: map[Section]*section{}}
	s := &section{first: -1} // what is above the first header is nobody's
	for i, e := range c.text.entries {
		switch {
		case !e.isHeader:
			s.settings = c.text.entries[s.first+1 : i+1]
			continue
		case e.header == "":
			return nil, fault(plain(c.path), fmt.Sprintf("line %d: this is not a section header", e.first+1), "Correct the line: the name of a section is in brackets.")
		}
		s = &section{header: e.header, first: i, twice: c.headers[e.header] != nil}
		c.headers[e.header] = s
		c.order = append(c.order, s)
		if id, ok := readHeader(e.header); ok {
			s.Section, c.sections[id] = id, s
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
// refuses such a file, and other SDKs merge the two. So is a name of two words, which
// botocore does not take for a profile's.
func (c *Config) find(id Section) (*section, error) {
	s, bare := c.sections[id], id.kind()+" "+id.Name
	switch {
	case s == nil && strings.ContainsAny(id.Name, " \t") && c.headers[bare] != nil:
		return nil, fault(plain(c.path)+": "+plain("["+bare+"]"), "a name with a space is not read without quotes",
			"Rename it, or put the name in quotes: "+id.Header()+".")
	case s != nil && s.twice:
		return nil, fault(c.place(s), "the section is there twice", "Put its settings into one section; the AWS CLI refuses such a file too.")
	}
	return s, nil
}

// place names a section for errors.
func (c *Config) place(s *section) string {
	return plain(c.path) + ": " + plain("["+s.header+"]")
}

// value returns what a section, which need not be in use, says in one key; nil says nothing.
func (c *Config) value(s *section, key string) string {
	if e, there := s.entry(key); there {
		return c.text.value(e)
	}
	return ""
}

// settingsOf returns the settings of a section that is in use, nil if c, which may be
// nil, does not have it.
func (c *Config) settingsOf(id Section) (*settings, error) {
	if c == nil {
		return nil, nil
	}
	s, err := c.find(id)
	if s == nil || err != nil {
		return nil, err
	}
	return c.read(s)
}

// read returns the settings of a section.
func (c *Config) read(s *section) (*settings, error) {
	known, values, seen := keysOf(s.IDP), map[string]string{}, map[string]bool{}
	for _, e := range s.settings {
		name := e.key
		if name == "" {
			continue // botocore refuses the file
		}
		where := func() string { return c.place(s) + " " + plain(name) }
		if seen[name] {
			return nil, fault(where(), "the key is there twice", "Remove one of the two lines; the AWS CLI refuses such a file too.")
		}
		seen[name] = true
		value := c.text.value(e)
		switch {
		case !knows(known, name) && (s.IDP || strings.HasPrefix(name, "daypass")):
			return nil, unknownKey(where(), name, s.IDP)
		case !knows(known, name):
			continue // another tool's
		case len(value) > 1 && value[0] == value[len(value)-1] && strings.ContainsRune(`"'`, rune(value[0])) &&
			name != "credential_process" && name != "browser_command": // these are split into words
			return nil, fault(where(), "has quotes around it, which are part of a value here", "Leave them out.")
		}
		if err := checkForm(value, where); err != nil {
			return nil, err
		}
		values[name] = value
	}
	return &settings{src: c.src, file: c.path, place: c.place(s), values: values}, nil
}

// Names returns the profiles that have daypass_idp or daypass_role_arn, in the
// order of the file.
func (c *Config) Names() []string {
	return c.names(false, func(s *section) bool { return c.value(s, "daypass_idp")+c.value(s, "daypass_role_arn") != "" })
}

// NamesUsing returns the profiles that log in with the section [daypass-idp IDP], by
// themselves or through others.
func (c *Config) NamesUsing(idp string) []string {
	return c.names(false, func(s *section) bool {
		for range maxLinks {
			if source := c.sections[Section{Name: c.value(s, "daypass_source_profile")}]; source != nil {
				s = source
			}
		}
		return idp != "" && c.value(s, "daypass_idp") == idp
	})
}

// IDPNames returns the names of the [daypass-idp NAME] sections, the company's first.
func (c *Config) IDPNames() []string {
	if c == nil {
		return nil
	}
	names := c.CompanyIDPNames()
	for _, own := range c.names(true, func(*section) bool { return true }) {
		if !slices.Contains(names, own) {
			names = append(names, own)
		}
	}
	return names
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
