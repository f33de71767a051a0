package command

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// counted is a keyring that counts how often it is read.
type counted struct {
	absent
	items map[string][]byte
	reads int
}

func (c *counted) Get(_ context.Context, item string) ([]byte, error) {
	c.reads++
	if value, there := c.items[item]; there {
		return value, nil
	}
	return nil, cache.ErrMiss
}
func (c *counted) Set(_ context.Context, item, _ string, value []byte) error {
	c.items[item] = value
	return nil
}

// What status reads grows with the number of profiles, and not with its square.
func TestStatusGrowsInStep(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	keyring := &counted{items: map[string][]byte{}}
	l.keyrings = []cache.Keyring{keyring}
	config := strings.Replace(l.config(), "storage = file", "storage = keyring", 1)
	l.write(".aws/config", config)
	l.login()
	reads := func(profiles int) int {
		text := config
		for i := range profiles {
			text += fmt.Sprintf("\n[profile p%d]\ndaypass_idp = corp\ndaypass_role_arn = arn:aws:iam::111122223333:role/r%[1]d\n", i)
		}
		l.write(".aws/config", text)
		keyring.reads = 0
		if out := l.mustRun("status"); strings.Count(out, "\n  login ") != profiles+1 {
			t.Fatalf("%d profiles:\n%s", profiles, out)
		}
		return keyring.reads
	}
	few, many := reads(10), reads(40)
	if few == 0 || many > 4*few {
		t.Errorf("%d reads of the keyring for 11 profiles, %d for 41", few, many)
	}
}

// Of a login whose ID token was not verified neither the person nor the end is known.
func TestStatusOfAnUnverifiedLogin(t *testing.T) {
	l := newLaptop(t, sandbox.Options{})
	l.box.Set(func(o *sandbox.Options) { o.Now = func() time.Time { return l.clock.Now().Add(2 * time.Hour) } })
	l.box.AutoApprove("taro")
	if code, _, stderr := l.run("login", "--profile", "dev"); code != failure.ExitRefused {
		t.Fatalf("a clock that is two hours behind: exit %d\n%s", code, stderr)
	}
	if _, out, _ := l.run("status"); !strings.Contains(out, "\n  login         not verified yet\n") {
		t.Error(out)
	}
}

// cron and systemd can start programs without HOME.
func TestHomeFromTheUserDatabase(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("USERPROFILE", "")
	me, err := user.Current()
	must(t, err)
	if home := OS().Home; home == "" || home != me.HomeDir {
		t.Errorf("the home folder is %q, want %q", home, me.HomeDir)
	}
}
