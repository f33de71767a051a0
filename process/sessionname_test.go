package process

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/secret"
)

// unsigned is an ID token that nobody would accept: enough to read claims from.
func unsigned(claims map[string]any) idp.Token {
	all := map[string]any{"iss": "https://corp.example/", "aud": "c", "exp": 1795338000, "iat": 1795334400}
	maps.Copy(all, claims)
	body, _ := json.Marshal(all)
	encode := base64.RawURLEncoding.EncodeToString
	t, _ := idp.Parse(secret.New(encode([]byte(`{"alg":"RS256"}`)) + "." + encode(body) + "." + encode([]byte("signature"))))
	return t
}

func TestSessionName(t *testing.T) {
	for _, c := range []struct {
		name, template string
		claims         map[string]any
		want, err      string
	}{
		{"e-mail", "", map[string]any{"sub": "1", "email": "taro@example.com"}, "taro@example.com", ""},
		{"verified e-mail", "", map[string]any{"sub": "1", "email": "taro@example.com", "email_verified": true}, "taro@example.com", ""},
		{"e-mail not verified", "", map[string]any{"sub": "s-1", "email": "taro@example.com", "email_verified": false, "preferred_username": "taro"}, "taro", ""},
		{"no e-mail", "", map[string]any{"sub": "s-1", "preferred_username": "taro"}, "taro", ""},
		{"neither", "", map[string]any{"sub": "auth0|64f0c2"}, "auth0-64f0c2", ""},
		{"template", "{preferred_username}.{org}", map[string]any{"sub": "1", "preferred_username": "taro", "org": 42}, "taro.42", ""},
		{"not ASCII", "{name}", map[string]any{"sub": "1", "name": "Taro Y\u016b"}, "Taro-Y-", ""},
		{"too long", "{sub}", map[string]any{"sub": strings.Repeat("x", 300)}, strings.Repeat("x", 64), ""},
		{"nothing of it", "{sub}", map[string]any{"sub": "\x00\xff"}, "--", ""},
		{"too short", "{sub}", map[string]any{"sub": "7"}, "7-", ""},
		// Nobody is to share a name with everybody who writes without Latin letters.
		{"name in another script", "{name}", map[string]any{"sub": "s-1", "name": "\u5c71\u7530\u592a\u90ce"}, "s-1", ""},
		{"user name in another script", "", map[string]any{"sub": "s-1", "preferred_username": "\u0442\u0430\u0440\u043e"}, "s-1", ""},
		{"e-mail in another script", "", map[string]any{"sub": "s-1", "email": "\u5c71\u7530@\u4f8b\u3048.jp"}, "s-1", ""},
		{"e-mail in another script, Latin domain", "", map[string]any{"sub": "s-1", "email": "\u5c71\u7530@example.jp"}, "s-1", ""},
		{"one letter", "{name}", map[string]any{"sub": "s-1", "name": "\u592aT"}, "s-1", ""},
		{"two letters", "{name}", map[string]any{"sub": "s-1", "name": "T\u592aY"}, "T-Y", ""},
		{"template without a claim", "ci", map[string]any{"sub": "s-1"}, "ci", ""},
		{"no such claim", "{team}", map[string]any{"sub": "1"}, "", `no claim "team"`},
		{"not text", "{groups}", map[string]any{"sub": "1", "groups": []string{"a"}}, "", `"groups" is not text`},
		{"not closed", "{sub", map[string]any{"sub": "1"}, "", "not closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := sessionName(c.template, unsigned(c.claims))
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}

func FuzzSessionName(f *testing.F) {
	for _, seed := range []string{"", "7", "\x00\xff", strings.Repeat("\u00e9", 100)} {
		f.Add("{name}", seed)
		f.Add("", seed)
	}
	valid := regexp.MustCompile(`^[0-9A-Za-z_+=,.@-]{2,64}$`)
	f.Fuzz(func(t *testing.T, template, claim string) {
		got, err := sessionName(template, unsigned(map[string]any{"sub": claim, "name": claim}))
		if err == nil && !valid.MatchString(got) {
			t.Errorf("%q of %q is %q", template, claim, got)
		}
	})
}
