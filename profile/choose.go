package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Choose returns the profile that a person means: the name if there is one, else
// AWS_PROFILE, else "default" if it is set up for daypass, else the only profile
// that is. It returns "" where the flags say everything. Not for
// credential_process, see [Load]. Every error is an [*Error].
func (s Source) Choose(name string) (string, error) {
	if name != "" || s.complete() {
		return name, nil
	}
	if fromEnv := s.getenv("AWS_PROFILE"); fromEnv != "" {
		return fromEnv, nil
	}
	f, err := readFile(s.ConfigFile())
	if err != nil {
		return "", needed(err)
	}
	names := f.ours()
	switch {
	case slices.Contains(names, "default"):
		return "default", nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", &Error{where: plain(f.path), problem: "no profile is set up for daypass", hint: "write the sections [daypass-idp NAME] and [profile NAME] into it"}
	}
	return "", setting{where: "--profile"}.missing(
		"profiles set up for daypass: "+listed(names), fmt.Sprintf("one of %d profiles", len(names)))
}

// List returns the names of all profiles that have daypass_idp or
// daypass_role_arn, in the order of the file; none where there is no file. Every
// error is an [*Error].
func List(src Source) ([]string, error) {
	return list(src, (*section).isOurs)
}

// ListUsing returns the profiles that log in with the section [daypass-idp IDP],
// in the order of the file; none where there is no file.
func ListUsing(src Source, idp string) ([]string, error) {
	return list(src, func(s *section) bool { return idp != "" && s.value("daypass_idp") == idp })
}

func list(src Source, wanted func(*section) bool) ([]string, error) {
	f, err := readFile(src.ConfigFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return f.profiles(wanted), nil
}

// isOurs reports whether a profile is set up for daypass.
func (s *section) isOurs() bool {
	return s.value("daypass_idp") != "" || s.value("daypass_role_arn") != ""
}

func (f *file) ours() []string { return f.profiles((*section).isOurs) }

// profiles returns the names of the profiles that are wanted, each once.
func (f *file) profiles(wanted func(*section) bool) []string {
	var names []string
	seen := map[string]bool{}
	for i := range f.sections {
		s := &f.sections[i]
		if s.kind == kindProfile && !seen[s.name] && wanted(s) {
			seen[s.name] = true
			names = append(names, s.name)
		}
	}
	return names
}

// listed is a list of names for a person, cut where it becomes long.
func listed(names []string) string {
	const most = 12
	var shown []string
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, plain(name))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}
