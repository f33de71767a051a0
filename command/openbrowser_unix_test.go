//go:build unix

package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/profile"
)

func TestFirstBrowser(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"there", "with space"} {
		must(t, os.WriteFile(filepath.Join(folder, name), nil, 0o700))
	}
	t.Setenv("PATH", folder)
	spaced := filepath.Join(folder, "with space")
	for list, want := range map[string][]string{
		"missing:there -x %s": {"there", "-x", "{url}"},
		"there:missing":       {"there"},
		"missing %%s":         {"missing", "%s"},
		"'there' '%s#a b'":    {"there", "{url}#a b"},
		spaced:                {spaced},
		"":                    nil,
		"::":                  nil,
	} {
		if diff := cmp.Diff(want, firstBrowser(list)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", list, diff)
		}
	}
}

// Nobody's shell reads an address that a provider has chosen, from BROWSER neither,
// also where the address is put at the end. What wslview opens, the system's own
// opener does.
func TestShellInBROWSER(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	e := l.environment(nil, nil)
	t.Setenv("PATH", t.TempDir())
	for list, want := range map[string]string{
		"sh -c 'firefox %s'":   "BROWSER: sh would read the address",
		"sh -c":                "BROWSER: sh would read the address",
		"cmd.exe /c start":     "BROWSER: cmd would read the address",
		"ssh desktop firefox":  "BROWSER: ssh would read the address",
		"wslview":              "no program opens a browser here",
		"missing:/bin/wslview": "no program opens a browser here",
		"firefox":              `"firefox": not found in PATH`,
	} {
		l.env["BROWSER"] = list
		if err := e.openBrowser(t.Context(), profile.Profile{}, "https://corp.example/"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
}
