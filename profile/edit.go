package profile

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

// Setting is one setting that the config file is to have.
type Setting struct {
	Section
	Key, Value string // without a value, it is left out
	// Of one that an edit writes:
	New bool   // the section is new
	Old string // what the setting was, "" if it is new
}

// Compose returns the two sections that settings given as flags make: how to log
// in, if the profile is not chained, and the profile. Values are not checked, see
// [Config.Edit].
func Compose(name, program string, flags map[string]string, clientSecret secret.String) (settings []Setting) {
	login, own := Section{IDP: true, Name: flags["idp"]}, Section{Name: name}
	add := func(s Section) {
		for _, k := range keysOf(s.IDP) {
			value := flags[flagName(k.Name)]
			switch {
			case k.Name == "client_secret":
				value = clientSecret.Reveal()
			case k.Name == "daypass_policy":
				// A setting is one line, and JSON has white space between its parts.
				value = strings.TrimSpace(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
			case k.Name == "region" || k.Usage == "":
				continue
			}
			settings = append(settings, Setting{Section: s, Key: k.Name, Value: value})
		}
	}
	if flags["source-profile"] == "" { // else that one has the login
		add(login)
	}
	settings = append(settings, Setting{Section: own, Key: "region", Value: flags["region"]},
		Setting{Section: own, Key: "credential_process", Value: CommandLine(program, name)})
	add(own)
	return settings
}

// Edit returns the file with the settings in it, and which of them it had to write. One
// that is there already gets its new value in its place, a new one goes below the last
// one of its section, and a new section to the end of the file. Everything else stays
// byte for byte. Each section must then load, by the file alone.
func (c *Config) Edit(settings []Setting) (made *Config, changes []Setting, err error) {
	text, changes, err := c.apply(settings)
	if err != nil {
		return nil, nil, err
	}
	if made, err = (Source{Home: c.src.Home}).parse(c.path, text); err != nil {
		return nil, nil, err
	}
	made.company = c.company
	for i, s := range settings {
		switch {
		case i > 0 && settings[i-1].Section == s.Section:
		case s.IDP:
			_, err = made.LoadIDP(s.Name)
		default:
			_, err = made.Load(s.Name)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return made, changes, nil
}

// apply writes settings, of which those of a section follow each other, into a copy of
// the lines of the file.
func (c *Config) apply(settings []Setting) (text string, changes []Setting, err error) {
	lines, end := slices.Clone(c.text.lines), "\n"
	if n := len(lines); n > 0 {
		if strings.HasSuffix(lines[0], "\r\n") {
			end = "\r\n"
		}
		if !strings.ContainsAny(lines[n-1], "\r\n") {
			lines[n-1] += end
		}
	}
	below := map[int]string{} // what goes below a line, once all are what they are to be
	var added strings.Builder // what goes below the last
	last := Section{}
	for _, set := range settings {
		if err := set.check(); err != nil {
			return "", nil, err
		}
		s, err := c.find(set.Section)
		if err != nil {
			return "", nil, err
		}
		line := set.Key + " = " + set.Value + end
		e, there := s.entry(set.Key)
		switch {
		case set.Value == "" || there && c.text.value(e) == set.Value:
			continue
		case there:
			set.Old = c.text.whole(e)
			lines[e.first] = indentation(lines[e.first]) + line
			for i := e.first + 1; i <= e.last; i++ {
				if !isBlank(strings.TrimSpace(lines[i])) { // comments stay
					lines[i] = ""
				}
			}
		case s != nil:
			at, indent := c.below(s)
			below[at] += indent + line
		default:
			set.New = true
			if set.Section != last {
				added.WriteString(end + set.Header() + end)
			}
			added.WriteString(line)
			last = set.Section
		}
		changes = append(changes, set)
	}
	for at, text := range below {
		lines[at] += text
	}
	more := added.String()
	if n := len(lines); n == 0 || strings.TrimSpace(lines[n-1]) == "" {
		more = strings.TrimPrefix(more, end)
	}
	return c.text.mark + strings.Join(lines, "") + more, changes, nil
}

// check demands a name and a value that every reader of the file reads as they are
// meant, and that a person who is shown them sees whole.
func (set Setting) check() error {
	if err := CheckName(set.Name); err != nil {
		return err
	}
	s := setting{where: set.Header() + " " + set.Key}
	switch value := set.Value; {
	case !utf8.ValidString(value) || strings.ContainsFunc(value, failure.Unseen):
		return s.wrongUnseen("", "holds a control character, or another that is not seen")
	case strings.TrimSpace(value) != value || set.Key != "support" && cutComment(value) != value || strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`):
		return s.wrongUnseen("", `would be read in different ways: it has " #", " ;", or spaces or quotes at an end`)
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

// entry returns a section's entry of a key, of several the last.
func (s *section) entry(key string) (e entry, there bool) {
	if s == nil {
		return entry{}, false
	}
	for _, each := range s.settings {
		if each.key == key {
			e, there = each, true
		}
	}
	return e, there
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
// nothing that makes an SDK do something else. A credential_process names a path on
// another machine: the one written names program. The path "-" is stdin.
func ReadImport(path string, stdin io.Reader, program string) (settings []Setting, err error) {
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
		before := len(settings)
		if !s.IDP {
			settings = append(settings, Setting{Section: s.Section, Key: "credential_process", Value: CommandLine(program, s.Name)})
		}
		for _, e := range s.settings {
			set := Setting{Section: s.Section, Key: e.key, Value: c.text.value(e)}
			switch {
			case !knows(keysOf(s.IDP), e.key) && (s.IDP || e.key != "output"):
				return nil, fault(c.place(s)+" "+plain(e.key), "not imported: only settings of daypass, region and output are", "Remove the line from the file.")
			case set.Value != "" && e.key != "credential_process":
				settings, err = append(settings, set), set.check()
			}
			if err != nil {
				return nil, err
			}
		}
		if len(settings) == before {
			return nil, fault(c.place(s), "the section holds no settings", "Remove it from the file, or fill it in.")
		}
	}
	if settings == nil {
		return nil, fault(plain(path), "holds no [daypass-idp NAME] and no [profile NAME]", "")
	}
	return settings, nil
}
