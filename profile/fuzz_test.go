package profile

import (
	"os"
	"strings"
	"testing"

	"github.com/daypass/daypass/address"
)

// found are files that a fuzzer came upon: each reaches code that no other seed does.
func found() []string {
	return []string{
		"\x00", "\x80", "\xfe\xff", "\ufeff[", "[ ", "[@", "[profile\\]", "[profile'0]", "[profile\\0]", "[profile !]0",
		"\xb7\n[profile \"000\"]", "[" + strings.Repeat("0", 120), "0\n[profile dev]\n0\n[profile dev]",
		"[profile 0]\n[profile 1]\n [profile dev]\n  [0]", "[profile dev]\nk=`\nk=`", "[profile dev]\nregion=\x15", "[profile 0]\rregion=\x010",
		"[profile dev]\ndAYpAss0=", "[daypass-idp 0]\n[profile dev]\ndAYpAss_idp=0", "\n[daypass-idp corp]\nissuer=\n0\n[profile dev]\x00\n0\n0\n0",
		"[daypass-idp 0]\n[profile 0]\n[profile 1]\n]\n[profile0]\n]\n[profile 1]\n[profile 1]",
	}
}

// FuzzLoad reads arbitrary files: no panic, every error as wantError wants
// it, and a profile that loads is within the bounds that callers rely on.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(config), "dev")
	f.Add([]byte(several), "a")
	for _, odd := range oddFiles {
		f.Add([]byte(odd.text), "dev")
	}
	for _, text := range found() {
		f.Add([]byte(text), "dev")
	}
	f.Add([]byte(with(inIDP, "client_secret = \"\"\"hunter2")), "dev")
	f.Add([]byte(with(inProfile, "daypass_policy = {\n \"a\": [\n ]\n }\ndaypass_policy_arns = arn:aws:iam::aws:policy/A")), "dev")
	f.Add([]byte("[profile \"a\\\"b\"]\n= x\n-\n-=\n[]"), `a"b`)
	f.Add([]byte(sourced("azure-imds\naudience = api://a\nazure_identity = client_id:x")), "dev")
	f.Add([]byte(sourced("file:/x")), "dev")
	src := source(f, "", nil, nil)
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		must(t, os.WriteFile(src.ConfigFile(), text, 0o600))
		p, err := Load(src, name)
		if err != nil {
			wantError(t, err)
		} else if p.Name != name || len(p.AccountID) != 12 || address.PartitionOf(p.STSRegion()) != p.Partition || p.IDP.Source == "" && (p.IDP.Issuer == "" || p.IDP.ClientID == "") || p.IDP.Source != "" && p.IDP.ClientID != "" {
			t.Errorf("Load = %+v", p)
		}
		file, err := Open(src)
		if err != nil {
			wantError(t, err)
			return
		}
		if _, err := file.Shadows(name); err != nil {
			wantError(t, err)
		}
	})
}
