package prompt

import (
	"os"
	"os/exec"
	"testing"
)

// TestMain lets the test binary stand for daypass in processes of its own: the
// environment says which role it plays.
func TestMain(m *testing.M) {
	switch os.Getenv("PROMPT_TEST_ROLE") {
	case "browser":
		recordAndStay()
	case "terminal":
		showOnTerminal()
	case "opener": // daypass open-browser
		if err := RunOpener(os.Args[2]); err != nil {
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// playing returns a command that runs this binary in a role.
func playing(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector waits a second at the end of each process.
	cmd.Env = append(os.Environ(), "PROMPT_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}
