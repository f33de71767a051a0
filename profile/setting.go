package profile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// settings are the values of one section, overridden by flags. Its methods keep the
// first fault that they meet, as bufio.Scanner does.
type settings struct {
	src     Source
	file    string            // its path
	place   string            // "/home/me/.aws/config: [profile dev]"; "" if there is no section
	values  map[string]string // by key
	company *settings         // what the company's file says of the same login, or nil
	err     error
}

func (s *settings) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// setting is one value and the place where it was written.
type setting struct {
	where string // "/home/me/.aws/config: [profile dev] daypass_duration", "--duration", "AWS_REGION"
	value string // "" if it was not given
}

// checkForm refuses what no setting has for a value. where says where it was written.
func checkForm(value string, where func() string) error {
	switch {
	case len(value) > maxValue:
		return fault(where(), fmt.Sprintf("longer than %d bytes", maxValue), "")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return fault(where(), "holds a control character", "Type the value again; it may have been pasted with invisible characters.")
	}
	return nil
}

// get returns the value of a key that has a flag.
func (s *settings) get(key string) setting {
	flag := flagName(key)
	if value, given := s.src.Flags[flag]; given || s.place == "" {
		return setting{"--" + flag, value}
	}
	return s.inFile(key)
}

// inFile returns the value of a key as the section has it, else as the company's has.
func (s *settings) inFile(key string) setting {
	if _, own := s.values[key]; !own && s.company != nil && s.company.values[key] != "" {
		return s.company.inFile(key)
	}
	return setting{s.place + " " + key, s.values[key]}
}

// variable returns the value of an environment variable.
func (s *settings) variable(name string) setting { return setting{name, s.src.getenv(name)} }

// required is get for what cannot be left out.
func (s *settings) required(key, want string) setting {
	got := s.get(key)
	if got.value == "" {
		hint := ""
		if s.place != "" {
			hint = fmt.Sprintf("Add the line %s = ... to the section, or give --%s.", key, flagName(key))
		}
		s.fail(got.missing(want, hint))
	}
	return got
}

// text returns a value that is valid.
func (s *settings) text(got setting, valid func(string) bool, want string) string {
	if !valid(got.value) {
		s.fail(got.wrong("", "want %s", want))
	}
	return got.value
}

// oneOf returns the value if it is among the choices, and the first of them if
// there is none.
func (s *settings) oneOf(key string, choices ...string) string {
	got := s.get(key)
	if got.value == "" {
		return choices[0]
	}
	if !slices.Contains(choices, got.value) {
		s.fail(got.wrong("", "want %s", strings.Join(choices, ", ")))
	}
	return got.value
}

// duration reads "15m", "1h30m" or a number of seconds.
func (s *settings) duration(key string, none, least, most time.Duration, want string) time.Duration {
	got := s.get(key)
	if got.value == "" {
		return none
	}
	text := got.value
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		s.fail(got.wrong("", "want %s, or whole seconds", want))
	}
	return d
}

// url demands an https address, or an http one on loopback, without fragment, and
// unless query is set without query. None is "".
func (s *settings) url(got setting, query bool) string {
	if got.value == "" {
		return ""
	}
	switch err := address.Check(got.value, true); {
	case err != nil:
		s.fail(got.wrongUnseen("", "%v", err))
	case strings.Contains(got.value, "#") || !query && strings.Contains(got.value, "?"):
		s.fail(got.wrong("", "want a URL without a query (?) or fragment (#)"))
	}
	return got.value
}

// path demands a path that does not depend on where a program that needs
// credentials was started. Flags are for such places and may be relative.
func (s *settings) path(got setting) string {
	path := s.src.expandHome(got.value)
	if path != "" && !filepath.IsAbs(path) && !strings.HasPrefix(got.where, "--") {
		s.fail(got.wrong("", "want an absolute path, or one that begins with ~/"))
	}
	return path
}

// fault is the error for a place and what is wrong there. Every error of this
// package has its form, and none holds a client secret.
func fault(where, problem, hint string) error {
	return failure.New(failure.ExitUsage, nil, where+": "+problem, hint)
}

// wrong reports that the value is not what is wanted, and shows it.
func (s setting) wrong(hint, format string, args ...any) error {
	return fault(s.where+" "+shown(s.value), fmt.Sprintf(format, args...), hint)
}

// wrongUnseen is wrong for values that may hold a secret.
func (s setting) wrongUnseen(hint, format string, args ...any) error {
	return fault(s.where, fmt.Sprintf(format, args...), hint)
}

// missing reports that the value was not given.
func (s setting) missing(want, hint string) error {
	return fault(s.where, "missing; want "+want, hint)
}

// shown is a value as errors quote it: bounded, and without the user name and
// password of a URL.
func shown(value string) string {
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		if scheme := strings.Index(value, "://"); scheme >= 0 && scheme < at {
			value = value[:scheme+3] + "..." + value[at:]
		}
	}
	return strconv.Quote(cut(value, 120))
}

// plain is text for the inside of an error line: quoted if it holds characters that a
// terminal should not see, and no longer than a path.
func plain(text string) string {
	text = cut(text, 1000)
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// cut is text of at most so many bytes, and dots for the rest.
func cut(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
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
