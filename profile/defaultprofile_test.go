package profile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const several = `
[daypass-idp corp]
[profile b]
daypass_role_arn = x
daypass_idp = corp
[profile plain]
region = eu-west-1
[profile a]
daypass_idp = other
[profile plain.sub]
[profile a.sub]
[profile c]
daypass_idp = corp # login
`

func TestNames(t *testing.T) {
	tests := map[string]struct {
		text       string
		all, using []string
	}{
		"several":       {several, []string{"b", "a", "c"}, []string{"b", "c"}},
		"none":          {"[profile x]\nregion = a\n", nil, nil},
		"default twice": {"[default]\ndaypass_idp = corp\n[profile default]\ndaypass_idp = corp\n", []string{"default"}, []string{"default"}},
		"default, later one is not ours": {
			"[default]\ndaypass_idp = corp\n[profile default]\nregion = a\n", nil, nil},
		"section twice":                       {"[profile x]\n[profile x]\ndaypass_idp = corp\n", []string{"x"}, []string{"x"}},
		"name that a terminal should not see": {"[profile x\x1b[31m]\ndaypass_idp = corp\n", nil, nil},
	}
	for name, tt := range tests {
		src := source(t, tt.text, nil, nil)
		file, err := Open(src)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all, using := file.Names(), file.NamesUsing("corp")
		if diff := cmp.Diff([][]string{tt.all, tt.using}, [][]string{all, using}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	file, err := Open(source(t, several+"[daypass-idp 'b']\n", nil, nil))
	must(t, err)
	if got := file.NamesUsing(""); got != nil {
		t.Errorf("NamesUsing(\"\") = %q", got)
	}
	if diff := cmp.Diff([]string{"corp", "b"}, file.IDPNames()); diff != "" {
		t.Errorf("IDPNames (-want +got)\n%s", diff)
	}
	if file, err = Open(Source{Home: t.TempDir()}); err != nil || file.Names() != nil {
		t.Errorf("without a file: %v, %v", file, err)
	}
	_, err = Open(source(t, "[x\n", nil, nil))
	wantError(t, err, "line 1")
}

func TestChoose(t *testing.T) {
	one := "[profile plain]\nregion = a\n[profile only]\ndaypass_idp = x\n"
	var many strings.Builder
	for i := range 20 {
		fmt.Fprintf(&many, "[profile p%d]\ndaypass_idp = x\n", i)
	}
	env := map[string]string{"AWS_PROFILE": "from-env"}
	tests := []struct {
		name, text string
		env        map[string]string
		want       string
		parts      []string
	}{
		{"given", several, env, "given", nil},
		{"", several, env, "from-env", nil},
		{"", one, nil, "only", nil},
		{"", several + "[default]\ndaypass_idp = corp\n", nil, "default", nil},
		{"", one + "[default]\nregion = a\n", nil, "only", nil},
		{"", one, map[string]string{"AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "x"}, "only", nil},
		{"", several, nil, "", []string{"--profile: missing", "b, a, c"}},
		{"", many.String(), nil, "", []string{"one of 20 profiles", "p11 and 8 more"}},
		{"", "[profile plain]\n", nil, "", []string{"uses daypass", "Set one up: daypass configure"}},
	}
	for _, tt := range tests {
		file, err := Open(source(t, tt.text, tt.env, nil))
		must(t, err)
		got, err := file.Choose(tt.name)
		if tt.parts != nil {
			wantError(t, err, tt.parts...)
		} else if got != tt.want || err != nil {
			t.Errorf("Choose(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
