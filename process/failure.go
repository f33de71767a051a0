package process

import (
	"errors"
	"strings"
)

// The exit codes of daypass. To an SDK only zero and not zero differ; scripts
// can tell more.
const (
	ExitUnexpected = 1   // something that should not happen
	ExitUsage      = 2   // usage or configuration
	ExitLogin      = 3   // a person must log in, or did not in time
	ExitRefused    = 4   // the person or the provider refused
	ExitAWS        = 5   // AWS refused
	ExitNetwork    = 6   // network or time-out
	ExitKeyring    = 7   // the keyring is out of reach
	ExitInterrupt  = 130 // Ctrl-C
)

// Failure is how a command ends when it does not succeed: the exit code, and
// what its reader sees: at most three lines, the cause first, then the command
// that mends it. A line may be long where it holds an address or an ARN.
type Failure struct {
	Exit  int
	Lines []string
	Err   error // the cause underneath, or nil
}

// Error returns the lines as one text.
func (f *Failure) Error() string { return strings.Join(f.Lines, "\n") }

// Unwrap returns the cause underneath.
func (f *Failure) Unwrap() error { return f.Err }

// fail returns a Failure with the lines that are not empty.
func fail(exit int, err error, lines ...string) *Failure {
	f := &Failure{Exit: exit, Err: err}
	for _, line := range lines {
		if line != "" {
			f.Lines = append(f.Lines, line)
		}
	}
	return f
}

// asFailure returns err as a Failure: itself where it is one, else an unexpected
// one that says what err says.
func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return fail(ExitUnexpected, err, err.Error())
}
