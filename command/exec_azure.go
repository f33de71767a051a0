package command

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/idp"
	"github.com/daypass/daypass/process"
)

// azureShadows are variables that Azure's libraries and Terraform's providers would
// prefer to the file with the assertion, and those that this command sets.
//
// https://learn.microsoft.com/azure/developer/go/sdk/authentication/credential-chains#defaultazurecredential-overview
// https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs#argument-reference
func azureShadows() []string {
	return []string{
		"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
		"AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_TOKEN_CREDENTIALS",
		"ARM_CLIENT_ID", "ARM_CLIENT_ID_FILE_PATH", "ARM_TENANT_ID", "ARM_USE_OIDC", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_OIDC_TOKEN",
		"ARM_OIDC_REQUEST_TOKEN", "ARM_OIDC_REQUEST_URL", "ARM_CLIENT_SECRET", "ARM_CLIENT_SECRET_FILE_PATH", "ARM_CLIENT_CERTIFICATE",
		"ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_USE_MSI", "ARM_USE_CLI",
	}
}

// runWithAssertion runs the command beside a file with an assertion of the profile's
// application, which is renewed until the command ends.
func (x *execution) runWithAssertion(ctx context.Context, s *session, c process.Credentials, path string, args, environ []string) error {
	assertion, err := s.Assertion(ctx, c)
	if err != nil {
		return err
	}
	file, err := newAssertionFile(filepath.Join(s.Locks.Dir, "azure"))
	if err == nil {
		defer file.remove()
		err = file.write(assertion)
	}
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, "the token for Azure cannot be written to the state folder: "+err.Error()+".",
			"Check that the folder is yours, writable, and not full.")
	}
	set := []string{
		"AZURE_CLIENT_ID=" + s.Profile.Azure.ClientID, "AZURE_TENANT_ID=" + s.Profile.Azure.Tenant, "AZURE_FEDERATED_TOKEN_FILE=" + file.path(),
		"ARM_CLIENT_ID=" + s.Profile.Azure.ClientID, "ARM_TENANT_ID=" + s.Profile.Azure.Tenant, "ARM_USE_OIDC=true", "ARM_OIDC_TOKEN_FILE_PATH=" + file.path(),
	}
	for _, own := range x.env { // it wins
		name, _, _ := strings.Cut(own, "=")
		set = drop(set, name)
	}
	environ = put(environ, set...)
	// Signals are the command's from now on: they do not end the renewal.
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.renewAssertion(renewing, file, assertion)
	}()
	defer func() { stop(); <-ended }() // an exchange that has begun is finished
	return superviseChild(ctx, path, args, environ)
}

// renewAssertion replaces the assertion when four fifths of its life are over, until
// ctx ends. Nobody is asked for that: the terminal is the command's.
func (s *session) renewAssertion(ctx context.Context, file *assertionFile, a idp.Token) {
	s.Person = nil
	pause := a.Expires.Sub(s.env.Now()) * 4 / 5
	for s.env.Sleep(ctx, pause) == nil {
		c, err := s.Credentials(ctx, process.ForSession)
		if err == nil {
			a, err = s.Assertion(ctx, c)
		}
		if err == nil {
			err = file.write(a)
		}
		if pause = a.Expires.Sub(s.env.Now()) * 4 / 5; err != nil || pause <= 0 {
			pause = time.Minute
		}
	}
}

// assertionFile is a file that one command reads an assertion from. Its lock is held
// as long as the command runs: what is not locked was left behind.
type assertionFile struct {
	dir, name string
	lock      *cache.Lock
}

// newAssertionFile returns a file in a folder, which it makes if need be, and clears
// away those of processes that were killed.
func newAssertionFile(dir string) (*assertionFile, error) {
	locks := cache.Locks{Dir: dir}
	left, _ := filepath.Glob(filepath.Join(dir, "*.lock"))
	for _, path := range left {
		name := strings.TrimSuffix(filepath.Base(path), ".lock")
		if lock, err := locks.TryLock(name); err == nil {
			(&assertionFile{dir, name, lock}).remove()
		}
	}
	for {
		f := &assertionFile{dir: dir, name: rand.Text()}
		var err error
		// Another process may be clearing away, and look at this one in between.
		if f.lock, err = locks.TryLock(f.name); !errors.Is(err, cache.ErrBusy) {
			return f, err
		}
	}
}

func (f *assertionFile) path() string { return filepath.Join(f.dir, f.name) }

// write replaces the assertion, so that a reader has the old one or the new one.
func (f *assertionFile) write(a idp.Token) error {
	return cache.WriteFile(f.dir, f.name, []byte(a.Raw.Reveal()))
}

// remove removes the file and what a write that was killed has left of it.
func (f *assertionFile) remove() {
	left, _ := filepath.Glob(f.path() + "*")
	f.lock.Unlock() // Windows removes no file that is open
	for _, path := range left {
		_ = os.Remove(path)
	}
}
