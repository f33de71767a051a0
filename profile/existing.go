package profile

import "slices"

// Value returns what text, a config file, says in one key of a section. there
// tells whether it has the section.
func Value(text []byte, idp bool, name, key string) (value string, there bool) {
	d := newDocument(text)
	header, there, err := d.find(Block{IDP: idp}.kind(), name)
	if err != nil || !there {
		return "", there
	}
	for _, e := range d.settings(header) {
		if e.key == key {
			return d.value(e), true
		}
	}
	return "", true
}

// IDPNames returns the names of the [daypass-idp NAME] sections in text, in the
// order of the file.
func IDPNames(text []byte) []string {
	var names []string
	for _, e := range newDocument(text).entries {
		if kind, name, ok := readHeader(e.header); ok && kind == kindIDP && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
