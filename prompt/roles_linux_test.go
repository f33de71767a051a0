package prompt

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestMain lets the test binary stand for daypass in processes of its own: the
// environment says which role it plays.
func TestMain(m *testing.M) {
	if role := roles()[os.Getenv("PROMPT_TEST_ROLE")]; role != nil {
		role()
		return
	}
	os.Exit(m.Run())
}

// playing returns a command that runs this binary in a role.
func playing(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector waits a second at the end of each process.
	cmd.Env = append(os.Environ(), "PROMPT_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func roles() map[string]func() {
	return map[string]func(){
		"daypass":  openFromArguments,
		"opener":   func() { _ = RunOpener(os.Args[2]) },
		"browser":  recordAndStay,
		"terminal": showOnTerminal,
	}
}

// openFromArguments is daypass that opens a browser, prints a line and ends.
func openFromArguments() {
	self, command, address := os.Args[1], os.Args[2], os.Args[3]
	if err := OpenBrowser(self, command, address, "dev", os.Getenv); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("opened")
}
