//go:build !linux

package cache

func openAuto(o Options) (Store, error) { return openKeyring(o) }
