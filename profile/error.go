package profile

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is a setting that cannot be used, or a file that cannot be read. It is
// the type of every error of this package.
type Error struct {
	where   string // "/home/me/.aws/config: [profile dev] daypass_duration", "--duration", "AWS_REGION"
	problem string
	hint    string
	cause   error
}

// Error returns one line that names the place, the value where it may be shown,
// and what is wanted. It never holds a client secret.
func (e *Error) Error() string { return e.where + ": " + e.problem }

// Hint returns the next step as one line, or "".
func (e *Error) Hint() string { return e.hint }

// Unwrap returns the error of the operating system behind this one, or nil.
func (e *Error) Unwrap() error { return e.cause }

// setting is one value and the place where it was written.
type setting struct {
	where string // as in Error
	value string // "" where it was not given
}

// wrong reports that the value is not what is wanted, and shows it.
func (s setting) wrong(hint, format string, args ...any) *Error {
	if hint == "" && quotesAround(s.value) {
		hint = "quotes are part of a value: leave them out"
	}
	return &Error{where: s.where + " " + shown(s.value), problem: fmt.Sprintf(format, args...), hint: hint}
}

// wrongUnseen is wrong for values that may hold a secret.
func (s setting) wrongUnseen(hint, format string, args ...any) *Error {
	return &Error{where: s.where, problem: fmt.Sprintf(format, args...), hint: hint}
}

// missing reports that the value was not given.
func (s setting) missing(hint, want string) *Error {
	return &Error{where: s.where, problem: "missing; want " + want, hint: hint}
}

// shown is the value as errors quote it: bounded, and without the user name and
// password of a URL.
func shown(value string) string {
	const most = 120
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		if scheme := strings.Index(value, "://"); scheme >= 0 && scheme < at {
			value = value[:scheme+3] + "..." + value[at:]
		}
	}
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "..."
	}
	return strconv.Quote(value)
}

// plain is text for the inside of an error line: as it is, or quoted where it
// holds characters that a terminal should not see. Longer than a path is only what
// nobody meant to write.
func plain(text string) string {
	const most = 1000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func quotesAround(value string) bool {
	return len(value) >= 2 && value[0] == value[len(value)-1] && (value[0] == '"' || value[0] == '\'')
}
