package command

import (
	"strings"
	"testing"

	"github.com/daypass/daypass/internal/sandbox"
)

func TestDoctorWithoutASessionBus(t *testing.T) {
	l := newHealthyLaptop(t, sandbox.Options{})
	l.keyrings = nil
	l.env["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + l.home() + "/no-such-bus"
	c := l.doctor("--storage", "keyring")
	f := c.find("keyring")
	if c.exit != 7 || f.State != stateBroken || !strings.Contains(f.Detail, "in the Secret Service, which this session cannot reach") || !strings.Contains(f.Advice, "[daypass-idp corp]") {
		t.Errorf("exit %d: %+v", c.exit, f)
	}
}
