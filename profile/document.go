package profile

import (
	"bytes"
	"strings"
	"unicode"
)

// document is a config file as its lines, each with its line end.
type document struct {
	mark    string // the byte order mark, or ""
	lines   []string
	entries []entry
}

// entry is a section header or a setting.
type entry struct {
	first  int    // its line
	rest   []int  // the lines that continue its value
	header string // what stands between the brackets, "" for a setting
	key    string // in lower case, "" for a header and for what is no setting
}

func newDocument(text []byte) *document {
	d := &document{}
	text, marked := bytes.CutPrefix(text, []byte("\ufeff"))
	if marked {
		d.mark = "\ufeff"
	}
	d.lines = splitLines(string(text))
	d.entries = scan(d.lines)
	return d
}

func (d *document) bytes() []byte { return []byte(d.mark + strings.Join(d.lines, "")) }

// splitLines splits text behind each \n, \r\n and \r.
func splitLines(text string) []string {
	var lines []string
	for text != "" {
		end := strings.IndexAny(text, "\r\n") + 1
		switch {
		case end == 0:
			end = len(text)
		case text[end-1] == '\r' && end < len(text) && text[end] == '\n':
			end++
		}
		lines, text = append(lines, text[:end]), text[end:]
	}
	return lines
}

// scan finds the headers and settings as botocore does, which reads with Python's
// configparser: a line that is indented deeper than the setting above it continues
// that setting's value, whatever it looks like. So do nested keys, as below "s3 =".
// Python knows no quotes: a line whose key begins with one is none of ours.
func scan(lines []string) []entry {
	var entries []entry
	indent, within := 0, false
	for i, line := range lines {
		content := strings.TrimSpace(line)
		if content == "" || content[0] == '#' || content[0] == ';' {
			continue // also between the lines of one value
		}
		depth := len(indentation(line))
		if within && depth > indent {
			last := &entries[len(entries)-1]
			last.rest = append(last.rest, i)
			continue
		}
		indent, within = depth, content[0] != '['
		e := entry{first: i}
		if end := strings.LastIndexByte(content, ']'); !within && end > 0 {
			e.header = content[1:end]
		} else if key, _, found := cutSetting(content); within && found && content[0] != '"' && content[0] != '`' {
			e.key = strings.ToLower(key)
		}
		entries = append(entries, e)
	}
	return entries
}

// indentation is the white space that a line begins with.
func indentation(line string) string {
	return line[:len(line)-len(strings.TrimLeftFunc(line, unicode.IsSpace))]
}

// isHeader tells a header, also one without a name, from a setting.
func (d *document) isHeader(e entry) bool { return d.content(e.first)[0] == '[' }

// content is a line without what stands around it.
func (d *document) content(line int) string { return strings.TrimSpace(d.lines[line]) }

// find returns the place among the entries of the header that counts: of several
// for one name, as [default] and [profile default] are, the last one.
func (d *document) find(kind, name string) (place int, found bool, err error) {
	times := map[string]int{}
	for i, e := range d.entries {
		if k, n, ok := readHeader(e.header); e.header != "" && ok && k == kind && n == name {
			place, found = i, true
			times[e.header]++
		}
	}
	if found && times[d.entries[place].header] > 1 {
		return 0, false, &Error{where: plain("[" + d.entries[place].header + "]"), problem: "the section is there twice",
			hint: "put its settings into one section; the AWS CLI refuses such a file too"}
	}
	return place, found, nil
}

// settings are the entries between a header and the next.
func (d *document) settings(header int) []entry {
	for i, e := range d.entries[header+1:] {
		if d.isHeader(e) {
			return d.entries[header+1 : header+1+i]
		}
	}
	return d.entries[header+1:]
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
	_, first, _ := cutSetting(d.content(e.first))
	var value strings.Builder // a file may be one value of half a million lines
	value.WriteString(first)
	for _, i := range e.rest {
		value.WriteString(" " + d.content(i))
	}
	return strings.TrimSpace(value.String())
}

// cutSetting splits a line at its first delimiter, which is one of Python's.
func cutSetting(line string) (key, value string, found bool) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		return "", "", false
	}
	return strings.TrimSpace(line[:i]), strings.TrimSpace(line[i+1:]), true
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

// lineEnd is the line end of the file, by its first line.
func (d *document) lineEnd() string {
	if len(d.lines) > 0 {
		line := d.lines[0]
		if end := line[len(strings.TrimRight(line, "\r\n")):]; end != "" {
			return end
		}
	}
	return "\n"
}
