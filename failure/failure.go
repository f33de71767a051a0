// Package failure is the one form in which daypass fails: an exit code, and the
// lines that a person reads.
//
// An [Error] is made where the cause is known, with its words. Those further up
// pass it on as it is, and package command prints it.
package failure

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// The exit codes of daypass. An SDK only tells zero from the rest; scripts can
// tell more.
const (
	ExitUnexpected = 1   // something that should not happen
	ExitUsage      = 2   // usage or configuration
	ExitLogin      = 3   // a person must log in, or did not in time
	ExitRefused    = 4   // the person or the provider refused
	ExitAWS        = 5   // AWS or another cloud refused
	ExitNetwork    = 6   // network or time-out
	ExitKeyring    = 7   // the keyring is out of reach
	ExitInterrupt  = 130 // Ctrl-C
)

// Error is how a command ends when it does not succeed: the exit code, and what
// its reader sees, which is at most three lines: the cause first, then the command
// that fixes it. A line may be long where it holds an address or an ARN.
//
// Lines may hold the placeholders that [Error.Fill] knows, so that a package that
// knows the cause need not know how the profile is called.
type Error struct {
	Exit  int
	Lines []string
	Err   error `json:"-"` // the cause underneath, or nil
}

// New returns an Error with those of the lines that are not empty.
func New(exit int, err error, lines ...string) *Error {
	f := &Error{Exit: exit, Err: err}
	for _, line := range lines {
		if line != "" {
			f.Lines = append(f.Lines, line)
		}
	}
	return f
}

// From returns the Error in err's chain, or else an unexpected one that says what
// err says.
func From(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return New(ExitUnexpected, err, err.Error())
}

// Error returns the lines as one text.
func (f *Error) Error() string { return strings.Join(f.Lines, "\n") }

// Unwrap returns the cause underneath.
func (f *Error) Unwrap() error { return f.Err }

// Names is what the placeholders in the lines of an [Error] stand for.
type Names struct {
	Profile string // profile {profile}: "profile dev", "[daypass-idp corp]" if only that is known, or "this profile"
	Section string // {section}: "[daypass-idp corp]", or "the settings"
	Host    string // {host}: the provider's host
	Flag    string // {flag}: " --profile dev", which ends a command that is to be repeated
}

// Fill returns f with the placeholders replaced.
func (f *Error) Fill(n Names) *Error {
	replace := strings.NewReplacer("profile {profile}", n.Profile, "{section}", n.Section, "{host}", n.Host, "{flag}", n.Flag)
	filled := &Error{Exit: f.Exit, Err: f.Err, Lines: make([]string, len(f.Lines))}
	for i, line := range f.Lines {
		filled.Lines[i] = replace.Replace(line)
	}
	return filled
}

// Clock is the time t as people read it, in now's location: the time of day, with
// the date if that is more than 20 hours away.
func Clock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Sub(now).Abs() > 20*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// Bare returns the innermost cause of an error, without the path or command around it:
// messages name the file that is meant, and that path may be a temporary one.
func Bare(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// Interrupted is how a command ends that a signal has ended.
func Interrupted(err error) *Error { return New(ExitInterrupt, err, "interrupted.") }

// Refusal is one way in which a cloud's service refuses, and what the reader is told.
type Refusal struct {
	Codes   string   // of the service, separated by spaces, without "Exception" at their ends; "" is any
	Message string   // part of the service's message in lower case; "" is any
	Exit    int      // 0 is ExitAWS
	Lines   []string // with placeholders, see [Refused]
}

// Refused is the failure of the first row that has one of the codes and is in the
// message. The pairs are placeholders and what they are.
func Refused(err error, rows []Refusal, codes []string, message string, pairs ...string) *Error {
	has := func(row Refusal) bool {
		return row.Codes == "" || slices.ContainsFunc(codes, func(code string) bool {
			return slices.Contains(strings.Fields(row.Codes), strings.TrimSuffix(code, "Exception"))
		})
	}
	for _, row := range rows {
		if !has(row) || !strings.Contains(strings.ToLower(message), row.Message) {
			continue
		}
		f := &Error{Exit: cmp.Or(row.Exit, ExitAWS), Err: err}
		for _, line := range row.Lines {
			f.Lines = append(f.Lines, strings.NewReplacer(pairs...).Replace(line))
		}
		return f
	}
	return From(err)
}
