package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// set makes settings of a section, of keys and values.
func set(section Section, pairs ...string) (settings []Setting) {
	for pair := range slices.Chunk(pairs, 2) {
		settings = append(settings, Setting{Section: section, Key: pair[0], Value: pair[1]})
	}
	return settings
}

func newSettings() []Setting {
	return append(set(Section{true, "corp"}, "issuer", "https://corp.example/", "client_id", "abc", "client_secret", "hunter2"),
		set(Section{Name: "dev"}, "region", "eu-central-1", "daypass_idp", "corp", "daypass_role_arn", "arn:aws:iam::111122223333:role/dev")...)
}

func TestEditLeavesEverythingElseAsItIs(t *testing.T) {
	// What the environment says of the region is no reason to refuse the file.
	src := source(t, commented, map[string]string{"AWS_REGION": "cn-north-1"}, nil)
	c := toEdit(t, src)
	edited, changes, err := c.Edit(newSettings())
	must(t, err)
	must(t, c.Replace(edited))
	want := strings.Replace(commented, "    region: eu-west-1\n", "    region = eu-central-1\n", 1)
	want = strings.Replace(want, "        addressing_style = path\n", `        addressing_style = path
    daypass_idp = corp
    daypass_role_arn = arn:aws:iam::111122223333:role/dev
`, 1)
	want += `
[daypass-idp corp]
issuer = https://corp.example/
client_id = abc
client_secret = hunter2
`
	holds(t, src.ConfigFile(), want)
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %v %s: %s > %s", c.Header(), c.New, c.Key, c.Old, c.Value))
	}
	if diff := cmp.Diff([]string{
		"[daypass-idp corp] true issuer:  > https://corp.example/",
		"[daypass-idp corp] true client_id:  > abc",
		"[daypass-idp corp] true client_secret:  > hunter2",
		"[profile dev] false region: eu-west-1 > eu-central-1",
		"[profile dev] false daypass_idp:  > corp",
		"[profile dev] false daypass_role_arn:  > arn:aws:iam::111122223333:role/dev",
	}, got); diff != "" {
		t.Errorf("changes (-want +got)\n%s", diff)
	}
	_, changes, err = toEdit(t, src).Edit(newSettings())
	if err != nil || len(changes) != 0 {
		t.Errorf("a second time: %v, changes %v", err, changes)
	}
}

func toEdit(t testing.TB, src Source) *Config {
	t.Helper()
	c, err := OpenToEdit(src)
	must(t, err)
	return c
}

// edit edits without loading the result.
func edit(old string, settings []Setting) (string, []Setting, error) {
	c, err := Source{}.parse("config", old)
	if err != nil {
		return "", nil, err
	}
	return c.apply(settings)
}

func TestEdit(t *testing.T) {
	region := set(Section{Name: "a"}, "region", "eu-west-1")
	ofDefault := set(Section{Name: "default"}, "region", "eu-west-1")
	for _, test := range []struct {
		name, old string
		settings  []Setting
		want      string
	}{
		{"no file", "", region, "[profile a]\nregion = eu-west-1\n"},
		{"default", "", ofDefault, "[default]\nregion = eu-west-1\n"},
		{"default as a profile", "[profile default]\n", ofDefault, "[profile default]\nregion = eu-west-1\n"},
		{"the last of two headers counts", "[default]\nregion = x\n[profile default]\nregion = y\n", ofDefault,
			"[default]\nregion = x\n[profile default]\nregion = eu-west-1\n"},
		{"quoted header", "[profile \"a\"]\n", region, "[profile \"a\"]\nregion = eu-west-1\n"},
		{"comment behind the header", "[profile a] # mine\n", region, "[profile a] # mine\nregion = eu-west-1\n"},
		{"comment behind the value", "[profile a]\nregion = us-east-1 # home\n", region, "[profile a]\nregion = eu-west-1\n"},
		{"empty value", "[profile a]\nregion=\nx = 1\n", region, "[profile a]\nregion = eu-west-1\nx = 1\n"},
		{"case of the key", "[profile a]\nREGION=us\n", region, "[profile a]\nregion = eu-west-1\n"},
		{"value over lines", "[profile a]\nregion =\n  us\n  # why\n  -east-1\nx = 1\n", region, "[profile a]\nregion = eu-west-1\n  # why\nx = 1\n"},
		{"DOS line ends", "[profile a]\r\nx = 1\r\n\r\n[b]\r\n", region, "[profile a]\r\nx = 1\r\nregion = eu-west-1\r\n\r\n[b]\r\n"},
		{"old Mac line ends", "[profile a]\rx = 1\r", region, "[profile a]\rx = 1\rregion = eu-west-1\n"},
		{"byte order mark", "\ufeff[profile a]\n", region, "\ufeff[profile a]\nregion = eu-west-1\n"},
		{"no final line end, value", "[profile a]\nregion = x", region, "[profile a]\nregion = eu-west-1\n"},
		{"no final line end, new setting", "[profile a]\nx = 1", region, "[profile a]\nx = 1\nregion = eu-west-1\n"},
		{"no final line end, new section", "[b]\nx = 1", region, "[b]\nx = 1\n\n[profile a]\nregion = eu-west-1\n"},
		{"empty section before an indented header", "[profile a]\n  [b]\n  x = 1\n", region, "[profile a]\n  region = eu-west-1\n  [b]\n  x = 1\n"},
		{"what looks like a header continues a value", "[profile a]\nx =\n  [profile a]\n", region, "[profile a]\nx =\n  [profile a]\nregion = eu-west-1\n"},
		{"trailing comments stay below", "[profile a]\nx = 1\n# about b\n[b]\n", region, "[profile a]\nx = 1\nregion = eu-west-1\n# about b\n[b]\n"},
		{"hash in support", "[daypass-idp a]\nsupport = ask in #aws\n", set(Section{true, "a"}, "support", "ask in #help ; now"),
			"[daypass-idp a]\nsupport = ask in #help ; now\n"},
		{"nothing to say", "[b]\n", set(Section{Name: "a"}, "region", ""), "[b]\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, _, err := edit(test.old, test.settings)
			must(t, err)
			if diff := cmp.Diff(test.want, made); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, profile, value, want string }{
		{"section twice", "[profile a]\n[profile a]\n", "a", "x", "[profile a]: the section is there twice"},
		{"line break", "", "a", "x\n[profile b]", "[profile a] region: holds a control character"},
		{"comment", "", "a", "x # y", `[profile a] region: would be read in different ways: it has " #"`},
		{"spaces", "", "a", " x", "[profile a] region: would be read in different ways"},
		{"name with a space", "", "my dev", "x", `the name "my dev": want letters, digits and _ . @ + / - alone: it is in a command line without quotes`},
		{"name of an option", "", "-p", "x", `the name "-p": want letters, digits and _ . @ + / - alone: it is in a command line without quotes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := edit(test.old, set(Section{Name: test.profile}, "region", test.value))
			wantError(t, err, test.want)
		})
	}
	// Controls, separators, what turns the direction of text, and what takes no or
	// blank room.
	for _, unseen := range []string{"\x1b[2K", "\u009b", "\u0085", "\u2028", "\u2029", "\u202e", "\u2067", "\u200b", "\ufeff", "\u00ad",
		"\u00a0", "\u3164", "\u2800", "\ufe0f", "\U000e0041", "\xff"} {
		_, _, err := edit("", set(Section{Name: "a"}, "region", "x"+unseen+"y"))
		wantError(t, err, "[profile a] region: holds a control character, or another that is not seen")
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
	for _, text := range found() {
		f.Add([]byte(text), "0 #")
		f.Add([]byte(text), "\x19")
	}
	f.Add([]byte("[profile a]\n  [profile b]\n [profile dev]\n\t\v[x]"), "\"\"\"")
	f.Add([]byte("[profile dev]\rregion:\r\n  a\r#b\r  c"), "a#b")
	f.Fuzz(func(t *testing.T, old []byte, value string) {
		settings := append(set(Section{true, "corp"}, "client_id", value, "issuer", "https://corp.example"),
			set(Section{Name: "dev"}, "daypass_idp", "corp", "region", value)...)
		made, _, err := edit(string(old), settings)
		if err != nil {
			wantError(t, err)
			return
		}
		if again, changes, err := edit(made, settings); err != nil || len(changes) > 0 || again != made {
			t.Errorf("a second edit of %q: %v, %v", made, changes, err)
		}
		before, err := parsed(string(old))
		if err != nil {
			return
		}
		after, err := parsed(made)
		if err != nil {
			t.Fatalf("%q became %q: %v", old, made, err)
		}
		for _, set := range settings {
			if set.Value != "" && after[set.Section][set.Key] != set.Value {
				t.Errorf("%q became %q: %s of %s is %q", old, made, set.Key, set.Header(), after[set.Section][set.Key])
			}
			for _, sections := range []map[Section]map[string]string{before, after} {
				delete(sections[set.Section], set.Key)
			}
		}
		for name, settings := range before {
			if diff := cmp.Diff(settings, after[name]); diff != "" && len(settings) > 0 {
				t.Errorf("%q became %q: section %v (-before +after)\n%s", old, made, name, diff)
			}
		}
		if diff := cmp.Diff(untouched(string(old)), untouched(made)); diff != "" {
			t.Errorf("%q became %q: comments and other sections (-before +after)\n%s", old, made, diff)
		}
	})
}

// parsed reads a file as Load does, into settings by section and key.
func parsed(text string) (map[Section]map[string]string, error) {
	c, err := Source{}.parse("config", text)
	if err != nil {
		return nil, err
	}
	sections := map[Section]map[string]string{}
	for id, s := range c.sections {
		sections[id] = map[string]string{}
		for _, e := range s.settings {
			if e.key != "" {
				sections[id][e.key] = c.text.value(e)
			}
		}
	}
	return sections, nil
}

// untouched are the lines of a file that an edit has no business with: comments,
// blank lines and the sections of other kinds, without those that are ours.
func untouched(text string) []string {
	d := newDocument(text)
	ours := map[int]bool{}
	within := false
	for _, e := range d.entries {
		if e.isHeader {
			id, ok := readHeader(e.header)
			within = ok && (id == Section{true, "corp"} || id == Section{Name: "dev"})
			ours[e.first] = within
			continue
		}
		for i := e.first; i <= e.last; i++ {
			ours[i] = within && !isBlank(strings.TrimSpace(d.lines[i]))
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

func TestReadImportRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[profile dev]\naws_access_key_id = AKIA\n", "[profile dev] aws_access_key_id: not imported"},
		{"[profile dev]\nrole_arn = x\n", "[profile dev] role_arn: not imported"},
		{"[sso-session x]\nsso_region = y\n", "[sso-session x]: a section of this kind is not imported"},
		{"[dev]\nregion = y\n", "[dev]: a section of this kind is not imported"},
		{"[daypass-idp a]\nissuerr = y\n", "[daypass-idp a] issuerr: not imported"},
		{"[daypass-idp a]\nhello\n", "company.ini: line 2: this is neither a setting"},
		{"# nothing\n", "holds no [daypass-idp NAME] and no [profile NAME]"},
		{"[profile a]\n[profile 'a']\n", "[profile a]: the section is there twice"},
		{"[daypass-idp a]\nissuer =\n[daypass-idp b]\nissuer = y\n", "[daypass-idp a]: the section holds no settings"},
		{"[profile a]\nregion = x\u200by\n", "[profile a] region: holds a control character, or another that is not seen"},
		{"[profile 'a;b']\nregion = x\n", `the name "a;b": want letters`},
	} {
		path := filepath.Join(t.TempDir(), "company.ini")
		put(t, path, test.text, 0o600)
		_, err := ReadImport(path, nil, "/usr/local/bin/daypass")
		wantError(t, err, test.want)
	}
}

// A company of thousands of accounts hands out a file as long. Each profile is loaded from
// one reading of it, in linear time: to read the file for each would take minutes.
func TestLargeImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "company.ini")
	put(t, path, largeConfig(20000), 0o600)
	settings, err := ReadImport(path, nil, "/usr/local/bin/daypass")
	must(t, err)
	_, changes, err := toEdit(t, source(t, largeConfig(10000), nil, nil)).Edit(settings)
	if err != nil || len(changes) != 10000*4 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

// FuzzImport imports arbitrary files: what is accepted holds settings of daypass
// alone, and reads back from ~/.aws/config as the file says.
func FuzzImport(f *testing.F) {
	f.Add([]byte(config))
	f.Add([]byte(several))
	for _, odd := range oddFiles {
		f.Add([]byte(odd.text))
	}
	for _, text := range found() {
		f.Add([]byte(text))
	}
	f.Add([]byte("[daypass-idp corp]\nissuer = https://corp.example\nclient_id = \"a;b\"\n[profile dev]\ndaypass_idp=corp\n region = x # y\n"))
	f.Add([]byte("[profile dev]\naws_access_key_id = A\n"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(folder, "handed-out")
		must(t, os.WriteFile(path, text, 0o600))
		settings, err := ReadImport(path, nil, "/usr/local/bin/daypass")
		if err != nil {
			wantError(t, err)
			return
		}
		made, _, err := edit("", settings)
		if err != nil {
			wantError(t, err)
			return
		}
		written, err := parsed(made)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, made, err)
		}
		for _, set := range settings {
			if !knows(keysOf(set.IDP), set.Key) && (set.IDP || set.Key != "output") {
				t.Errorf("%q imports %s", text, set.Key)
			}
			if got := written[set.Section][set.Key]; set.Value != "" && got != set.Value {
				t.Errorf("%q became %q: %s of %s is %q, want %q", text, made, set.Key, set.Name, got, set.Value)
			}
		}
	})
}
