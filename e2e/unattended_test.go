//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"
	"time"
)

// Where nobody can answer, nobody is asked: daypass ends at once and says what to do.
func TestUnattendedEndsAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*computer)
		code    int
	}{
		{"nobody has logged in", func(*computer) {}, 3},
		{"login on a bus that is out of reach", func(c *computer) {
			c.openDesktop("approve")
			credentials(c.t, c.process("dev"))
			c.closeDesktop()
			delete(c.env, "DBUS_SESSION_BUS_ADDRESS")
		}, 7},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newComputer(t, options{})
			c.configure("dev")
			test.prepare(c)
			before := c.asked()
			start := time.Now()
			r := c.process("dev")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if r.code != test.code || r.stdout != "" {
				t.Errorf("exit code %d, want %d; %d bytes on standard output", r.code, test.code, len(r.stdout))
			}
			if lines := strings.Count(r.stderr, "\n"); lines < 1 || lines > 3 {
				t.Errorf("%d lines on standard error, want 1 to 3:\n%s", lines, r.stderr)
			}
			if n := c.asked() - before; n != 0 {
				t.Errorf("%d requests, want 0", n)
			}
		})
	}
}
