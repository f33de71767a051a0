package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/internal/sandbox"
)

// A diagnosis asks nobody, even where somebody sits.
func TestDiagnosingAsksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	_, err := w.provider().Identity(w.ctx())
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login.")
	_, err = w.provider().TryRole(w.ctx())
	w.failsWith(err, failure.ExitLogin, "profile dev needs a login.")
	if len(w.shown) != 0 || w.box.Count("device") != 0 {
		t.Errorf("%d codes shown, %d authorizations", len(w.shown), w.box.Count("device"))
	}
}

// Credentials that still serve hide a refusal from SDKs, and not from a diagnosis.
func TestTryRoleTriesForReal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	session, err := w.provider().TryRole(w.ctx())
	if err != nil || session != "arn:aws:sts::111122223333:assumed-role/Developer/taro@example.com" {
		t.Errorf("%q, %v", session, err)
	}
	if err := w.box.Trust(w.box.RoleARN, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sts:*"}}`); err != nil {
		t.Fatal(err)
	}
	_, err = w.provider().TryRole(w.ctx())
	w.failsWith(err, failure.ExitAWS, "AWS refused role")
	if _, err := w.run(); err != nil {
		t.Errorf("the diagnosis took the stored credentials along: %v", err)
	}
}

func TestTryRoleRenewsATokenThatAWSCallsExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sandbox.Options{})
	w.mustRun()
	w.box.FailSTS(sandbox.STSError{Code: "ExpiredTokenException"})
	if _, err := w.provider().TryRole(w.ctx()); err != nil {
		t.Error(err)
	}
	w.counts(map[string]int{"sts": 3, "token:refresh": 1})
}

// forgetful is a storage that takes everything and gives something else back.
type forgetful struct{ cache.Store }

func (forgetful) Get(context.Context, string) ([]byte, error) { return []byte("else"), nil }

// keepsAll is a storage that deletes nothing.
type keepsAll struct{ cache.Store }

func (keepsAll) Delete(context.Context, string) error {
	return &cache.UnreachableError{Where: "Secret Service", Err: errors.New("no answer within 2s")}
}

func TestCheckStorage(t *testing.T) {
	t.Parallel()
	w := newFileWorld(t, sandbox.Options{})
	if err := w.provider().CheckStorage(w.ctx()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(w.dir, "records")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	err := w.provider(func(p *Provider) { p.Store = forgetful{p.Store} }).CheckStorage(w.ctx())
	w.failsWith(err, failure.ExitKeyring, "what was read is not what was written")
	err = w.provider(func(p *Provider) { p.Store = keepsAll{p.Store} }).CheckStorage(w.ctx())
	w.failsWith(err, failure.ExitKeyring, "Secret Service is out of reach")
	err = w.provider(func(p *Provider) { p.Store = lockedStore{p.Store} }).CheckStorage(w.ctx())
	w.failsWith(err, failure.ExitKeyring, "the keyring is locked")
}
