package process

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/secret"
)

// All that a cached answer takes behind the command line, with a key that is read
// from a file.
func BenchmarkCachedCredentials(b *testing.B) {
	dir := b.TempDir()
	here := profile.Profile{IDP: profile.IDP{Name: "corp"}, AccountID: "111122223333"}
	kept, err := cache.Open(cache.Options{StateDir: dir}).Login(LoginKey(here.IDP), "file")
	if err != nil {
		b.Fatal(err)
	}
	if err := kept.Choose(b.Context(), "corp", false); err != nil {
		b.Fatal(err)
	}
	key, err := kept.NewKey(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	p := &Pipeline{Profile: here, Kept: kept, Locks: cache.Locks{Dir: dir}, Now: time.Now}
	now := time.Now().UTC()
	if err := p.seal(key, roleName(here), &role{
		Version: formVersion, Issued: now, Expires: now.Add(time.Hour),
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: secret.Keep(secret.New(strings.Repeat("k", 40))),
		SessionToken: secret.Keep(secret.New(strings.Repeat("t", 1000))), AssumedRole: "arn:aws:sts::111122223333:assumed-role/Developer/taro",
	}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := p.Credentials(b.Context(), ForSDK)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Version1(); err != nil {
			b.Fatal(err)
		}
	}
}
