package profile

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/secret"
)

// Block is what one section of the config file is to say. Its other settings
// stay as they are.
type Block struct {
	Section
	Lines []Line
}

// Line is one setting of a section. A line without a value is left out.
type Line struct{ Key, Value string }

// Change is one setting that an edit writes.
type Change struct {
	Section
	New        bool // the section is new
	Key, Value string
	Old        string // "" if the setting is new
}

// Compose returns the two sections that settings given as flags make: how to log
// in, under the name of the flag idp, and the profile. Values are not checked,
// see [Config.Edit].
func Compose(name, credentialProcess string, flags map[string]string, clientSecret secret.String) []Block {
	login := Block{Section: Section{IDP: true, Name: flags["idp"]}}
	for _, k := range idpKeys() {
		value := flags[flagName(k.name)]
		if k.name == "client_secret" {
			value = clientSecret.Reveal()
		}
		login.Lines = append(login.Lines, Line{k.name, value})
	}
	own := Block{Section{Name: name}, []Line{{"region", flags["region"]}, {"credential_process", credentialProcess}}}
	for _, k := range profileKeys() {
		if k.usage == "" || k.name == "region" {
			continue
		}
		value := flags[flagName(k.name)]
		if k.name == "daypass_policy" {
			// A setting is one line, and JSON has white space between its parts.
			value = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
		}
		own.Lines = append(own.Lines, Line{k.name, value})
	}
	return []Block{login, own}
}

// Edit returns the text of the file with the lines of the blocks in it. A setting
// that is there already gets its new value in its place, a new one goes below the
// last one of its section, and a new section to the end of the file. Everything
// else stays byte for byte. Each section must then load, by the file alone; that,
// and a value that the file cannot hold or a person could not see, is the error.
func (c *Config) Edit(blocks []Block) (text []byte, changes []Change, err error) {
	src := Source{Home: c.src.Home, Getenv: func(name string) string {
		if name == "AWS_CONFIG_FILE" {
			return c.path
		}
		return ""
	}}
	made, err := src.parse(string(c.old))
	if err == nil {
		text, changes, err = made.apply(blocks)
	}
	if err == nil {
		made, err = src.parse(string(text))
	}
	if err != nil {
		return nil, nil, err
	}
	if changes == nil {
		text = c.old // to the last line end
	}
	for _, b := range blocks {
		if b.IDP {
			_, err = made.LoadIDP(b.Name)
		} else {
			_, err = made.Load(b.Name)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return text, changes, nil
}

// apply writes blocks into the lines of the file.
func (c *Config) apply(blocks []Block) ([]byte, []Change, error) {
	d := c.text
	end := "\n"
	if len(d.lines) > 0 && strings.HasSuffix(d.lines[0], "\r\n") {
		end = "\r\n"
	}
	if n := len(d.lines); n > 0 && !strings.HasSuffix(d.lines[n-1], "\n") && !strings.HasSuffix(d.lines[n-1], "\r") {
		d.lines[n-1] += end
	}
	var changes []Change
	var tail strings.Builder // the new sections
	for _, b := range blocks {
		if err := b.check(); err != nil {
			return nil, nil, err
		}
		made, added, err := c.put(b, end)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, made...)
		if n := len(d.lines); added != "" && (tail.Len() > 0 || n > 0 && strings.TrimSpace(d.lines[n-1]) != "") {
			added = end + added
		}
		tail.WriteString(added)
	}
	return []byte(d.mark + strings.Join(d.lines, "") + tail.String()), changes, nil
}

// check demands names and values that every reader of the file reads as they are
// meant, and that a person who is shown them sees whole.
func (b Block) check() error {
	if err := CheckName(b.Name); err != nil {
		return err
	}
	for _, l := range b.Lines {
		s := setting{where: b.Header() + " " + l.Key}
		switch {
		case len(l.Value) > maxValue:
			return s.wrongUnseen("", "longer than %d bytes", maxValue)
		case !utf8.ValidString(l.Value) || strings.ContainsFunc(l.Value, isUnseen):
			return s.wrongUnseen("", "holds a control character, or another that is not seen")
		case strings.TrimSpace(l.Value) != l.Value || l.Key != "support" && cutComment(l.Value) != l.Value || strings.HasPrefix(l.Value, "`") || strings.HasPrefix(l.Value, `"""`):
			return s.wrongUnseen("", `would be read in different ways: it has " #", " ;", or spaces or quotes at an end`)
		}
	}
	return nil
}

// isUnseen tells characters that do not show as themselves: controls, line and
// paragraph separators, spaces but for the usual one, bidirectional and zero-width
// ones, and those that unicode.IsPrint counts as letters or marks all the same.
func isUnseen(r rune) bool {
	const brailleBlank = 0x2800
	return !unicode.IsPrint(r) || r == brailleBlank || r == utf8.RuneError ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// CheckName demands the name of a profile or section that can be in a header and
// in a command line without quotes.
func CheckName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) > 128 || strings.Trim(name, letters+"_.@+/-") != "" || strings.HasPrefix(name, "-") {
		return setting{"the name", name}.wrong("", "want letters, digits and _ . @ + / - alone: it is in a command line without quotes")
	}
	return nil
}

// put writes one block into the lines of its section, or returns the text of a new
// one.
func (c *Config) put(b Block, end string) (changes []Change, section string, err error) {
	d := c.text
	s, err := c.find(b.Section)
	if err != nil {
		return nil, "", err
	}
	known := map[string]entry{}
	if s != nil {
		if _, err := c.values(s, nil, func(string) bool { return false }); err != nil { // a key twice
			return nil, "", err
		}
		for _, e := range s.settings {
			known[e.key] = e
		}
	}
	var added strings.Builder
	at, indent := c.below(s)
	for _, line := range b.Lines {
		change := Change{Section: b.Section, New: s == nil, Key: line.Key, Value: line.Value}
		e, there := known[line.Key]
		switch {
		case line.Value == "" || there && d.value(e) == line.Value:
			continue
		case !there:
			added.WriteString(indent + line.Key + " = " + line.Value + end)
		default:
			change.Old = d.whole(e)
			d.lines[e.first] = indentation(d.lines[e.first]) + line.Key + " = " + line.Value + end
			for i := e.first + 1; i <= e.last; i++ {
				if !isBlank(strings.TrimSpace(d.lines[i])) { // comments stay
					d.lines[i] = ""
				}
			}
		}
		changes = append(changes, change)
	}
	switch {
	case s != nil:
		d.lines[at] += added.String()
	case added.Len() > 0:
		section = b.Header() + end + added.String()
	}
	return changes, section, nil
}

// below returns the line below which new settings of a section go, and their
// indentation: a line that is indented deeper than the setting above it would
// continue that setting's value, and so would the next header.
func (c *Config) below(s *section) (line int, indent string) {
	if s == nil {
		return 0, ""
	}
	lines := c.text.lines
	if n := len(s.settings); n > 0 {
		last := s.settings[n-1]
		return last.last, indentation(lines[last.first])
	}
	indent = indentation(lines[s.header.first])
	i, _ := slices.BinarySearchFunc(c.text.entries, s.header.first+1, func(e entry, line int) int { return e.first - line })
	if i < len(c.text.entries) {
		if next := indentation(lines[c.text.entries[i].first]); len(next) > len(indent) {
			indent = next
		}
	}
	return s.header.first, indent
}
