//go:build e2e && linux && !amd64

package e2e

import "testing"

// The one test that is left out: wine_test.go has it.
func TestWindows(t *testing.T) {
	t.Skip("Wine runs the Windows program on x86-64 only")
}
