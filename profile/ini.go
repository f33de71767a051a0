package profile

import (
	"fmt"
	"strings"
	"unicode"
)

// document is a config file as its lines, each with its line end, and what
// botocore makes of them.
type document struct {
	mark    string // the byte order mark, or ""
	lines   []string
	entries []entry
}

// entry is a section header or a setting.
type entry struct {
	first, last int    // its lines: a value may go on over several
	isHeader    bool   // also of a header that is not closed
	header      string // the text between the brackets, "" for a setting
	key         string // in lower case, "" for a header and for a line that is not a setting
}

// newDocument finds the headers and settings as botocore does, which reads with
// Python's configparser: a line that is indented deeper than the setting above it
// continues that setting's value, whatever it looks like. So do nested keys, as
// below "s3 =". Python knows no quotes.
func newDocument(text string) *document {
	d := &document{}
	if rest, marked := strings.CutPrefix(text, "\ufeff"); marked {
		d.mark, text = "\ufeff", rest
	}
	d.lines = splitLines(text)
	d.entries = make([]entry, 0, len(d.lines))
	indent, within := 0, false
	for i, line := range d.lines {
		content := strings.TrimSpace(line)
		if isBlank(content) {
			continue // also between the lines of one value
		}
		depth := len(indentation(line))
		if within && depth > indent {
			d.entries[len(d.entries)-1].last = i
			continue
		}
		indent, within = depth, content[0] != '['
		e := entry{first: i, last: i, isHeader: !within}
		if end := strings.LastIndexByte(content, ']'); e.isHeader && end > 0 {
			e.header = content[1:end]
		} else if key, _, found := cutSetting(content); within && found {
			e.key = strings.ToLower(key)
		}
		d.entries = append(d.entries, e)
	}
	return d
}

// splitLines splits text behind each \n, \r\n and \r.
func splitLines(text string) []string {
	lines := make([]string, 0, strings.Count(text, "\n")+1)
	for line := range strings.SplitAfterSeq(text, "\n") {
		for {
			i := strings.IndexByte(line, '\r') + 1
			if i == 0 || i == len(line) || line[i] == '\n' {
				break
			}
			lines, line = append(lines, line[:i]), line[i:]
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// isBlank tells a line without a meaning: an empty one, or a comment.
func isBlank(content string) bool {
	return content == "" || content[0] == '#' || content[0] == ';'
}

// indentation is the white space that a line begins with.
func indentation(line string) string {
	return line[:len(line)-len(strings.TrimLeftFunc(line, unicode.IsSpace))]
}

// cutSetting splits a line at its first delimiter, which is one of Python's.
func cutSetting(line string) (key, value string, found bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:]), true
}

// value is the value of a setting as [Load] reads it. The value of support is
// whole: there " #" begins the name of a channel to ask in.
func (d *document) value(e entry) string {
	if e.key == "support" {
		return d.whole(e)
	}
	return cutComment(d.whole(e))
}

// whole is the value of a setting as botocore reads it, but for its line breaks:
// no setting of daypass can hold one, and JSON and lists do not tell them from
// spaces.
func (d *document) whole(e entry) string {
	_, first, _ := cutSetting(strings.TrimSpace(d.lines[e.first]))
	if e.last == e.first {
		return first
	}
	var value strings.Builder // a file may be one value of half a million lines
	value.WriteString(first)
	for _, line := range d.lines[e.first+1 : e.last+1] {
		if content := strings.TrimSpace(line); !isBlank(content) {
			value.WriteString(" " + content)
		}
	}
	return strings.TrimSpace(value.String())
}

// cutComment removes a comment at the end of a value. botocore knows none, but
// the Go and JavaScript SDKs do, and nobody means one as part of a value.
func cutComment(value string) string {
	for i := 1; i < len(value); i++ {
		if (value[i] == '#' || value[i] == ';') && (value[i-1] == ' ' || value[i-1] == '\t') {
			return strings.TrimSpace(value[:i])
		}
	}
	return value
}

// Problem is something in the config file for which botocore, and with it the AWS
// CLI, refuses the whole file.
type Problem struct {
	Line int // from 1
	Text string
}

// String returns "line 12: ...".
func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Text) }

// Check returns what botocore refuses in the config file; nothing if there is no
// file. daypass itself reads on past most of it. The error is that of a file that
// cannot be read.
func Check(src Source) ([]Problem, error) {
	text, _, err := src.readConfig()
	return newDocument(text).problems(), err
}

// problems never quotes a line that is not a setting: it may be part of a secret.
func (d *document) problems() []Problem {
	var found []Problem
	report := func(line int, format string, args ...any) {
		found = append(found, Problem{line + 1, fmt.Sprintf(format, args...)})
	}
	if d.mark != "" {
		report(0, "the file begins with a byte order mark; save it as UTF-8 without one")
	}
	sections := map[string]bool{"DEFAULT": false}
	var keys map[string]bool // of the section; nil before the first one
	for _, e := range d.entries {
		switch {
		case e.isHeader && e.header == "":
			report(e.first, "this is not a section header, [profile NAME]")
		case e.isHeader:
			if sections[e.header] {
				report(e.first, "the section %s is there twice", plain("["+e.header+"]"))
			}
			sections[e.header], keys = e.header != "DEFAULT", map[string]bool{}
		case e.key == "":
			report(e.first, "this is neither a setting nor a section header")
		case keys == nil:
			report(e.first, "this setting is above the first section")
		case keys[e.key]:
			report(e.first, "the key %s is there twice", plain(e.key))
		default:
			keys[e.key] = true
		}
	}
	return found
}
