package reference_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/daypass/daypass/reference"
	"github.com/daypass/daypass/secret"
)

func TestParse(t *testing.T) {
	const (
		sm = reference.SecretsManager
		ps = reference.ParameterStore
		kv = reference.KeyVault
	)
	arn := "arn:aws:secretsmanager:us-east-2:111122223333:secret:dev/db-AbCdEf"
	type of = reference.Secret
	for value, want := range map[string]reference.Reference{
		"awssecrets://dev/db":              {Secret: of{Scheme: sm, Name: "dev/db"}},
		"ref+awssecrets://dev/db#password": {Secret: of{Scheme: sm, Name: "dev/db"}, Part: "password"},
		"awssecrets://a_+=.@-b#/x/0":       {Secret: of{Scheme: sm, Name: "a_+=.@-b"}, Part: "/x/0"},
		"awssecrets://rds!db-12#password":  {Secret: of{Scheme: sm, Name: "rds!db-12"}, Part: "password"},
		"awssecrets://" + arn + "#k":       {Secret: of{Scheme: sm, Name: arn, Region: "us-east-2"}, Part: "k"},
		"awssecrets://x#a#b":               {Secret: of{Scheme: sm, Name: "x"}, Part: "a#b"},
		"awsssm:///a/b":                    {Secret: of{Scheme: ps, Name: "/a/b"}},
		"awsssm://a/b":                     {Secret: of{Scheme: ps, Name: "/a/b"}},
		"awsssm://a":                       {Secret: of{Scheme: ps, Name: "a"}},
		"awsssm:///a:3":                    {Secret: of{Scheme: ps, Name: "/a:3"}},
		"awsssm://arn:aws-cn:ssm:cn-north-1:111122223333:parameter/a/b": {Secret: of{Scheme: ps, Name: "arn:aws-cn:ssm:cn-north-1:111122223333:parameter/a/b", Region: "cn-north-1"}},
		"azurekeyvault://Corp-kv/db":                                    {Secret: of{Scheme: kv, Name: "corp-kv/db"}},
		"azurekeyvault://corp-kv/db/0123abcd":                           {Secret: of{Scheme: kv, Name: "corp-kv/db/0123abcd"}},
	} {
		if got, is, err := reference.Parse(value); err != nil || !is || got != want {
			t.Errorf("%s: %+v, %v, %v, want %+v", value, got, is, err, want)
		}
	}
	for _, value := range []string{
		"", "x", "https://example.com/?a#b", "op://vault/item", "awssecrets", "awssecrets:dev", "AWSSECRETS://x", " awssecrets://x", "ref+", "ref+x", "xawssecrets://x", "sm://p/s",
	} {
		if got, is, err := reference.Parse(value); is || err != nil || got != (reference.Reference{}) {
			t.Errorf("%q: %+v, %v, %v, want no reference", value, got, is, err)
		}
	}
	for value, part := range map[string]string{
		"ref+op://vault/item":                       "ref+ must be followed by",
		"ref+https://example.com":                   "ref+ must be followed by",
		"awssecrets://":                             "no secret",
		"awssecrets://#k":                           "no secret",
		"awssecrets://x#":                           "no key after #",
		"awssecrets://x?region=y":                   "may not have parameters",
		"awssecrets://x#k?y":                        "may not have parameters",
		"awssecrets://a b":                          "has letters, digits and",
		"awssecrets://a\nb":                         "has letters, digits and",
		"awssecrets://a:b":                          "has letters, digits and",
		"awssecrets://" + strings.Repeat("a", 2049): "has letters, digits and",
		"awssecrets://x#/a~2":                       "not a JSON pointer",
		"awssecrets://arn:aws:ssm:eu-west-1:111122223333:parameter/x":          "want an ARN of secretsmanager",
		"awssecrets://arn:aws:secretsmanager:evil.example:111122223333:x":      "want an ARN",
		"awssecrets://arn:aws:secretsmanager:eu-west-1:11112222333:secret:x":   "want an ARN",
		"awssecrets://arn:aws:secretsmanager:cn-north-1:111122223333:secret:x": "is not in partition",
		"azurekeyvault://kv":                   "want VAULT/NAME",
		"azurekeyvault://kv/a/b/c":             "want VAULT/NAME",
		"azurekeyvault:///a":                   "not a vault",
		"azurekeyvault://kv.vault.azure.net/a": "not a vault",
		"azurekeyvault://evil.example%2f/a":    "not a vault",
		"azurekeyvault://kv@evil/a":            "not a vault",
		"azurekeyvault://-kv/a":                "not a vault",
		"azurekeyvault://kv/a_b":               "not a secret",
		"azurekeyvault://kv/a/":                "not a version",
	} {
		if _, is, err := reference.Parse(value); !is || err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.60s: %v, %v, want %q", value, is, err, part)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"awssecrets://dev/db#password", "ref+awsssm://a/b", "azurekeyvault://corp-kv/db/0123", "awssecrets://arn:aws:secretsmanager:us-east-2:111122223333:secret:x#/a/b",
		"ref+op://x", "awssecrets://?", "azurekeyvault://a/b#~1", "awsssm://arn:aws:ssm:eu-west-1:111122223333:parameter/x", "awsssm:///x:1",
	} {
		f.Add(seed, `{"password":"s3cret","a":{"b":"\u0000","n":1e999}}`)
	}
	f.Fuzz(func(t *testing.T, value, document string) {
		r, is, err := reference.Parse(value)
		if !is || err != nil {
			return
		}
		// What becomes part of an address or a header is nothing but its name.
		if strings.ContainsFunc(r.Name+r.Region, func(c rune) bool { return c <= ' ' || c > '~' }) || r.Scheme == reference.KeyVault && strings.ContainsAny(r.Name, ".:@?#%") || r.Name == "" {
			t.Errorf("%q: %+v", value, r)
		}
		again, _, err := reference.Parse(r.String())
		if err != nil || again.Secret != r.Secret {
			t.Errorf("%q is %q again: %+v, %v", value, r.String(), again, err)
		}
		if got, err := r.Pick(secret.New(document)); strings.Contains(got.Reveal(), "\x00") || err != nil && !got.Empty() {
			t.Errorf("%q of %q: %v", value, document, err)
		}
	})
}

func TestPick(t *testing.T) {
	document := `{"a":"text","n":1.50,"t":true,"f":false,"e":"","o":{"x/y":{"~":["zero","one"]}},"nul":"\u0000","null":null,"":"empty"}`
	for part, want := range map[string]string{
		"": document, "a": "text", "n": "1.50", "t": "true", "f": "false", "e": "", "/a": "text", "/o/x~1y/~0/1": "one", "/": "empty",
	} {
		got, err := (reference.Reference{Part: part}).Pick(secret.New(document))
		if err != nil || got.Reveal() != want {
			t.Errorf("%q: %q, %v, want %q", part, got.Reveal(), err, want)
		}
	}
	for _, tt := range []struct{ document, part, want string }{
		{document, "x", `no key "x"`}, {document, "null", "is null"}, {document, "o", "is not text"}, {document, "nul", "NUL"}, {document, "/o/x~1y/~0", "is not text"},
		{document, "/o/x~1y/~0/2", "no key"}, {document, "/o/x~1y/~0/01", "no key"}, {document, "/o/x~1y/~0/-1", "no key"}, {document, "/a/b", "no key"},
		{"text", "a", "not JSON"}, {`{"a":"b"} x`, "a", "not JSON"}, {`{"a":"b"}{`, "a", "not JSON"}, {"", "a", "not JSON"}, {`["a"]`, "a", "no key"}, {"a\x00b", "", "NUL"},
	} {
		got, err := (reference.Reference{Part: tt.part}).Pick(secret.New(tt.document))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !got.Empty() {
			t.Errorf("%q of %q: %v, want %q", tt.part, tt.document, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "zero") {
			t.Errorf("a value is in %v", err)
		}
	}
}

func TestEnvFile(t *testing.T) {
	lines, err := reference.EnvFile(strings.NewReader("\ufeff# comment\r\n\r\nA=1\r\n  export B=two words # and this\nexport\tC=\"quoted\"\nD='it''s'\nE=\nF=\"\"\nG=$A`x`\\n\nH=awssecrets://dev/db#k\nexportX=1\n_i9=\"a=b\"\nJ=  padded  \nA=2"))
	want := []string{"A=1", "B=two words # and this", "C=quoted", "D=it''s", "E=", "F=", "G=$A`x`\\n", "H=awssecrets://dev/db#k", "exportX=1", "_i9=a=b", "J=padded", "A=2"}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("%v\n%q, want\n%q", err, lines, want)
	}
	for bad, want := range map[string]string{
		"A": "want NAME=VALUE", "=x": "want NAME=VALUE", "1A=x": "want NAME=VALUE", "A B=x": "want NAME=VALUE", "A-B=x": "want NAME=VALUE", "export": "want NAME=VALUE",
		"A=\"x": "not closed", "A='": "not closed", "A='x\"": "not closed", "A=\"x\" # y": "not closed", "A=\x00": "NUL",
	} {
		_, err := reference.EnvFile(strings.NewReader("# comment\n\nOK=1\n" + bad + "\nS=s3cret"))
		if err == nil || err.Error()[:7] != "line 4:" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want line 4: %s", bad, err, want)
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	f.Add("\ufeffA=1\nexport B='2'\r\n#\n")
	f.Add("A=\"x\"\n=")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := reference.EnvFile(strings.NewReader(text))
		if err != nil && (all != nil || !strings.HasPrefix(err.Error(), "line ") || len(err.Error()) > 100) {
			t.Errorf("%d variables, %v", len(all), err)
		}
		for _, v := range all {
			if name, value, _ := strings.Cut(v, "="); !reference.IsName(name) || strings.ContainsAny(value, "\x00\n") {
				t.Errorf("%q", v)
			}
		}
	})
}
