package profile

// ReadImport reads a file that a company hands out to be merged into
// ~/.aws/config. It may hold sections [daypass-idp NAME] and [profile NAME] with
// the settings that daypass reads, region and output, and nothing else: not
// credentials, and nothing that makes an SDK do something else. The sections to log
// in with come first. A credential_process is left out, for it names a path on
// another machine.
func ReadImport(path string) ([]Block, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	d := newDocument(text)
	d.mark = "" // it is not taken over
	for _, p := range d.problems() {
		return nil, fault(plain(path), p.String(), "Correct the file: AWS tools refuse it.")
	}
	var logins, profiles []Block
	seen := map[Section]bool{}
	for i, e := range d.entries {
		if !e.isHeader {
			continue
		}
		place := plain(path) + ": " + plain("["+e.header+"]")
		id, ok := readHeader(e.header)
		switch {
		case !ok:
			return nil, fault(place, "a section of this kind is not imported", "Remove it from the file: only [daypass-idp NAME] and [profile NAME] are.")
		case seen[id]:
			return nil, fault(place, "the section is there twice", "Put its settings into one section.")
		}
		seen[id] = true
		b := Block{Section: id}
		for _, setting := range d.entries[i+1:] {
			if setting.isHeader {
				break
			}
			if !b.accepts(setting.key) {
				return nil, fault(place+" "+plain(setting.key), "not imported: only settings of daypass, region and output are", "Remove the line from the file.")
			}
			if setting.key != "credential_process" {
				b.Lines = append(b.Lines, Line{setting.key, d.value(setting)})
			}
		}
		if err := b.check(); err != nil {
			return nil, err
		}
		if !b.IDP {
			profiles = append(profiles, b)
			continue
		}
		logins = append(logins, b)
	}
	if len(logins)+len(profiles) == 0 {
		return nil, fault(plain(path), "holds no [daypass-idp NAME] and no [profile NAME]", "")
	}
	return append(logins, profiles...), nil
}

// accepts reports whether a key may be in a file that is imported.
func (b Block) accepts(key string) bool {
	if b.IDP {
		return knows(idpKeys(), key)
	}
	return key == "output" || knows(profileKeys(), key)
}
