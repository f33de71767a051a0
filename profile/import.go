package profile

import (
	"fmt"
	"slices"
)

// ReadImport reads a file that a company hands out to be merged into
// ~/.aws/config. It may hold sections [daypass-idp NAME] and [profile NAME] with
// the settings that daypass reads, region and output, and nothing else: not
// credentials, and nothing that has an SDK do something else. The sections to log
// in with come first. A credential_process is left out, for it names a path on
// another machine. Every error is an [*Error].
func ReadImport(path string) ([]Block, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	d := newDocument([]byte(text))
	var logins, profiles []Block
	for i, e := range d.entries {
		if !d.isHeader(e) {
			if i == 0 {
				return nil, &Error{where: plain(path), problem: "begins with a setting that is in no section"}
			}
			continue
		}
		b, err := d.imported(path, i)
		if err != nil {
			return nil, err
		}
		if b.IDP {
			logins = append(logins, b)
		} else {
			profiles = append(profiles, b)
		}
	}
	if len(logins)+len(profiles) == 0 {
		return nil, &Error{where: plain(path), problem: "holds no [daypass-idp NAME] and no [profile NAME]"}
	}
	return append(logins, profiles...), nil
}

// imported is the section of a header.
func (d *document) imported(path string, header int) (Block, error) {
	place := plain(path) + ": " + plain("["+d.entries[header].header+"]")
	kind, name, ok := readHeader(d.entries[header].header)
	if !ok {
		return Block{}, &Error{where: place, problem: "a section of this kind is not imported",
			hint: "only [daypass-idp NAME] and [profile NAME] are: remove the section from the file"}
	}
	if counts, _, err := d.find(kind, name); err != nil || counts != header {
		return Block{}, &Error{where: place, problem: "the section is there twice", hint: "put its settings into one section"}
	}
	b := Block{IDP: kind == kindIDP, Name: name}
	for _, e := range d.settings(header) {
		switch {
		case !b.takes(e.key):
			line := fmt.Sprintf("line %d", e.first+1)
			if e.key != "" {
				line = plain(e.key)
			}
			return Block{}, &Error{where: place + " " + line, problem: "not imported: only settings of daypass, region and output are",
				hint: "remove the line from the file"}
		case slices.ContainsFunc(b.Lines, func(l Line) bool { return l.Key == e.key }):
			return Block{}, &Error{where: place + " " + e.key, problem: "the key is there twice", hint: "remove one of the two lines"}
		case e.key != "credential_process":
			b.Lines = append(b.Lines, Line{e.key, d.value(e)})
		}
	}
	return b, b.check()
}

// takes reports whether a key may stand in a file that is imported.
func (b Block) takes(key string) bool {
	if b.IDP {
		return knows(idpKeys(), key)
	}
	return key == "output" || knows(profileKeys(), key)
}
