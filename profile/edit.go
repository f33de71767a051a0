package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Block is what one section of the config file is to say. Its other settings
// stay as they are.
type Block struct {
	IDP   bool // it is [daypass-idp NAME], else [profile NAME]
	Name  string
	Lines []Line
}

// Line is one setting of a section. A line without a value is left out.
type Line struct{ Key, Value string }

// Change is what an edit does at one place of a file, to be shown to a person:
// the lines are without line ends, and a client secret is hidden.
type Change struct {
	Section string // "[profile dev]", "" where the section itself is new
	Removed []string
	Added   []string
}

// Edit returns old with the lines of the blocks in it. A setting that is there
// already is replaced in its place, a new one goes below the last one of its
// section, and a new section to the end of the file. Everything else stays byte
// for byte: comments, order, other sections and settings, line ends, a byte order
// mark, the lack of a final line end. Every error is an [*Error].
func Edit(old []byte, blocks []Block) ([]byte, []Change, error) {
	var changes []Change
	for _, b := range blocks {
		if err := b.check(); err != nil {
			return nil, nil, err
		}
		d := newDocument(old)
		made, err := d.put(b)
		if err != nil {
			return nil, nil, err
		}
		old = d.bytes()
		changes = append(changes, made...)
	}
	return old, changes, nil
}

// Diff shows changes as lines that begin with + and -.
func Diff(changes []Change) string {
	var b strings.Builder
	section := ""
	for _, c := range changes {
		if c.Section != section && c.Section != "" {
			b.WriteString("  " + c.Section + "\n")
		}
		section = c.Section
		for _, line := range c.Removed {
			b.WriteString("- " + line + "\n")
		}
		for _, line := range c.Added {
			b.WriteString(strings.TrimRight("+ "+line, " ") + "\n")
		}
	}
	return b.String()
}

func (b Block) kind() string {
	if b.IDP {
		return kindIDP
	}
	return kindProfile
}

// header is the header of a new section.
func (b Block) header() string {
	if !b.IDP && b.Name == "default" {
		return "[default]" // some SDKs know no [profile default]
	}
	return "[" + b.kind() + " " + b.Name + "]"
}

// check demands names and values that every reader of the file reads as they are
// meant.
func (b Block) check() error {
	if err := CheckName(b.Name); err != nil {
		return err
	}
	for _, l := range b.Lines {
		s := setting{where: b.header() + " " + l.Key}
		switch {
		case len(l.Value) > maxValue:
			return s.wrongUnseen("", "longer than %d bytes", maxValue)
		case !utf8.ValidString(l.Value) || strings.ContainsFunc(l.Value, unicode.IsControl):
			return s.wrongUnseen("", "holds a control character")
		case strings.TrimSpace(l.Value) != l.Value:
			return s.wrongUnseen("", "has spaces at an end")
		case l.Key != "support" && cutComment(l.Value) != l.Value:
			return s.wrongUnseen("", `holds " #" or " ;", which begins a comment in the file`)
		case strings.HasPrefix(l.Value, "`") || strings.HasPrefix(l.Value, `"""`):
			return s.wrongUnseen("", "begins with quotes that readers of the file take in different ways")
		}
	}
	return nil
}

// CheckName demands the name of a profile or section that can stand in a header
// and in a command line without quotes. The error is an [*Error].
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 128 || strings.Trim(name, letters+"_.@+/-") != "" || strings.HasPrefix(name, "-") {
		return setting{"the name", name}.wrong("", "want letters, digits and _ . @ + / - alone: it stands in a command line without quotes")
	}
	return nil
}

// put writes one block.
func (d *document) put(b Block) ([]Change, error) {
	header, found, err := d.find(b.kind(), b.Name)
	if err != nil {
		return nil, err
	}
	if !found {
		return d.appendSection(b), nil
	}
	own := d.settings(header)
	section := "[" + d.entries[header].header + "]"
	replaced := map[int]string{} // by line; "" removes it
	var changes []Change
	var added []Line
	for _, line := range b.Lines {
		at := slices.IndexFunc(own, func(e entry) bool { return e.key == line.Key })
		switch {
		case line.Value == "":
		case at < 0:
			added = append(added, line)
		case slices.ContainsFunc(own[at+1:], func(e entry) bool { return e.key == line.Key }):
			return nil, &Error{where: plain(section) + " " + line.Key, problem: "the key is there twice",
				hint: "remove one of the two lines; the AWS CLI refuses such a file too"}
		case d.value(own[at]) != line.Value:
			changes = append(changes, d.replace(section, own[at], line, replaced))
		}
	}
	place, indent := d.below(header, own)
	if len(added) > 0 {
		c := Change{Section: section}
		for _, line := range added {
			c.Added = append(c.Added, shownLine(line.Key, line.Key+" = "+line.Value))
		}
		changes = append(changes, c)
	}
	d.apply(replaced, place, indent, added)
	return changes, nil
}

// replace notes in lines what the lines of a setting become: the value changes,
// and what stands around it on its line stays. The lines that continue the old
// value go; comments between them stay.
func (d *document) replace(section string, e entry, wanted Line, lines map[int]string) Change {
	old := d.lines[e.first]
	body := strings.TrimRight(old, "\r\n")
	before := strings.IndexAny(body, "=:") + 1
	before += len(indentation(body[before:]))
	after := strings.TrimRightFunc(body[before:], unicode.IsSpace)
	if wanted.Key != "support" {
		after = cutComment(after)
	}
	middle := wanted.Value
	if after == "" && !strings.HasSuffix(body[:before], " ") {
		middle = " " + middle
	}
	made := body[:before] + middle + body[before+len(after):]
	lines[e.first] = made + old[len(body):]

	c := Change{Section: section, Added: []string{shownLine(wanted.Key, strings.TrimSpace(made))}}
	c.Removed = append(c.Removed, shownLine(wanted.Key, strings.TrimSpace(body)))
	for _, i := range e.rest {
		lines[i] = ""
		if wanted.Key != "client_secret" {
			c.Removed = append(c.Removed, strings.TrimRight(d.lines[i], "\r\n"))
		}
	}
	return c
}

// below returns the line below which new settings of a section go, and their
// indentation: a line that is indented deeper than the setting above it would
// continue that setting's value.
func (d *document) below(header int, own []entry) (line int, indent string) {
	if len(own) > 0 {
		last := own[len(own)-1]
		line = last.first
		if n := len(last.rest); n > 0 {
			line = last.rest[n-1]
		}
		return line, indentation(d.lines[last.first])
	}
	line = d.entries[header].first
	indent = indentation(d.lines[line])
	if header+1 < len(d.entries) { // the next header must not become part of a value
		if next := indentation(d.lines[d.entries[header+1].first]); len(next) > len(indent) {
			indent = next
		}
	}
	return line, indent
}

// apply replaces lines, and writes new settings below a line.
func (d *document) apply(replaced map[int]string, below int, indent string, added []Line) {
	end := d.lineEnd()
	if len(added) > 0 {
		line, there := replaced[below]
		if !there {
			line = d.lines[below]
		}
		whole := line == "" || strings.HasSuffix(line, "\n") || strings.HasSuffix(line, "\r")
		if !whole {
			line += end
		}
		for _, l := range added {
			line += indent + l.Key + " = " + l.Value + end
		}
		if !whole {
			line = strings.TrimSuffix(line, end) // the file ends as it did
		}
		replaced[below] = line
	}
	for _, i := range slices.Sorted(maps.Keys(replaced)) {
		d.lines[i] = replaced[i]
	}
}

// appendSection writes a new section to the end of the file.
func (d *document) appendSection(b Block) []Change {
	var lines []Line
	width := 0
	for _, line := range b.Lines {
		if line.Value != "" {
			lines = append(lines, line)
			width = max(width, len(line.Key))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	var text []string
	if n := len(d.lines); n > 0 && strings.TrimSpace(d.lines[n-1]) != "" {
		text = append(text, "")
	}
	text = append(text, b.header())
	c := Change{Added: slices.Clone(text)}
	for _, line := range lines {
		made := fmt.Sprintf("%-*s = %s", width, line.Key, line.Value)
		text = append(text, made)
		c.Added = append(c.Added, shownLine(line.Key, made))
	}
	end := d.lineEnd()
	if n := len(d.lines); n > 0 && !strings.HasSuffix(d.lines[n-1], "\n") && !strings.HasSuffix(d.lines[n-1], "\r") {
		d.lines[n-1] += end
	}
	for _, line := range text {
		d.lines = append(d.lines, line+end)
	}
	return []Change{c}
}

// shownLine is a line of a setting as a person may see it.
func shownLine(key, line string) string {
	if key == "client_secret" {
		return key + " = (hidden)"
	}
	return line
}
