package process

import (
	"context"
	"errors"
	"testing"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// Credentials that still serve hide a refusal from SDKs, and not from a diagnosis, which
// renews a token that AWS does not take where they would, and asks nobody.
func TestTryRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	_, err := w.pipeline().TryRole(w.ctx())
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login.")
	if len(w.shown) != 0 || w.box.Count("device") != 0 {
		t.Errorf("%d codes shown, %d authorizations", len(w.shown), w.box.Count("device"))
	}
	w.mustRun()
	for i, code := range []string{"ExpiredTokenException", "InvalidIdentityToken"} {
		w.clock.Advance(renewalPause)
		w.box.FailSTS(sandbox.STSError{Code: code})
		session, err := w.pipeline().TryRole(w.ctx())
		if err != nil || session != "arn:aws:sts::111122223333:assumed-role/Developer/taro@example.com" {
			t.Errorf("%s: %q, %v", code, session, err)
		}
		w.counts(map[string]int{"sts": 3 + 2*i, "token:refresh": 1 + i})
	}
	w.box.FailSTS(sandbox.STSError{Code: "AccessDenied"})
	_, err = w.pipeline().TryRole(w.ctx())
	w.failsWith(err, failure.ExitAWS, "AWS refused role")
	w.mustRun() // from the cache
	w.counts(map[string]int{"sts": 6})
}

// odd is a keyring that gives something else back, or deletes nothing.
type odd struct {
	cache.Keyring
	forgets, keeps bool
}

func (o odd) Get(ctx context.Context, item string) ([]byte, error) {
	if value, err := o.Keyring.Get(ctx, item); err != nil || !o.forgets {
		return value, err
	}
	return []byte("else"), nil
}

func (o odd) Remove(ctx context.Context, item string) error {
	if o.keeps {
		return &cache.UnreachableError{Where: o.Name(), Err: errors.New("no answer within 2s")}
	}
	return o.Keyring.Remove(ctx, item)
}

// A storage is tried with what a login needs, and nothing of that is left behind;
// whatever is wrong with it is said.
func TestCheckStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	check := func() (string, error) {
		return w.pipeline(func(p *Pipeline) { p.Profile.IDP.Storage = w.storage }).CheckStorage(w.ctx())
	}
	ring := w.ring
	for _, c := range []struct {
		ring  cache.Keyring
		first string
	}{
		{ring, ""},
		{odd{Keyring: ring, forgets: true}, "what was read is not what was written"},
		{odd{Keyring: ring, keeps: true}, "which this session cannot reach (no answer within 2s)."},
		{ring, ""}, // what could not be deleted is in nobody's way, and goes
		{away{ring}, "which this session cannot reach (no bus)."},
	} {
		w.ring = c.ring
		_, err := check()
		if c.first == "" {
			if items, _ := ring.List(t.Context()); err != nil || len(items) != 0 {
				t.Errorf("left behind: %v, %v", items, err)
			}
			continue
		}
		w.failsWith(err, failure.ExitKeyring, c.first)
	}
	w.ring = ring
	w.mustRun()
	w.ring = away{ring}
	w.storage = "file" // the storage of the settings works, and the login is elsewhere
	if where, err := check(); err != nil || where != "file" {
		t.Errorf("%q, %v", where, err)
	}
	w.storage = "auto"
	_, err := check()
	w.failsWith(err, failure.ExitKeyring, "the login of corp is in the memory")
}
