package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

func TestRecordsSurviveStorage(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.UTC)
	want := &login{
		Version: formVersion, ID: "id", Issuer: "https://corp.example/", IDToken: keep(secret.New("the-id-token")),
		RefreshToken: keep(secret.New("the-refresh-token")), LoggedIn: now, Obtained: now, Expires: now.Add(time.Hour),
		Claims: claims{Subject: "s", Audience: []string{"a", "b"}},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(data, "file", func(l *login) int { return l.Version })
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b kept) bool { return a.Equal(b.String) })
	if d := cmp.Diff(want, got, same, cmpopts.IgnoreUnexported(login{})); d != "" {
		t.Error(d)
	}
	if text := fmt.Sprintf("%v %+v %#v", want, want, want); strings.Contains(text, "the-id-token") || strings.Contains(text, "the-refresh-token") {
		t.Errorf("a record prints its tokens: %s", text)
	}
}

func TestRoleKeyHoldsWhatChangesTheAnswer(t *testing.T) {
	base := profile.Profile{
		IDP:     profile.IDP{Name: "corp", Issuer: "https://corp.example", ClientID: "c"},
		RoleARN: "arn:aws:iam::111122223333:role/dev", Duration: time.Hour,
	}
	seen := map[string]string{roleKey(base): "base"}
	for name, change := range map[string]func(*profile.Profile){
		"section":         func(p *profile.Profile) { p.IDP.Name = "other" },
		"issuer":          func(p *profile.Profile) { p.IDP.Issuer += "/" },
		"client":          func(p *profile.Profile) { p.IDP.ClientID = "d" },
		"scopes":          func(p *profile.Profile) { p.IDP.Scopes = "openid" },
		"audience":        func(p *profile.Profile) { p.IDP.Audience = "a" },
		"extra params":    func(p *profile.Profile) { p.IDP.ExtraParams = "a=b" },
		"device endpoint": func(p *profile.Profile) { p.IDP.DeviceAuthorizationEndpoint = "https://corp.example/d" },
		"role":            func(p *profile.Profile) { p.RoleARN += "2" },
		"duration":        func(p *profile.Profile) { p.Duration = 2 * time.Hour },
		"session name":    func(p *profile.Profile) { p.SessionName = "{sub}" },
		"policy":          func(p *profile.Profile) { p.Policy = "{}" },
		"policy ARN":      func(p *profile.Profile) { p.PolicyARNs = []string{"{}"} },
		"STS endpoint":    func(p *profile.Profile) { p.STSEndpoint = "https://sts.example" },
		"FIPS":            func(p *profile.Profile) { p.UseFIPS = true },
		"dual-stack":      func(p *profile.Profile) { p.UseDualStack = true },
	} {
		p := base
		change(&p)
		if other, taken := seen[roleKey(p)]; taken {
			t.Errorf("%s: the key is that of %s", name, other)
		}
		seen[roleKey(p)] = name
	}
	region := base
	region.Region = "us-east-1"
	if roleKey(region) != roleKey(base) {
		t.Error("the region changes the key, and the credentials do not depend on it")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"v":1}`, `{"v":2}`, `{"v":"1"}`, `[]`, `null`, `{"v":1,"issued":"yesterday"}`,
		`{"v":1,"id_token":{"a":1}}`, `{"v":1,"open":{"interval":-1}}`, `{"v":1,"expires":"9999-12-31T23:59:59Z"}`,
		strings.Repeat(`{"v":`, 5000)} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(err error) {
			var unreadable *cache.UnreadableError
			if err != nil && !errors.As(err, &unreadable) {
				t.Errorf("%T is not an UnreadableError: %v", err, err)
			}
		}
		l, err := decode(data, "file", func(l *login) int { return l.Version })
		check(err)
		if err == nil {
			_ = l.serves(now, secret.String{})
		}
		_, err = decode(data, "file", func(a *attempt) int { return a.Version })
		check(err)
	})
}

// What a record says of an earlier failure is bounded, and is always a failure.
func TestOutcomeOfRubbish(t *testing.T) {
	line := []string{"it failed."}
	for _, o := range []outcome{{Exit: 0, Lines: line}, {Exit: -1, Lines: line}, {Exit: failure.ExitInterrupt + 1, Lines: line}, {Exit: failure.ExitLogin}} {
		if f := o.failure(); f.Exit != failure.ExitUnexpected || !strings.Contains(f.Error(), "its reason is not known") {
			t.Errorf("%+v: exit %d: %v", o, f.Exit, f)
		}
	}
	long := strings.Repeat("a", 1<<16)
	f := (&outcome{Exit: failure.ExitLogin, Lines: []string{long, long, long, long}}).failure()
	if f.Exit != failure.ExitLogin || len(f.Lines) != 3 || len(f.Error()) > 3*2001 {
		t.Errorf("exit %d, %d lines, %d bytes", f.Exit, len(f.Lines), len(f.Error()))
	}
}
