package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

// Only the subcommand that is asked for is made: it must be found under its name,
// and answer as it does among all others.
func TestASubcommandAloneAnswersAsAmongAll(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	for _, sub := range subcommands() {
		if name := sub.make(&Environment{}).Name(); name != sub.name {
			t.Errorf("%q is made for %q", name, sub.name)
		}
		for _, args := range []string{"--help", "-h", "--unknown", "--profile", "a b c d"} {
			line := append([]string{sub.name}, strings.Fields(args)...)
			if args != "--help" && args != "-h" && sub.name == "open-browser" {
				continue // it would
			}
			run := func(subs []subcommand) (text string) {
				var out bytes.Buffer
				e := l.environment(&out, &out, line...)
				root := newRoot(&e, subs...)
				root.SetArgs(line)
				root.SetOut(&out)
				root.SetErr(&out)
				if cmd, err := root.ExecuteContextC(t.Context()); err != nil {
					_, lines := explain(cmd, err)
					report(&out, lines)
				}
				return out.String()
			}
			if among, alone := run(subcommands()), run(asked(line)); alone != among || alone == "" {
				t.Errorf("daypass %s says, alone:\n%s\namong all:\n%s", strings.Join(line, " "), alone, among)
			}
		}
	}
}

// To catch signals costs more than to read a cached answer.
func TestSignalsAreCaughtWhereThereIsSomethingToFinish(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	caught := func(args ...string) bool {
		t.Helper()
		var out bytes.Buffer
		called := false
		e := l.environment(&out, &out, args...)
		e.CatchSignals = func() { called = true }
		Run(t.Context(), e)
		return called
	}
	if !caught("process", "--profile", "dev") {
		t.Error("not by process, where it must ask for a login")
	}
	l.login()
	if !caught("process", "--profile", "dev") {
		t.Error("not by process, where it gets credentials")
	}
	if caught("process", "--profile", "dev") {
		t.Error("by process, where they are cached")
	}
	if !caught("token", "--profile", "dev") {
		t.Error("not by another command")
	}
}
