package command

import (
	"bytes"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
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
					report(&out, cmd, err)
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

func TestCompletionOfNames(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.write(".aws/config", l.config()+"[profile demo]\ndaypass_idp = corp\n[profile other]\nregion = x\n[daypass-idp cloud]\n")
	for _, test := range []struct {
		line []string
		want []string
	}{
		{[]string{"login", "--profile", ""}, []string{"dev", "demo"}},
		{[]string{"exec", "-p", "de"}, []string{"dev", "demo"}},
		{[]string{"process", "--profile", "dem"}, []string{"demo"}},
		{[]string{"configure", "--profile", ""}, []string{"dev", "demo"}},
		{[]string{"logout", "--idp", "c"}, []string{"corp", "cloud"}},
	} {
		out := l.mustRun(append([]string{"__complete"}, test.line...)...)
		var got []string
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.line, got, test.want)
		}
	}
	l.write(".aws/config", "[broken\n")
	if out := l.mustRun("__complete", "login", "--profile", ""); out != ":4\n" {
		t.Errorf("where the file cannot be read: %q", out)
	}
}

// Who reads --help looks for a line to copy.
func TestEveryCommandHasAnExample(t *testing.T) {
	for _, cmd := range Tree().Commands() {
		if cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() || cmd.Name() == "completion" {
			continue
		}
		if !strings.Contains(cmd.Example, "daypass "+cmd.Name()) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
	}
	l := newLaptop(t, sandbox.Options{})
	if version := l.mustRun("version"); !strings.HasPrefix(version, "daypass ") || !strings.Contains(version, runtime.Version()) {
		t.Errorf("version: %q", version)
	}
	settings := l.mustRun("help", "settings")
	for _, flag := range profile.Flags() {
		if !strings.Contains(settings, "--"+flag.Name) {
			t.Errorf("help settings lacks --%s", flag.Name)
		}
	}
}

func TestCompletionScriptsParse(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := l.mustRun("completion", shell)
		if !strings.Contains(script, "__complete") {
			t.Errorf("%s: no completion script:\n%.300s", shell, script)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	bash := exec.Command("bash", "-n")
	bash.Stdin = strings.NewReader(l.mustRun("completion", "bash"))
	if out, err := bash.CombinedOutput(); err != nil {
		t.Errorf("bash -n: %v\n%s", err, out)
	}
}
