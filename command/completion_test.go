package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

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
		{[]string{"completion", "f"}, []string{"fish"}},
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
		if cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() {
			continue
		}
		if !strings.Contains(cmd.Example, "daypass "+cmd.Name()) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
	}
}
