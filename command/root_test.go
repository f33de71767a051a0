package command

import (
	"bytes"
	"errors"
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
					fail(&out, asFailure(cmd, err, line))
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

func TestFit(t *testing.T) {
	for line, want := range map[string]string{
		"short":                          "short",
		"daypass: one two three four":    "daypass: one two\n  three four",
		"  https://corp.example/a/b/c/d": "  https://corp.example/a/b/c/d",
		"Make it yours. Run: sudo chown -R 1000 /home/taro": "Make it yours.\n  Run: sudo chown -R 1000 /home/taro",
		"Run in a terminal: daypass login --profile dev":    "Run in a\n  terminal: daypass login --profile dev",
	} {
		if got := fit(line, 20); got != want || fit(line, 0) != line {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// What was meant is named: commands, flags, and a profile without its flag.
func TestDidYouMean(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.write(".aws/config", l.config()+strings.ReplaceAll(l.config()[strings.Index(l.config(), "[profile"):], "[profile dev]", "[profile other]"))
	for line, want := range map[string]string{
		"lgin":                    `unknown command "lgin" for "daypass"; did you mean login?`,
		"procss --foo":            "did you mean process?",
		"nothinglikeit":           `unknown command "nothinglikeit" for "daypass"` + "\n",
		"help nope":               `unknown command "nope" for "daypass"` + "\n",
		"help lgout":              "did you mean logout?",
		"completion nope":         `unknown command "nope" for "daypass completion"` + "\n",
		"lo":                      "did you mean login or logout?",
		"login --forse":           "unknown flag: --forse\n",
		"login -x":                "unknown shorthand flag: 'x' in -x\n",
		"version x":               `unexpected argument "x"` + "\n",
		"login dev":               `unexpected argument "dev"; did you mean --profile dev?`,
		"process dev":             "did you mean --profile dev?",
		"status dev":              "did you mean --profile dev?",
		"trust-policy dev":        "did you mean --profile dev?",
		"exec dev -- true":        "did you mean --profile dev?",
		"exec dev":                "did you mean --profile dev?",
		"exec dev true":           "did you mean --profile dev?",
		"console dev":             "did you mean --profile dev?",
		"exec":                    "no command was given\n",
		"console s3 ec2":          "accepts at most 1 argument, received 2\n",
		"logout --all -p x":       "--all takes every login: leave out --profile and --idp\n",
		"logout --all --idp corp": "--all takes every login: leave out --profile and --idp\n",
		"console lightsail":       "--profile: missing",
	} {
		code, stdout, stderr := l.run(strings.Fields(line)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 2 {
			t.Errorf("daypass %s: exit %d, want %q\n%s%s", line, code, want, stdout, stderr)
		}
	}
	for _, flag := range []string{"--version", "-v"} {
		if got, want := l.mustRun(flag), l.mustRun("version"); got != want {
			t.Errorf("daypass %s: %q, want %q", flag, got, want)
		}
	}
	for _, command := range []string{"exec", "console"} {
		if !strings.Contains(l.mustRun(command, "--help"), "--region") {
			t.Errorf("the help of %s lacks --region", command)
		}
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
		{[]string{"token", "--format", ""}, []string{"raw", "json", "gcp"}},
		{[]string{"console", "--duration", ""}, nil},
	} {
		out := l.mustRun(append([]string{"__complete"}, test.line...)...)
		if !strings.HasSuffix(out, ":4\n") {
			t.Errorf("%v: file names are offered: %q", test.line, out)
		}
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
	for _, line := range [][]string{{"exec", ""}, {"login", "--ca-bundle", ""}} {
		if out := l.mustRun(append([]string{"__complete"}, line...)...); !strings.HasSuffix(out, ":0\n") {
			t.Errorf("%v: file names are not offered: %q", line, out)
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
		if cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() || cmd.Name() == "completion" || cmd.Name() == "help" {
			continue
		}
		if !strings.Contains(cmd.Example, "daypass "+cmd.Name()) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
		// With fewer than four blanks in front, the lines of a list run together in a man page.
		for line := range strings.Lines(cmd.Long) {
			if strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "    ") {
				t.Errorf("%s: %q", cmd.Name(), line)
			}
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

// What cannot be printed was not done, whether we print it or cobra.
func TestFullDisk(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	for _, line := range []string{"version", "--help", "help", "help settings", "login --help", "completion bash", "completion zsh"} {
		var errs bytes.Buffer
		e := l.environment(nil, &errs, strings.Fields(line)...)
		e.Stdout = full{}
		if code := Run(t.Context(), e); code != 1 || errs.String() != "daypass: cannot write to standard output: disk full.\n" {
			t.Errorf("daypass %s: exit %d\n%s", line, code, &errs)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

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
	// Without the package bash-completion, as in --norc.
	bash := exec.Command("bash", "--norc", "-c", l.mustRun("completion", "bash")+`
daypass() { echo login; echo :4; }
compopt() { true; } # which wants to be called by the shell alone
COMP_WORDS=(daypass lo) COMP_CWORD=1 COMP_LINE="daypass lo" COMP_POINT=10
__start_daypass; echo "${COMPREPLY[@]}"`)
	if out, err := bash.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "login" {
		t.Errorf("bash: %v\n%s", err, out)
	}
}
