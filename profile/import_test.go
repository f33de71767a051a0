package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "company.ini")
	put(t, path, "# from IT\r\n"+strings.ReplaceAll(instead("credential_process", ""), "\n", "\r\n")+"credential_process = /opt/daypass process --profile dev # there\r\noutput = json\r\n", 0o600)
	blocks, err := ReadImport(path, nil)
	must(t, err)
	made, _, err := toEdit(t, emptyHome(t)).Edit(blocks)
	must(t, err)
	if strings.Contains(string(made), "credential_process") || !strings.Contains(string(made), "output = json\n") {
		t.Errorf("imported:\n%s", made)
	}
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	if piped, err := ReadImport("-", file); err != nil || !cmp.Equal(piped, blocks) {
		t.Errorf("from standard input: %+v, %v", piped, err)
	}
	if first := blocks[0]; !first.IDP {
		t.Errorf("the first block is %+v, want the login", first)
	}
}

func TestReadImportRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"[profile dev]\naws_access_key_id = AKIA\n", "[profile dev] aws_access_key_id: not imported"},
		{"[profile dev]\nrole_arn = x\n", "[profile dev] role_arn: not imported"},
		{"[sso-session x]\nsso_region = y\n", "[sso-session x]: a section of this kind is not imported"},
		{"[dev]\nregion = y\n", "[dev]: a section of this kind is not imported"},
		{"[daypass-idp a]\nissuerr = y\n", "[daypass-idp a] issuerr: not imported"},
		{"[daypass-idp a]\nhello\n", "line 2: this is neither a setting"},
		{"region = x\n", "line 1: this setting is above the first section"},
		{"# nothing\n", "holds no [daypass-idp NAME] and no [profile NAME]"},
		{"[profile a]\n[profile 'a']\n", "[profile a]: the section is there twice"},
		{"[profile a]\nregion = x\nregion = y\n", "line 3: the key region is there twice"},
		{"[profile a]\nregion = x\u200by\n", "[profile a] region: holds a control character, or another that is not seen"},
		{"[profile 'a;b']\nregion = x\n", `the name "a;b": want letters`},
	} {
		path := filepath.Join(t.TempDir(), "company.ini")
		put(t, path, test.text, 0o600)
		_, err := ReadImport(path, nil)
		wantError(t, err, test.want)
	}
}

// A company of thousands of accounts hands out a file as long.
func TestLargeImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "company.ini")
	put(t, path, largeConfig(6000), 0o600)
	blocks, err := ReadImport(path, nil)
	must(t, err)
	text, changes, err := toEdit(t, source(t, largeConfig(3000), nil, nil)).Edit(blocks)
	if err != nil || len(changes) != 3000*3 {
		t.Errorf("%d bytes, %d changes, %v", len(text), len(changes), err)
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
		blocks, err := ReadImport(path, nil)
		if err != nil {
			wantError(t, err)
			return
		}
		made, _, err := edit(t, nil, blocks)
		if err != nil {
			wantError(t, err)
			return
		}
		written, err := parsed(made)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, made, err)
		}
		for _, b := range blocks {
			for _, line := range b.Lines {
				if !b.accepts(line.Key) {
					t.Errorf("%q imports %s", text, line.Key)
				}
				if got := written[b.Section][line.Key]; line.Value != "" && got != line.Value {
					t.Errorf("%q became %q: %s of %s is %q, want %q", text, made, line.Key, b.Name, got, line.Value)
				}
			}
		}
	})
}
