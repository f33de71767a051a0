package prompt

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitCommand(t *testing.T) {
	for _, test := range []struct {
		line    string
		escapes bool
		want    []string // nil: an error
	}{
		{`firefox`, true, []string{"firefox"}},
		{"  firefox \t -P  work\n", true, []string{"firefox", "-P", "work"}},
		{`"/Applications/Google Chrome.app/x" --profile-directory='Profile 1' {url}`, true,
			[]string{"/Applications/Google Chrome.app/x", "--profile-directory=Profile 1", "{url}"}},
		{`a\ b c\\d e\"f`, true, []string{"a b", `c\d`, `e"f`}},
		{`x "a\b \"q\" \$HOME \\" 'a\b "'`, true, []string{"x", `a\b "q" $HOME \`, `a\b "`}},
		{`x "" ''`, true, []string{"x", "", ""}},
		{`x a"b"'c'd`, true, []string{"x", "abcd"}},
		{`x $HOME ~ *; | & $(id) # y`, true, []string{"x", "$HOME", "~", "*;", "|", "&", "$(id)", "#", "y"}},
		{`"C:\Program Files\Mozilla Firefox\firefox.exe" -P work`, false,
			[]string{`C:\Program Files\Mozilla Firefox\firefox.exe`, "-P", "work"}},
		{`C:\Tools\open.exe "a\" b`, false, []string{`C:\Tools\open.exe`, `a\`, "b"}},
		{`x "a`, true, nil},
		{`x 'a`, true, nil},
		{`x a\`, true, nil},
		{`x "a\`, true, nil},
		{`x "a\"`, true, nil},
		{``, true, nil},
		{"  ", true, nil},
		{`"" x`, true, nil},
	} {
		got, err := splitCommand(test.line, test.escapes)
		if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
			t.Errorf("%s: error %v (-want +got)\n%s", test.line, err, diff)
		}
	}
}
