package process

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// SDKs often lose what daypass said; status still tells it, for each profile by
// itself, and Ctrl-C is none.
func TestLastFailureIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	last := func(change ...func(*Provider)) *LastFailure {
		return w.provider(change...).Status(t.Context()).LastFailure
	}
	if f := last(); f != nil {
		t.Errorf("before any: %+v", f)
	}
	over, end := context.WithCancel(t.Context())
	end()
	_, err := w.provider().Credentials(over, ForSDK)
	w.failsWith(err, failure.ExitInterrupt, "interrupted")
	if f := last(); f != nil {
		t.Errorf("after Ctrl-C: %+v", f)
	}
	w.person = Person{}
	_, err = w.run()
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login")
	want := &LastFailure{At: w.clock.Now(), Exit: failure.ExitLogin, Line: failure.From(err).Lines[0]}
	if d := cmp.Diff(want, last()); d != "" {
		t.Error(d)
	}
	if f := last(longRole); f != nil {
		t.Errorf("another profile: %+v", f)
	}
	w.clock.Advance(time.Minute)
	_, err = w.run(func(p *Provider) { p.Store = unreachable{w.store} })
	w.failsWith(err, failure.ExitKeyring, "")
	if f := last(); f == nil || f.Exit != failure.ExitKeyring || !f.At.Equal(w.clock.Now()) {
		t.Errorf("the later one: %+v", f)
	}
}

// A file of last failures that somebody has changed is none; it can hold nothing
// that daypass would not have said.
func TestLastFailureOutOfRubbish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	p := w.provider()
	for _, rubbish := range []string{"", "{", "null", `{"line":7}`, `{"exit":3}`, `{"line":"` + strings.Repeat("a", lastFailureMax) + `"}`} {
		if err := os.WriteFile(filepath.Join(w.dir, p.lastFailureFile()), []byte(rubbish), 0o600); err != nil {
			t.Fatal(err)
		}
		if f := p.lastFailure(); f != nil {
			t.Errorf("%.20q: %+v", rubbish, f)
		}
	}
	w.mustRun() // and it keeps nobody from credentials
}
