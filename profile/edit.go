package profile

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
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
// in, if the profile is not chained, and the profile. Values are not checked, see
// [Config.Edit].
func Compose(name, credentialProcess string, flags map[string]string, clientSecret secret.String) []Block {
	login := Block{Section: Section{IDP: true, Name: flags["idp"]}}
	own := Block{Section{Name: name}, []Line{{"region", flags["region"]}, {"credential_process", credentialProcess}}}
	for _, b := range []*Block{&login, &own} {
		for _, k := range keysOf(b.IDP) {
			value := flags[flagName(k.name)]
			switch {
			case k.name == "client_secret":
				value = clientSecret.Reveal()
			case k.name == "daypass_policy":
				// A setting is one line, and JSON has white space between its parts.
				value = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
			case k.name == "region" || k.usage == "":
				continue
			}
			b.Lines = append(b.Lines, Line{k.name, value})
		}
	}
	if flags["source-profile"] != "" { // that one has the login
		return []Block{own}
	}
	return []Block{login, own}
}

// Edit returns the text of the file with the lines of the blocks in it. A setting
// that is there already gets its new value in its place, a new one goes below the
// last one of its section, and a new section to the end of the file. Everything
// else stays byte for byte. Each section must then load, by the file alone.
func (c *Config) Edit(blocks []Block) (text []byte, changes []Change, err error) {
	text, changes, err = c.apply(blocks)
	if err != nil {
		return nil, nil, err
	}
	if changes == nil {
		text = c.old // to the last line end
	}
	made, err := Source{Home: c.src.Home}.parse(c.path, string(text))
	if err != nil {
		return nil, nil, err
	}
	made.company = c.company
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

// apply writes blocks into a copy of the lines of the file.
func (c *Config) apply(blocks []Block) (text []byte, changes []Change, err error) {
	lines, end := slices.Clone(c.text.lines), "\n"
	if n := len(lines); n > 0 {
		if strings.HasSuffix(lines[0], "\r\n") {
			end = "\r\n"
		}
		if !strings.ContainsAny(lines[n-1], "\r\n") {
			lines[n-1] += end
		}
	}
	for _, b := range blocks {
		if err := b.check(); err != nil {
			return nil, nil, err
		}
		s, err := c.find(b.Section)
		if err != nil {
			return nil, nil, err
		}
		made, added := c.put(lines, s, b, end)
		changes = append(changes, made...)
		switch n := len(lines); {
		case added == "":
		case s != nil:
			at, _ := c.below(s)
			lines[at] += added
		case n > 0 && strings.TrimSpace(lines[n-1]) != "":
			lines = append(lines, end+b.Header()+end+added)
		default:
			lines = append(lines, b.Header()+end+added)
		}
	}
	return []byte(c.text.mark + strings.Join(lines, "")), changes, nil
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
		case !utf8.ValidString(l.Value) || strings.ContainsFunc(l.Value, failure.Unseen):
			return s.wrongUnseen("", "holds a control character, or another that is not seen")
		case strings.TrimSpace(l.Value) != l.Value || l.Key != "support" && cutComment(l.Value) != l.Value || strings.HasPrefix(l.Value, "`") || strings.HasPrefix(l.Value, `"""`):
			return s.wrongUnseen("", `would be read in different ways: it has " #", " ;", or spaces or quotes at an end`)
		}
	}
	return nil
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

// put writes the settings that a block's section has already, and returns the lines of
// the others.
func (c *Config) put(lines []string, s *section, b Block, end string) (changes []Change, added string) {
	known, indent := map[string]entry{}, ""
	if s != nil {
		_, indent = c.below(s)
		for _, e := range s.settings {
			known[e.key] = e
		}
	}
	for _, line := range b.Lines {
		change := Change{Section: b.Section, New: s == nil, Key: line.Key, Value: line.Value}
		e, there := known[line.Key]
		switch {
		case line.Value == "" || there && c.text.value(e) == line.Value:
			continue
		case !there:
			added += indent + line.Key + " = " + line.Value + end
		default:
			change.Old = c.text.whole(e)
			lines[e.first] = indentation(lines[e.first]) + line.Key + " = " + line.Value + end
			for i := e.first + 1; i <= e.last; i++ {
				if !isBlank(strings.TrimSpace(lines[i])) { // comments stay
					lines[i] = ""
				}
			}
		}
		changes = append(changes, change)
	}
	return changes, added
}

// below returns the line below which new settings of a section go, and their
// indentation: a line that is indented deeper than the setting above it would
// continue that setting's value, and so would the next header.
func (c *Config) below(s *section) (line int, indent string) {
	i := s.first + len(s.settings)
	last := c.text.entries[i]
	indent = indentation(c.text.lines[last.first])
	if i+1 < len(c.text.entries) {
		if next := indentation(c.text.lines[c.text.entries[i+1].first]); len(next) > len(indent) {
			indent = next
		}
	}
	return last.last, indent
}

// ReadImport reads a file that a company hands out to be merged into
// ~/.aws/config. It may hold the settings that daypass reads, region and output, and
// nothing that makes an SDK do something else. A credential_process is left out, for it
// names a path on another machine. The path "-" is stdin.
func ReadImport(path string, stdin io.Reader) (blocks []Block, err error) {
	text := ""
	if path == "-" {
		path = "standard input"
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(stdin, maxFile+1)); err == nil {
			text, err = checkText(path, data)
		}
	} else {
		text, err = readText(path)
	}
	if err != nil {
		return nil, err
	}
	c, err := Source{}.parse(path, text)
	if err != nil {
		return nil, err
	}
	c.text.mark = "" // it is not taken over
	if err := c.Refused(); err != nil {
		return nil, err
	}
	for _, s := range c.order {
		switch {
		case s.Name == "":
			return nil, fault(c.place(s), "a section of this kind is not imported", "Remove it from the file: only [daypass-idp NAME] and [profile NAME] are.")
		case c.sections[s.Section] != s:
			return nil, fault(c.place(s), "the section is there twice", "Put its settings into one section.")
		}
		b := Block{Section: s.Section}
		for _, e := range s.settings {
			if !b.accepts(e.key) {
				return nil, fault(c.place(s)+" "+plain(e.key), "not imported: only settings of daypass, region and output are", "Remove the line from the file.")
			}
			if e.key != "credential_process" {
				b.Lines = append(b.Lines, Line{e.key, c.text.value(e)})
			}
		}
		if err := b.check(); err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	if len(c.order) == 0 {
		return nil, fault(plain(path), "holds no [daypass-idp NAME] and no [profile NAME]", "")
	}
	return blocks, nil
}

// accepts reports whether a key may be in a file that is imported.
func (b Block) accepts(key string) bool {
	return knows(keysOf(b.IDP), key) || !b.IDP && key == "output"
}
