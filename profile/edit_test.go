package profile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commented is a config file of somebody who takes care of it.
const commented = `# My AWS accounts. Do not sort!

[default]
region = us-east-1   # home
output=json

[sso-session old]
sso_region = eu-west-1
	; a comment of its own
[profile dev]
    region: eu-west-1
    # nested
    s3 =
        max_concurrent_requests = 20

        # in the middle
        addressing_style = path

[services local]
dynamodb =
  endpoint_url = http://localhost:8000
`

func newBlocks() []Block {
	return []Block{
		{IDP: true, Name: "corp", Lines: []Line{{"issuer", "https://corp.example/"}, {"client_id", "abc"}, {"client_secret", "hunter2"}}},
		{Name: "dev", Lines: []Line{{"region", "eu-central-1"}, {"daypass_idp", "corp"}, {"daypass_role_arn", "arn:aws:iam::111122223333:role/dev"}}},
	}
}

func TestEditLeavesEverythingElseAsItIs(t *testing.T) {
	made, changes, err := Edit([]byte(commented), newBlocks())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(commented, "    region: eu-west-1\n", "    region: eu-central-1\n", 1)
	want = strings.Replace(want, "        addressing_style = path\n", `        addressing_style = path
    daypass_idp = corp
    daypass_role_arn = arn:aws:iam::111122223333:role/dev
`, 1)
	want += `
[daypass-idp corp]
issuer        = https://corp.example/
client_id     = abc
client_secret = hunter2
`
	if diff := cmp.Diff(want, string(made)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantDiff := `+
+ [daypass-idp corp]
+ issuer        = https://corp.example/
+ client_id     = abc
+ client_secret = (hidden)
  [profile dev]
- region: eu-west-1
+ region: eu-central-1
+ daypass_idp = corp
+ daypass_role_arn = arn:aws:iam::111122223333:role/dev
`
	if diff := cmp.Diff(wantDiff, Diff(changes)); diff != "" {
		t.Errorf("Diff (-want +got)\n%s", diff)
	}
	again, changes, err := Edit(made, newBlocks())
	if err != nil || !bytes.Equal(again, made) || len(changes) != 0 {
		t.Errorf("a second time: %v, changes %v", err, changes)
	}
}

func TestEdit(t *testing.T) {
	one := func(lines ...Line) []Block { return []Block{{Name: "a", Lines: lines}} }
	region := Line{"region", "eu-west-1"}
	for _, test := range []struct {
		name, old string
		blocks    []Block
		want      string
	}{
		{"no file", "", one(region), "[profile a]\nregion = eu-west-1\n"},
		{"default", "", []Block{{Name: "default", Lines: []Line{region}}}, "[default]\nregion = eu-west-1\n"},
		{"default as a profile", "[profile default]\n", []Block{{Name: "default", Lines: []Line{region}}}, "[profile default]\nregion = eu-west-1\n"},
		{"the last of two headers counts", "[default]\nregion = x\n[profile default]\nregion = y\n", []Block{{Name: "default", Lines: []Line{region}}},
			"[default]\nregion = x\n[profile default]\nregion = eu-west-1\n"},
		{"quoted header", "[profile \"a\"]\n", one(region), "[profile \"a\"]\nregion = eu-west-1\n"},
		{"comment behind the header", "[profile a] # mine\n", one(region), "[profile a] # mine\nregion = eu-west-1\n"},
		{"comment behind the value", "[profile a]\nregion = us-east-1 # home\n", one(region), "[profile a]\nregion = eu-west-1 # home\n"},
		{"empty value", "[profile a]\nregion=\nx = 1\n", one(region), "[profile a]\nregion= eu-west-1\nx = 1\n"},
		{"case of the key", "[profile a]\nREGION=us\n", one(region), "[profile a]\nREGION=eu-west-1\n"},
		{"value over lines", "[profile a]\nregion =\n  us\n  # why\n  -east-1\nx = 1\n", one(region), "[profile a]\nregion = eu-west-1\n  # why\nx = 1\n"},
		{"DOS line ends", "[profile a]\r\nx = 1\r\n\r\n[b]\r\n", one(region), "[profile a]\r\nx = 1\r\nregion = eu-west-1\r\n\r\n[b]\r\n"},
		{"old Mac line ends", "[profile a]\rx = 1\r", one(region), "[profile a]\rx = 1\rregion = eu-west-1\r"},
		{"byte order mark", "\ufeff[profile a]\n", one(region), "\ufeff[profile a]\nregion = eu-west-1\n"},
		{"no final line end, value", "[profile a]\nregion = x", one(region), "[profile a]\nregion = eu-west-1"},
		{"no final line end, new setting", "[profile a]\nx = 1", one(region), "[profile a]\nx = 1\nregion = eu-west-1"},
		{"no final line end, new section", "[b]\nx = 1", one(region), "[b]\nx = 1\n\n[profile a]\nregion = eu-west-1\n"},
		{"empty section before an indented header", "[profile a]\n  [b]\n  x = 1\n", one(region), "[profile a]\n  region = eu-west-1\n  [b]\n  x = 1\n"},
		{"what looks like a header continues a value", "[profile a]\nx =\n  [profile a]\n", one(region), "[profile a]\nx =\n  [profile a]\nregion = eu-west-1\n"},
		{"trailing comments stay below", "[profile a]\nx = 1\n# about b\n[b]\n", one(region), "[profile a]\nx = 1\nregion = eu-west-1\n# about b\n[b]\n"},
		{"hash in support", "[daypass-idp a]\nsupport = ask in #aws\n", []Block{{IDP: true, Name: "a", Lines: []Line{{"support", "ask in #help ; now"}}}},
			"[daypass-idp a]\nsupport = ask in #help ; now\n"},
		{"nothing to say", "[b]\n", one(Line{"region", ""}), "[b]\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, _, err := Edit([]byte(test.old), test.blocks)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(made)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, profile, value, want string }{
		{"section twice", "[profile a]\n[profile a]\n", "a", "x", "[profile a]: the section is there twice"},
		{"key twice", "[profile a]\nregion = x\nregion = y\n", "a", "x", "[profile a] region: the key is there twice"},
		{"line break", "", "a", "x\n[profile b]", "[profile a] region: holds a control character"},
		{"comment", "", "a", "x # y", `[profile a] region: holds " #" or " ;", which begins a comment in the file`},
		{"spaces", "", "a", " x", "[profile a] region: has spaces at an end"},
		{"name with a space", "", "my dev", "x", `the name "my dev": want letters, digits and _ . @ + / - alone: it stands in a command line without quotes`},
		{"name of an option", "", "-p", "x", `the name "-p": want letters, digits and _ . @ + / - alone: it stands in a command line without quotes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := Edit([]byte(test.old), []Block{{Name: test.profile, Lines: []Line{{"region", test.value}}}})
			var e *Error
			if !errors.As(err, &e) || e.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// FuzzEdit edits arbitrary files: what Load read before, it reads after, but for
// what was to change; and no byte of another section or of a comment is touched.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(commented), "hunter2")
	f.Add([]byte(config), "x")
	f.Add([]byte(several), "x;y")
	for _, odd := range oddFiles {
		f.Add([]byte(odd.text), "`")
	}
	f.Add([]byte("[profile a]\n  [profile b]\n [profile dev]\n\t\v[x]"), "\"\"\"")
	f.Add([]byte("[profile dev]\rregion:\r\n  a\r#b\r  c"), "a#b")
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, old []byte, value string) {
		blocks := []Block{
			{IDP: true, Name: "corp", Lines: []Line{{"client_id", value}, {"issuer", "https://corp.example"}}},
			{Name: "dev", Lines: []Line{{"daypass_idp", "corp"}, {"region", value}}},
		}
		made, _, err := Edit(old, blocks)
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatalf("error of type %T: %v", err, err)
			}
			return
		}
		if again, changes, err := Edit(made, blocks); err != nil || len(changes) > 0 || !bytes.Equal(again, made) {
			t.Errorf("a second edit of %q: %v, %v", made, changes, err)
		}
		before, err := parseIn(folder, old)
		if err != nil {
			return
		}
		after, err := parseIn(folder, made)
		if err != nil {
			t.Fatalf("%q became %q: %v", old, made, err)
		}
		for _, b := range blocks {
			for _, line := range b.Lines {
				if line.Value != "" && after[b.kind()+" "+b.Name][line.Key] != line.Value {
					t.Errorf("%q became %q: %s of %s is %q", old, made, line.Key, b.Name, after[b.kind()+" "+b.Name][line.Key])
				}
				for _, sections := range []map[string]map[string]string{before, after} {
					delete(sections[b.kind()+" "+b.Name], line.Key)
				}
			}
		}
		for name, settings := range before {
			if diff := cmp.Diff(settings, after[name]); diff != "" && len(settings) > 0 {
				t.Errorf("%q became %q: section %s (-before +after)\n%s", old, made, name, diff)
			}
		}
		if diff := cmp.Diff(untouched(old), untouched(made)); diff != "" {
			t.Errorf("%q became %q: comments and other sections (-before +after)\n%s", old, made, diff)
		}
	})
}

// parseIn reads a file as Load does, into settings by section and key.
func parseIn(folder string, text []byte) (map[string]map[string]string, error) {
	path := filepath.Join(folder, "config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	parsed, err := readFile(path)
	if err != nil {
		return nil, err
	}
	sections := map[string]map[string]string{}
	for i := range parsed.sections {
		s := &parsed.sections[i]
		settings := map[string]string{}
		for _, e := range s.settings {
			if e.key != "" {
				settings[e.key] = s.text.value(e)
			}
		}
		sections[s.kind+" "+s.name] = settings
	}
	return sections, nil
}

// untouched are the lines of a file that an edit has no business with: comments,
// blank lines and the sections of other kinds, without those that are ours.
func untouched(text []byte) []string {
	d := newDocument(text)
	ours := map[int]bool{}
	within := false
	for _, e := range d.entries {
		if d.isHeader(e) {
			kind, name, ok := readHeader(e.header)
			within = ok && (kind == kindIDP && name == "corp" || kind == kindProfile && name == "dev")
			ours[e.first] = within
			continue
		}
		for _, i := range append([]int{e.first}, e.rest...) {
			ours[i] = within
		}
	}
	var lines []string
	for i, line := range d.lines {
		// A line end may be added to the last line, and a blank one before a section.
		if line = strings.TrimRight(line, "\r\n"); !ours[i] && strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
