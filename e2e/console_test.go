//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// The browser gets a one-time address that leads there: nobody who lists the
// processes of the machine can sign in. The credentials went to AWS in the body of a
// POST alone.
func TestConsoleOpensWithoutTheURLInAnArgument(t *testing.T) {
	t.Parallel()
	c := newComputer(t, startProvider(t, providerOptions{}), sandbox.Options{})
	c.configure("dev")
	c.openDesktop("approve")
	credentials(t, c.process("dev"))

	page := filepath.Join(c.folder, "page")
	list := filepath.Join(c.folder, "addresses")
	browser := filepath.Join(c.folder, "chromium")
	// It prints the page that it ends on, and reaches nothing but loopback.
	quoted := "'" + strings.Join([]string{
		"--headless",
		"--user-data-dir=" + t.TempDir(),
		"--no-sandbox", // root, as in a container, has none
		"--disable-gpu",
		"--disable-quic",
		"--no-first-run",
		"--disable-background-networking",
		"--disable-component-update",
		"--disable-sync",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
		"--dump-dom",
	}, "' '") + "'"
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >> %s\n%s %s \"$1\" > %s.part 2> /dev/null\nmv %[4]s.part %[4]s\n", list, installed.chromium, quoted, page)
	must(t, os.WriteFile(browser, []byte(script), 0o700))
	c.env["BROWSER"] = browser

	stop := c.watchArguments()
	r := c.say("console", "s3", "--profile", "dev")
	if r.code != 0 || r.stdout != "" || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	await(t, "the browser to show a page", func() bool { return read(t, page) != "" })
	seen := stop()

	for _, part := range []string{">" + arn("dev") + "<", "https://eu-west-1.console.aws.amazon.com/s3/home?"} {
		if !strings.Contains(read(t, page), part) {
			t.Errorf("the page lacks %q:\n%s", part, read(t, page))
		}
	}
	if found := c.aws.SecretsInURLs(); len(found) > 0 {
		t.Errorf("%d requests have a secret in the URL, such as %s %s", len(found), found[0].Method, found[0].Path)
	}
	for _, endpoint := range []string{"federation", "login", "console"} {
		if n := c.aws.Count(endpoint); n != 1 {
			t.Errorf("%d requests of kind %s, want 1", n, endpoint)
		}
	}
	address := strings.TrimSpace(read(t, list))
	if !strings.HasPrefix(address, "http://127.0.0.1:") || strings.Contains(address, c.aws.URL) || strings.ContainsAny(address, " ?") {
		t.Errorf("the browser was started with %q, want one address on loopback", address)
	}
	if !strings.Contains(seen, address) || !strings.Contains(seen, "console s3") {
		t.Error("the browser's arguments were not watched")
	}
	for _, secret := range append(c.provider.issued(), c.aws.Issued()...) {
		if strings.Contains(seen, secret) {
			t.Errorf("a secret of %d bytes is in an argument", len(secret))
		}
	}
	if strings.Contains(seen, "SigninToken") || strings.Contains(seen, c.aws.SigninEndpoint) {
		t.Error("the sign-in URL is in an argument")
	}
}

// watchArguments looks at the argument lists of the computer's processes all the
// time, until stop is called, which returns those that it saw.
func (c *computer) watchArguments() (stop func() string) {
	ending, seen := make(chan struct{}), make(chan string)
	go func() {
		var text strings.Builder
		for {
			for _, line := range processes(marker + "=" + c.folder) {
				text.WriteString(line + "\n")
			}
			select {
			case <-ending:
				seen <- text.String()
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() string {
		close(ending)
		return <-seen
	}
}
