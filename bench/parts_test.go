//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"testing"

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
			storages := cache.Open(cache.Options{StateDir: b.TempDir(), Getenv: func(name string) string {
				return map[string]string{"DBUS_SESSION_BUS_ADDRESS": bus.address}[name]
			}})
			login, err := storages.Login(cache.Name("benchmark", storage), storage)
			if err == nil {
				err = login.Choose(b.Context(), "benchmark", false)
			}
			if err == nil {
				_, err = login.NewKey(b.Context())
			}
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				places, err := login.Items()
				for _, items := range places {
					err = errors.Join(err, items.Delete(context.Background()))
				}
				if err != nil {
					b.Error(err)
				}
			}()
			for b.Loop() {
				if _, err := login.Key(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
