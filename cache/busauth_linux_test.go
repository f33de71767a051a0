package cache

import "testing"

func TestSocketPath(t *testing.T) {
	for address, want := range map[string]string{
		"unix:path=/run/user/1000/bus":          "/run/user/1000/bus",
		"unix:path=/tmp/dbus-x,guid=0123456789": "/tmp/dbus-x",
		"unix:abstract=/tmp/dbus-x":             "",
		"unix:path=/a%20b":                      "",
		"unix:path=/a;unix:path=/b":             "",
		"tcp:host=localhost,port=1":             "",
		"unix:dir=/tmp":                         "",
	} {
		if path, ok := socketPath(address); ok != (want != "") || ok && path != want {
			t.Errorf("%s: %q, %v, want %q", address, path, ok, want)
		}
	}
}
