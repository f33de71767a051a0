package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityClaimsHaveTests holds security.md to its first paragraph: each claim
// of its tables names a test, and each test that the page names is there.
func TestSecurityClaimsHaveTests(t *testing.T) {
	page := read(t, "security.md")
	named := regexp.MustCompile("\\[`((?:Test|Fuzz)\\w+)`\\]\\(\\.\\./([^)]+)\\)")
	tests := named.FindAllStringSubmatch(page, -1)
	for _, test := range tests {
		name, file := test[1], test[2]
		source := read(t, filepath.Join("..", filepath.FromSlash(file)))
		if !strings.Contains(source, "\nfunc "+name+"(") {
			t.Errorf("security.md names %s, and %s has no such test", name, file)
		}
	}
	if len(tests) < 40 {
		t.Errorf("security.md names %d tests only", len(tests))
	}

	claims, inClaims := 0, false
	for line := range strings.Lines(page) {
		switch {
		case line == "| claim | test |\n":
			inClaims = true
		case !strings.HasPrefix(line, "|"):
			inClaims = false
		case inClaims && !strings.HasPrefix(line, "|---"):
			if claims++; !named.MatchString(line) {
				t.Errorf("a claim without a test: %s", line)
			}
		}
	}
	if claims < 20 {
		t.Errorf("security.md has %d claims only", claims)
	}
}
