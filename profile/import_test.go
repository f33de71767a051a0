package profile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "company.ini")
	put(t, path, "\ufeff# from IT\r\n"+strings.ReplaceAll(config, "\n", "\r\n")+"credential_process = /opt/daypass process --profile dev # there\r\noutput = json\r\n", 0o600)
	blocks, err := ReadImport(path)
	if err != nil {
		t.Fatal(err)
	}
	made, _, err := Edit(nil, blocks)
	if err != nil {
		t.Fatal(err)
	}
	src := emptyHome(t)
	if err := src.ReplaceConfig(nil, made, []string{"dev"}); err != nil {
		t.Errorf("what was imported does not load: %v\n%s", err, made)
	}
	if strings.Contains(string(made), "credential_process") || !strings.Contains(string(made), "= json\n") {
		t.Errorf("imported:\n%s", made)
	}
	if first := blocks[0]; !first.IDP {
		t.Errorf("the first block is %+v, want the login", first)
	}
}

func TestReadImportRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"credentials", "[profile dev]\naws_access_key_id = AKIA\n", "[profile dev] aws_access_key_id: not imported"},
		{"role chain", "[profile dev]\nrole_arn = x\n", "[profile dev] role_arn: not imported"},
		{"another kind", "[sso-session x]\nsso_region = y\n", "[sso-session x]: a section of this kind is not imported"},
		{"plain section", "[dev]\nregion = y\n", "[dev]: a section of this kind is not imported"},
		{"unknown key", "[daypass-idp a]\nissuerr = y\n", "[daypass-idp a] issuerr: not imported"},
		{"no setting", "[daypass-idp a]\nhello\n", "[daypass-idp a] line 2: not imported"},
		{"no section", "region = x\n", "begins with a setting that is in no section"},
		{"empty", "# nothing\n", "holds no [daypass-idp NAME] and no [profile NAME]"},
		{"section twice", "[profile a]\n[profile 'a']\n", "[profile a]: the section is there twice"},
		{"key twice", "[profile a]\nregion = x\nregion = y\n", "[profile a] region: the key is there twice"},
		{"name for a shell", "[profile 'a;b']\nregion = x\n", `the name "a;b": want letters`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "company.ini")
			put(t, path, test.text, 0o600)
			_, err := ReadImport(path)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestValueAndIDPNames(t *testing.T) {
	text := []byte(commented + "[daypass-idp b]\nissuer = x # y\n[daypass-idp 'a']\n[daypass-idp b]\n")
	if diff := cmp.Diff([]string{"b", "a"}, IDPNames(text)); diff != "" {
		t.Errorf("IDPNames (-want +got)\n%s", diff)
	}
	for _, test := range []struct {
		name, key, want string
		there           bool
	}{
		{"default", "region", "us-east-1", true},
		{"dev", "s3", "max_concurrent_requests = 20 addressing_style = path", true},
		{"dev", "output", "", true},
		{"prod", "region", "", false},
	} {
		if got, there := Value(text, false, test.name, test.key); got != test.want || there != test.there {
			t.Errorf("Value(%s, %s) = %q, %v, want %q, %v", test.name, test.key, got, there, test.want, test.there)
		}
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
	f.Add([]byte("[daypass-idp corp]\nissuer = https://corp.example\nclient_id = \"a;b\"\n[profile dev]\ndaypass_idp=corp\n region = x # y\n"))
	f.Add([]byte("[profile dev]\naws_access_key_id = A\n"))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(folder, "handed-out")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		blocks, err := ReadImport(path)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error of type %T: %v", err, err)
			}
			if strings.ContainsFunc(e.Error()+e.Hint(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("error holds a control character: %q | %q", e.Error(), e.Hint())
			}
			return
		}
		made, _, err := Edit(nil, blocks)
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatalf("error of type %T: %v", err, err)
			}
			return
		}
		written, err := parseIn(folder, made)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, made, err)
		}
		for _, b := range blocks {
			for _, line := range b.Lines {
				if !b.takes(line.Key) {
					t.Errorf("%q imports %s", text, line.Key)
				}
				if got := written[b.kind()+" "+b.Name][line.Key]; line.Value != "" && got != line.Value {
					t.Errorf("%q became %q: %s of %s is %q, want %q", text, made, line.Key, b.Name, got, line.Value)
				}
			}
		}
	})
}
