package profile

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzLoad reads arbitrary files: no panic, every error one clean line of type
// *Error, and a profile that loads is within the bounds that callers rely on.
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
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error of type %T: %v", err, err)
			}
			if strings.ContainsFunc(e.Error()+e.Hint(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("error holds a control character: %q | %q", e.Error(), e.Hint())
			}
		} else if p.Name != name || len(p.AccountID) != 12 || partitionOf(p.Region) != p.Partition || p.IDP.Issuer == "" || p.IDP.ClientID == "" {
			t.Errorf("Load = %+v", p)
		}
		if _, err := List(src); err != nil && !errors.As(err, new(*Error)) {
			t.Errorf("List: error of type %T: %v", err, err)
		}
		if _, err := Shadows(src, name); err != nil && !errors.As(err, new(*Error)) {
			t.Errorf("Shadows: error of type %T: %v", err, err)
		}
	})
}
