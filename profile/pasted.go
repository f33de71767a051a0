package profile

import "strings"

// checkPasted looks for a credential_process line that was copied from one
// profile to another with the name in it unchanged: it would serve the wrong
// account, and nobody would notice. SDKs do not say which profile they resolve,
// so the two ends are compared: the line of this profile must not name another,
// and no profile with a role of its own may name this one.
func (f *file) checkPasted(own *section, values map[string]string) error {
	line := values["credential_process"]
	if named, found := profileArgument(line); found && named != own.name {
		return setting{f.place(own) + " credential_process", line}.wrong("write --profile "+plain(own.name)+" there, or ask for the other profile",
			"this line gets the credentials of profile %s", plain(named))
	}
	for i := range f.sections {
		other := &f.sections[i]
		if other.kind != kindProfile || other.name == own.name {
			continue
		}
		role := other.value("daypass_role_arn")
		line := other.value("credential_process")
		if role == "" || role == values["daypass_role_arn"] || !strings.Contains(line, "daypass") {
			continue
		}
		if named, found := profileArgument(line); found && named == own.name {
			return setting{f.place(other) + " credential_process", line}.wrong("write --profile "+plain(other.name)+" there",
				"this line gets the credentials of profile %s, though the profile has a role of its own", plain(named))
		}
	}
	return nil
}

// value returns a value of a section that need not be in use: nothing but that
// key is looked at.
func (s *section) value(key string) string {
	for _, e := range s.settings {
		if e.key == key {
			return s.text.value(e)
		}
	}
	return ""
}

// profileArgument returns what a command line says after --profile, the last
// time it does.
func profileArgument(line string) (name string, found bool) {
	words, whole := splitWords(line)
	if !whole {
		words = strings.Fields(line)
	}
	for i, word := range words {
		if value, assigned := strings.CutPrefix(word, "--profile="); assigned {
			name, found = value, true
		} else if word == "--profile" && i+1 < len(words) {
			name, found = words[i+1], true
		}
	}
	return name, found
}
