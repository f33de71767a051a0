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

// Nobody's shell reads an address that a provider has chosen, from BROWSER neither.
func TestShellInBROWSER(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.env["BROWSER"] = "sh -c 'firefox %s'"
	e := l.environment(nil, nil)
	err := e.openBrowser(t.Context(), profile.Profile{}, "https://corp.example/")
	if err == nil || !strings.HasPrefix(err.Error(), "BROWSER: sh would read the address") {
		t.Error(err)
	}
}
