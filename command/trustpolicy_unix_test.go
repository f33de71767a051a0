//go:build unix

package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
)

// The cli form means to a shell what was meant: a pretend aws writes down its
// arguments.
func TestTrustPolicyCommands(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	args := []string{"trust-policy", "--profile", "dev", "--client-id=" + awkward, "--duration", "12h", "--sub=" + awkward}
	policy := l.mustRun(args...)
	script := l.mustRun(append(args, "--format", "cli")...)

	folder := t.TempDir()
	record := filepath.Join(folder, "arguments")
	aws := "#!/bin/sh\nprintf '%s\\0' \"$@\" >> '" + record + "'\nprintf '\\0' >> '" + record + "'\n"
	must(t, os.WriteFile(filepath.Join(folder, "aws"), []byte(aws), 0o700))
	for _, options := range [][]string{{"-n"}, {"-eu"}} {
		sh := exec.Command("/bin/sh", options...)
		sh.Stdin, sh.Env = strings.NewReader(script), []string{"PATH=" + folder}
		if out, err := sh.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("sh %v: %v\n%s\n%s", options, err, out, script)
		}
	}
	recorded, err := os.ReadFile(record)
	must(t, err)
	var calls [][]string
	for call := range strings.SplitSeq(strings.TrimSuffix(string(recorded), "\x00\x00"), "\x00\x00") {
		calls = append(calls, strings.Split(call, "\x00"))
	}
	want := [][]string{
		{"iam", "create-open-id-connect-provider", "--url=" + l.box.Issuer, "--client-id-list=" + awkward},
		{"iam", "create-role", "--role-name=Developer", "--path=/", "--max-session-duration=43200",
			"--assume-role-policy-document=" + strings.TrimSuffix(policy, "\n")},
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
