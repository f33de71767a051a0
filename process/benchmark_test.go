package process

import (
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/secret"
)

func benchmarkRole(now time.Time) *role {
	return &role{
		LoginID: "a login", Issued: now, Expires: now.Add(time.Hour),
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: secret.New(strings.Repeat("k", 40)),
		SessionToken: secret.New(strings.Repeat("t", 1000)), AssumedRole: "arn:aws:sts::111122223333:assumed-role/Developer/taro",
	}
}

func BenchmarkDecodeRole(b *testing.B) {
	data, err := benchmarkRole(time.Now().UTC()).text()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := decodeRole(data, "file"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVersion1(b *testing.B) {
	c := benchmarkRole(time.Now().UTC()).credentials("111122223333")
	for b.Loop() {
		c.Version1()
	}
}

// All that a cached answer takes behind the command line, from a file.
func BenchmarkCachedCredentials(b *testing.B) {
	dir := b.TempDir()
	store, err := cache.Open(cache.Options{Storage: "file", StateDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	p := &Provider{Store: store, Locks: cache.Locks{Dir: dir}, Now: time.Now}
	if err := p.put(b.Context(), roleKey(p.Profile), benchmarkRole(time.Now().UTC())); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Credentials(b.Context(), ForSDK); err != nil {
			b.Fatal(err)
		}
	}
}
