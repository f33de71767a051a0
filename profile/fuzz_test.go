package profile

import (
	"os"
	"testing"

	"github.com/daypass/daypass/address"
)

// FuzzLoad reads arbitrary files: no panic, every error as wantError wants
// it, and a profile that loads is within the bounds that callers rely on.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(config), "dev")
	f.Add([]byte(several), "a")
	for _, odd := range oddFiles {
		f.Add([]byte(odd.text), "dev")
	}
	f.Add([]byte(with(inIDP, "client_secret = \"\"\"hunter2")), "dev")
	f.Add([]byte(with(inProfile, "daypass_policy = {\n \"a\": [\n ]\n }\ndaypass_policy_arns = arn:aws:iam::aws:policy/A")), "dev")
	f.Add([]byte("[profile \"a\\\"b\"]\n= x\n-\n-=\n[]"), `a"b`)
	src := source(f, "", nil, nil)
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if err := os.WriteFile(src.ConfigFile(), text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Load(src, name)
		if err != nil {
			wantError(t, err)
		} else if p.Name != name || len(p.AccountID) != 12 || address.PartitionOf(p.STSRegion()) != p.Partition || p.IDP.Issuer == "" || p.IDP.ClientID == "" {
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
