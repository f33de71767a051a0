// Package e2e walks the whole trip of a user with real parts: a certified
// OpenID provider (oidc-provider), GNOME Keyring and KeePassXC as the Secret
// Service, the AWS CLI, the AWS SDKs for Go and JavaScript, Google's auth libraries
// for both, headless Chromium as the person's browser, a pseudo-terminal as the
// person's terminal, and Wine as a Windows computer. Only the clouds are played, by
// internal/sandbox; and the provider too, where it has to fail on demand.
//
// The tests need Linux and the build tag e2e; e2e/install.sh brings the parts:
//
//	sh e2e/install.sh && go test -tags e2e ./e2e
//
// Each test has a computer of its own, see newComputer: nothing of the real
// home folder, session bus or keyring is read or written.
package e2e
