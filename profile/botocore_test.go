package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

type reading map[string]string

// oddFiles are files that INI readers disagree on. botocore is what botocore
// makes of the profile "dev" in them, as
//
//	botocore.configloader.build_profile_map(
//	    botocore.configloader.raw_config_parse(path, parse_subsections=False))["profiles"].get("dev")
//
// said in botocore 1.43.11 and 1.29.27 (Python 3.11): nil where it has no such
// profile. refused says that it refused the file (ConfigParseError), as the AWS CLI
// reads it, which is with parse_subsections. The lines of one value are joined by
// spaces, as ours are, in place of line breaks. ours is set
// where daypass reads something else on purpose, and why says the reason.
var oddFiles = []struct {
	name     string
	text     string
	botocore reading
	refused  bool
	ours     reading
	why      string
}{
	{name: "plain", text: "[profile dev]\nregion = eu-west-1\n", botocore: reading{"region": "eu-west-1"}},
	{name: "no line end at the end", text: "[profile dev]\nregion = a", botocore: reading{"region": "a"}},
	{name: "empty file", text: ""},
	{name: "only comments", text: "# [profile dev]\n; region = a\n"},
	{name: "colon", text: "[profile dev]\nregion: a\nk : b = c\n", botocore: reading{"region": "a", "k": "b = c"}},
	{name: "value with colon and equals", text: "[profile dev]\nk = https://x/?a=b:c\n", botocore: reading{"k": "https://x/?a=b:c"}},
	{name: "no spaces", text: "[profile dev]\nregion=a\n", botocore: reading{"region": "a"}},
	{name: "tabs around", text: "[profile dev]\nregion\t=\ta\t\n", botocore: reading{"region": "a"}},
	{name: "empty value", text: "[profile dev]\nk =\nregion = a\n", botocore: reading{"k": "", "region": "a"}},
	{name: "crlf", text: "[profile dev]\r\nregion = a\r\nk = b\r\n", botocore: reading{"region": "a", "k": "b"}},
	{name: "cr alone", text: "[profile dev]\rregion = a\rk = b\r", botocore: reading{"region": "a", "k": "b"}},
	{name: "cr alone, no end", text: "[profile dev]\rregion = a\rk = b", botocore: reading{"region": "a", "k": "b"}},
	{name: "upper case keys", text: "[profile dev]\nRegion = A\nDAYPASS_IDP = Corp\n", botocore: reading{"region": "A", "daypass_idp": "Corp"}},
	{name: "hash within a value", text: "[profile dev]\nk = a#b;c\n", botocore: reading{"k": "a#b;c"}},
	{name: "value that begins with a hash", text: "[profile dev]\nk = #a\n", botocore: reading{"k": "#a"}},
	{name: "percent", text: "[profile dev]\nhome = /x\nk = %(home)s/100%\n", botocore: reading{"home": "/x", "k": "%(home)s/100%"}},
	{name: "dollar", text: "[profile dev]\nk = $HOME ${HOME}\n", botocore: reading{"k": "$HOME ${HOME}"}},
	{name: "backslash at the end", text: "[profile dev]\nk = C:\\tools\\\nregion = a\n", botocore: reading{"k": `C:\tools\`, "region": "a"}},
	{name: "double quotes", text: "[profile dev]\nk = \"a b\"\n", botocore: reading{"k": `"a b"`}},
	{name: "single quotes", text: "[profile dev]\nk = 'a b'\n", botocore: reading{"k": "'a b'"}},
	{name: "quote that is not closed", text: "[profile dev]\nk = \"a\nregion = b\n", botocore: reading{"k": `"a`, "region": "b"}},
	{name: "three quotes", text: "[profile dev]\nk = \"\"\"a\nregion = b\n", botocore: reading{"k": `"""a`, "region": "b"}},
	{name: "three quotes, closed", text: "[profile dev]\nk = \"\"\"a\"\"\"\nregion = b\n", botocore: reading{"k": `"""a"""`, "region": "b"}},
	{name: "backquotes", text: "[profile dev]\nk = `a` b\nregion = b\n", botocore: reading{"k": "`a` b", "region": "b"}},
	{name: "backquote that is not closed", text: "[profile dev]\nk = `a\nregion = b\n", botocore: reading{"k": "`a", "region": "b"}},
	{name: "backquoted value with a second line", text: "[profile dev]\nk = `a\n  `b`\nregion = c\n", botocore: reading{"k": "`a `b`", "region": "c"}},
	{name: "quoted key elsewhere", text: "[profile x]\n\"k = 1\n`j = 2\n  more\n[profile dev]\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "minus as key", text: "[profile dev]\n- = a\nregion = b\n", botocore: reading{"-": "a", "region": "b"}},
	{name: "nested keys", text: "[profile dev]\ns3 =\n  max = 1\n  region = b\nregion = a\n", botocore: reading{"s3": "max = 1 region = b", "region": "a"}},
	{name: "nested keys with comments and blank lines", text: "[profile dev]\ns3 =\n\n  max = 1\n  # no\n\n  min = 2\nregion = a\n", botocore: reading{"s3": "max = 1 min = 2", "region": "a"}},
	{name: "continued value", text: "[profile dev]\nk = a\n  b = c\n\td\nregion = x\n", botocore: reading{"k": "a b = c d", "region": "x"}},
	{name: "continued after a blank line", text: "[profile dev]\nk = a\n\n  b\nregion = x\n", botocore: reading{"k": "a b", "region": "x"}},
	{name: "JSON over many lines", text: "[profile dev]\nk = {\n  \"a\": [\n    \"b\"\n  ]\n  }\nregion = x\n", botocore: reading{"k": "{ \"a\": [ \"b\" ] }", "region": "x"}},
	{name: "header deeper than a key", text: "[profile dev]\nk = a\n  [profile x]\nregion = b\n", botocore: reading{"k": "a [profile x]", "region": "b"}},
	{name: "all keys indented", text: "[profile dev]\n  k =\n  region = a\n  j = b\n", botocore: reading{"k": "", "region": "a", "j": "b"}},
	{name: "indented section", text: "  [profile dev]\n  region = a\n", botocore: reading{"region": "a"}},
	{name: "less and less indented", text: "[profile dev]\n    k = a\n  region = b\nj = c\n", botocore: reading{"k": "a", "region": "b", "j": "c"}},
	{name: "tab is one deep", text: "[profile dev]\n  k = a\n\tregion = b\n", botocore: reading{"k": "a", "region": "b"}},
	{name: "indented comment", text: "[profile dev]\nk = a\n  # no\n  ; no\nregion = b\n", botocore: reading{"k": "a", "region": "b"}},
	{name: "no-break space before a key", text: "[profile dev]\n\u00a0region = a\n", botocore: reading{"region": "a"}},
	{name: "keys before the first key only", text: "[profile dev]\n\n\n[profile x]\nregion = a\n", botocore: reading{}},

	{name: "quoted name", text: "[profile \"dev\"]\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "name quoted in part", text: "[profile d'ev']\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "tab before the name", text: "[profile\tdev]\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "spaces around the name", text: "[profile   dev ]\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "space before the word", text: "[ profile dev]\nregion = a\n"},
	{name: "two names", text: "[profile dev two]\nregion = a\n"},
	{name: "quote not closed in a header", text: "[profile \"dev]\nregion = a\n"},
	{name: "no word", text: "[dev]\nregion = a\n"},
	{name: "other word", text: "[Profile dev]\nregion = a\n"},
	{name: "longer word", text: "[profiles dev]\nregion = a\n", botocore: reading{"region": "a"},
		ours: nil, why: "botocore compares the beginning only; no other SDK takes this for a profile"},
	{name: "comment after a header", text: "[profile dev] # note\nregion = a\n", botocore: reading{"region": "a"}},
	{name: "bracket in that comment", text: "[profile dev] # [x]\nregion = a\n"},
	{name: "dot in the name", text: "[profile dev]\nk = 1\n[profile dev.a]\nj = 2\n", botocore: reading{"k": "1"}},
	{name: "quoted and bare name", text: "[profile dev]\nk = 1\n[profile \"dev\"]\nj = 2\n", botocore: reading{"j": "2"}},
	{name: "bare name last", text: "[profile \"dev\"]\nj = 2\n[profile dev]\nk = 1\n", botocore: reading{"k": "1"}},
	{name: "DEFAULT is inherited", text: "[DEFAULT]\nk = 1\n[profile dev]\nj = 2\n", botocore: reading{"j": "2", "k": "1"},
		ours: reading{"j": "2"}, why: "a feature of Python's reader that AWS does not document and no other SDK has"},

	{name: "comment after a value", text: "[profile dev]\nk = a # b\n", botocore: reading{"k": "a # b"},
		ours: reading{"k": "a"}, why: "the Go and JavaScript SDKs cut it, and nobody means it"},
	{name: "semicolon comment", text: "[profile dev]\nk = a ; b # c\n", botocore: reading{"k": "a ; b # c"},
		ours: reading{"k": "a"}, why: "as above"},
	{name: "comment after a tab", text: "[profile dev]\nk = a\t# b\n", botocore: reading{"k": "a\t# b"},
		ours: reading{"k": "a"}, why: "as above"},
	{name: "byte order mark", text: "\ufeff[profile dev]\nregion = a\n", refused: true,
		ours: reading{"region": "a"}, why: "Windows editors write it; other SDKs skip it"},
	{name: "key before any section", text: "k = 1\n[profile dev]\nregion = a\n", refused: true,
		ours: reading{"region": "a"}, why: "the Go SDK reads on; it is no section in use"},
	{name: "line without delimiter", text: "[profile dev]\njunk\nregion = a\n", refused: true,
		ours: reading{"region": "a"}, why: "as above"},
	{name: "no key", text: "[profile dev]\n= junk\nregion = a\n", refused: true,
		ours: reading{"region": "a"}, why: "as above"},
	{name: "nested key without delimiter", text: "[profile dev]\ns3 =\n  junk\nregion = a\n", refused: true,
		ours: reading{"s3": "junk", "region": "a"}, why: "other SDKs read on"},
	{name: "JSON below its key", text: "[profile dev]\nk =\n  {\n  \"a\": 1\n  }\n", refused: true,
		ours: reading{"k": `{ "a": 1 }`}, why: "as above"},
}

func TestReadsAsBotocore(t *testing.T) {
	for _, tt := range oddFiles {
		t.Run(tt.name, func(t *testing.T) {
			if problem := newDocument(tt.text).problem(); tt.refused != (problem != "") {
				t.Errorf("problem = %q, but refused by botocore: %v", problem, tt.refused)
			}
			sections, err := parsed(tt.text)
			must(t, err)
			got := reading(sections[Section{Name: "dev"}])
			want := tt.botocore
			if tt.why != "" {
				want = tt.ours
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("reading differs (-want +got):\n%s", diff)
			}
		})
	}
}
