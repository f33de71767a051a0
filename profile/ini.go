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

// all is the text of the file.
func (d *document) all() string { return d.mark + strings.Join(d.lines, "") }

// splitLines splits text behind each \n, \r\n and \r.
func splitLines(text string) (lines []string) {
	for text != "" {
		end := strings.IndexAny(text, "\r\n") + 1
		if end == 0 {
			end = len(text)
		} else if strings.HasPrefix(text[end-1:], "\r\n") {
			end++
		}
		lines, text = append(lines, text[:end]), text[end:]
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

// value is the value of a setting as [Load] reads it. That of support is whole, for
// " #" begins the name of a channel there, and that of credential_process is as the AWS
// CLI reads it.
func (d *document) value(e entry) string {
	if e.key == "support" || e.key == "credential_process" {
		return d.whole(e)
	}
	return cutComment(d.whole(e))
}

// whole is the value of a setting as botocore reads it, but with spaces for line
// breaks, which JSON and lists do not tell apart.
func (d *document) whole(e entry) string {
	_, first, _ := cutSetting(d.lines[e.first])
	parts := []string{first}
	for _, line := range d.lines[e.first+1 : e.last+1] {
		if content := strings.TrimSpace(line); !isBlank(content) {
			parts = append(parts, content)
		}
	}
	return strings.TrimSpace(strings.Join(parts, " "))
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

// notNested returns the first line of a value that begins below its key and holds
// something else than settings, which botocore takes it for; 0 if there is none.
func (d *document) notNested(e entry) int {
	if _, first, _ := cutSetting(d.lines[e.first]); e.isHeader || first != "" {
		return 0
	}
	for i := e.first + 1; i <= e.last; i++ {
		if content := strings.TrimSpace(d.lines[i]); !isBlank(content) && !strings.Contains(content, "=") {
			return i
		}
	}
	return 0
}

// problem returns what is first in the file for which botocore, and with it the AWS
// CLI, refuses the whole file, as in "line 12: ..."; "" if there is nothing. A line
// that is not a setting is never quoted: it may be part of a secret.
func (d *document) problem() string {
	if d.mark != "" {
		return "line 1: the file begins with a byte order mark; save it as UTF-8 without one"
	}
	header, seen := "", map[[2]string]bool{} // by header and key
	for _, e := range d.entries {
		if e.isHeader {
			header = e.header
		}
		this, text := [2]string{header, e.key}, ""
		switch {
		case e.isHeader && e.header == "":
			text = "this is not a section header, [profile NAME]"
		case e.isHeader && seen[this] && header != "DEFAULT":
			text = "the section " + plain("["+header+"]") + " is there twice"
		case !e.isHeader && e.key == "":
			text = "this is neither a setting nor a section header"
		case header == "":
			text = "this setting is above the first section"
		case !e.isHeader && seen[this]:
			text = "the key " + plain(e.key) + " is there twice"
		}
		if text != "" {
			return fmt.Sprintf("line %d: %s", e.first+1, text)
		}
		if line := d.notNested(e); line != 0 {
			return fmt.Sprintf("line %d: this is not a setting, and the value of %s begins on a line of its own", line+1, plain(e.key))
		}
		seen[this] = true
	}
	return ""
}
