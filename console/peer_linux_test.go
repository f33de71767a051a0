package console_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/secret"
)

const thiefVariable = "DAYPASS_TEST_THIEF"

// TestThief is another user's program, in a process of its own: it has read an
// address in an argument list, and asks there.
func TestThief(t *testing.T) {
	address := os.Getenv(thiefVariable)
	if address == "" {
		return // nobody steals
	}
	response := fetch(t, address, asItIs)
	fmt.Printf("%d %v", response.StatusCode, response.Header)
}

// steal runs TestThief as user nobody.
func steal(t *testing.T, address string) (seen string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	// The test's own program is in a folder that others cannot enter.
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^TestThief$")
	cmd.ExtraFiles = []*os.File{program}
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), thiefVariable+"="+address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	return output.String()
}

// Another user who has read the address gets nothing, and neither does anybody
// else afterwards. Whoever does not know the path ends nobody's sign-in.
func TestHandOverToAnotherUser(t *testing.T) {
	err := console.HandOver(t.Context(), secret.New(signInURL), func(_ context.Context, address string) error {
		if seen := steal(t, address[:strings.LastIndexByte(address, '/')+1]); !strings.HasPrefix(seen, "404 ") {
			t.Errorf("without the path the thief saw %s", seen)
		}
		if seen := steal(t, address); !strings.HasPrefix(seen, "403 ") || strings.Contains(seen, "SigninToken") {
			t.Errorf("the thief saw %s", seen)
		}
		if response := fetch(t, address, asItIs); response.StatusCode != http.StatusGone {
			t.Errorf("after that the owner gets status %d", response.StatusCode)
		}
		return nil
	}, never)
	const want = "a program of another user (uid 65534) opened the sign-in link, so nobody was signed in.\nFor the URL instead, repeat your command with --print."
	if exit(err) != failure.ExitUnexpected || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
