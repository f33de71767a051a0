//go:build e2e && linux

package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
)

// What a read takes in a process that has already started, and knows its way:
// go test -tags e2e -run - -bench . ./bench
func BenchmarkGet(b *testing.B) {
	folder := b.TempDir()
	bus, err := startKeyring(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer bus.stop()
	for _, storage := range []string{"file", "kernel", "keyring", "auto"} {
		b.Run(storage, func(b *testing.B) {
			store, err := cache.Open(cache.Options{Storage: storage, StateDir: b.TempDir(), Getenv: func(name string) string {
				return map[string]string{"DBUS_SESSION_BUS_ADDRESS": bus.address}[name]
			}})
			if err != nil {
				b.Fatal(err)
			}
			key, record := cache.Key("benchmark", folder, storage), bytes.Repeat([]byte("r"), 2000)
			if err := store.Set(b.Context(), key, record, time.Now().Add(time.Hour)); err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := store.Delete(b.Context(), key); err != nil {
					b.Error(err)
				}
			}()
			for b.Loop() {
				if _, err := store.Get(b.Context(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
