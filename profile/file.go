package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFile bounds the config file in bytes. Generated files of a thousand
// profiles stay below 300 kB.
const maxFile = 1 << 20

// maxValue bounds one value in bytes; the longest that AWS takes is a session
// policy of 2048 characters.
const maxValue = 8192

// The two kinds of section that daypass reads.
const (
	kindProfile = "profile"
	kindIDP     = "daypass-idp"
)

// ConfigFile returns the path of the file that settings are read from:
// $AWS_CONFIG_FILE, else .aws/config in the home folder. As in botocore a
// leading ~ of the variable means the home folder. It is "" where neither the
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

// file is the config file as it was read.
type file struct {
	path     string
	text     *document
	sections []section // that count, in the order of the file
	foreign  []string  // headers of all other sections
}

// section is a section of a kind that daypass knows.
type section struct {
	kind, name string
	header     string // what stands between the brackets
	twice      bool   // the file has this header more than once
	text       *document
	settings   []entry
}

// readFile reads the config file. The error of a file that is not there matches
// fs.ErrNotExist.
func readFile(path string) (*file, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, text: newDocument([]byte(text))}
	if err := f.collect(); err != nil {
		return nil, err
	}
	return f, nil
}

// collect sorts the sections of the file. Of several for one profile, as
// [default] and [profile default] are, the last one counts, as in botocore.
func (f *file) collect() error {
	times := map[string]int{}   // by header
	last := map[[2]string]int{} // by kind and name: the place among the entries
	for i, e := range f.text.entries {
		if !f.text.isHeader(e) {
			continue
		}
		if e.header == "" {
			return &Error{where: plain(f.path), problem: fmt.Sprintf("line %d: %s is no section header", e.first+1, shown(f.text.content(e.first))),
				hint: "correct the line; sections begin with [profile NAME] or [daypass-idp NAME]"}
		}
		times[e.header]++
		if kind, name, ok := readHeader(e.header); ok {
			last[[2]string{kind, name}] = i
		}
	}
	for i, e := range f.text.entries {
		kind, name, ok := readHeader(e.header)
		switch {
		case e.header == "":
		case !ok:
			f.foreign = append(f.foreign, e.header)
		case last[[2]string{kind, name}] == i:
			f.sections = append(f.sections, section{
				kind: kind, name: name, header: e.header, twice: times[e.header] > 1, text: f.text, settings: f.text.settings(i),
			})
		}
	}
	return nil
}

// readText returns the text of the file in UTF-8 with \n line ends.
func readText(path string) (string, error) {
	if path == "" {
		return "", &Error{where: "~/.aws/config", problem: "the home folder is not known", hint: "set HOME, or AWS_CONFIG_FILE to the path of the file"}
	}
	where := plain(path)
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && path != os.DevNull {
		// A pipe could keep us waiting for ever.
		return "", &Error{where: where, problem: "not a file", hint: "AWS_CONFIG_FILE must name a regular file"}
	}
	var data []byte
	if err == nil {
		data, err = readBounded(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &Error{where: where, problem: "there is no such file", cause: err}
	case err != nil:
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err // without the path, which stands before it
		}
		return "", &Error{where: where, problem: "cannot be read: " + err.Error(), hint: "check the owner and the permissions of the file", cause: err}
	case len(data) > maxFile:
		return "", &Error{where: where, problem: fmt.Sprintf("larger than %d bytes", maxFile), hint: "check that AWS_CONFIG_FILE names an AWS config file"}
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "", &Error{where: where, problem: "in UTF-16", hint: "save it as UTF-8; no AWS tool reads UTF-16"}
	case !utf8.Valid(data):
		return "", &Error{where: where, problem: "not in UTF-8", hint: "save it as UTF-8"}
	case bytes.IndexByte(data, 0) >= 0:
		return "", &Error{where: where, problem: "holds a zero byte, so it is no text file", hint: "save it as UTF-8"}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), nil
}

// readBounded reads at most one byte more than maxFile.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// readHeader tells which section a header begins, as botocore reads it: the
// name may be quoted, and [default] is the one profile without the word.
func readHeader(header string) (kind, name string, ok bool) {
	if header == "default" {
		return kindProfile, header, true
	}
	for _, kind := range []string{kindProfile, kindIDP} {
		if !strings.HasPrefix(header, kind) {
			continue
		}
		words, whole := splitWords(header)
		if whole && len(words) == 2 && words[0] == kind && words[1] != "" && !strings.ContainsFunc(words[1], unicode.IsControl) {
			return kind, words[1], true
		}
	}
	return "", "", false
}

// find returns the section of that kind and name, or nil. The same header twice
// is an error: botocore refuses such a file, other SDKs merge the two, and so
// nobody can say which setting is meant.
func (f *file) find(kind, name string) (*section, error) {
	for i := range f.sections {
		s := &f.sections[i]
		if s.kind != kind || s.name != name {
			continue
		}
		if s.twice {
			return nil, &Error{where: f.place(s), problem: "the section is there twice", hint: "put its settings into one section; the AWS CLI refuses such a file too"}
		}
		return s, nil
	}
	return nil, nil
}

// place names a section for errors.
func (f *file) place(s *section) string {
	return plain(f.path) + ": " + plain("["+s.header+"]")
}

// values returns the settings of a section that is in use. known are the keys
// that daypass knows there; counts tells which unknown ones are errors.
func (f *file) values(s *section, known []key, counts func(name string) bool) (map[string]string, error) {
	values := make(map[string]string, len(known))
	seen := map[string]bool{}
	for _, e := range s.settings {
		name := e.key
		if name == "" {
			continue // botocore refuses the file; it is nothing of ours
		}
		where := func() string { return f.place(s) + " " + plain(name) }
		if seen[name] {
			return nil, &Error{where: where(), problem: "the key is there twice", hint: "remove one of the two lines; the AWS CLI refuses such a file too"}
		}
		seen[name] = true
		if !knows(known, name) {
			if counts(name) {
				return nil, unknownKey(where(), name, s.kind)
			}
			continue
		}
		value := s.text.value(e)
		if len(value) > maxValue {
			return nil, &Error{where: where(), problem: fmt.Sprintf("longer than %d bytes", maxValue)}
		}
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
			return nil, &Error{where: where(), problem: "holds a control character", hint: "type the value anew; it may have been pasted with invisible characters"}
		}
		values[name] = value
	}
	return values, nil
}
