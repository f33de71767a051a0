//go:build !linux

package cache

import "runtime"

// systemKeyrings are the login keychain of macOS, by the system's own security
// tool, or the person's Credential Manager, which is unlocked as long as the person
// is logged in, and never asks.
func systemKeyrings(getenv func(string) string) []Keyring {
	switch {
	case runtime.GOOS == "windows":
		return []Keyring{goKeyring{"credential-manager", "Windows Credential Manager", windowsItemLimit, readBound}}
	case runtime.GOOS == "darwin" && getenv("SSH_CONNECTION") != "":
		// No dialog is shown there: a locked keychain refuses.
		return []Keyring{goKeyring{"keychain", "macOS keychain", macItemLimit, readBound}}
	case runtime.GOOS == "darwin":
		return []Keyring{goKeyring{"keychain", "macOS keychain", macItemLimit, dialogBound}}
	}
	return nil
}
