package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
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

// assertion is a file that one command reads an assertion of the profile's application
// from, replaced until the command ends. Its lock is held as long: what is not locked
// was left behind.
type assertion struct {
	dir, name string
	lock      *cache.Lock
	stop      func() // ends the renewal
}

// newAssertion returns a file in the state folder, and clears away those of processes
// that were killed.
func (s *session) newAssertion() (*assertion, error) {
	if err := cmp.Or(s.CheckAssertion(), s.env.noStateDir); err != nil {
		return nil, err
	}
	locks := cache.Locks{Dir: filepath.Join(s.Locks.Dir, "azure")}
	left, _ := os.ReadDir(locks.Dir)
	for _, file := range left {
		name := assertionName(file)
		if lock, err := locks.TryLock(name); err == nil {
			(&assertion{dir: locks.Dir, name: name, lock: lock, stop: func() {}}).close()
		}
	}
	a := &assertion{dir: locks.Dir, name: rand.Text(), stop: func() {}}
	var err error
	a.lock, err = locks.Lock(context.Background(), a.name) // another process may be clearing away, and look at this one
	return a, notWritten(err)
}

// assertionName is the name of the assertion that a file is of: its own, its lock, or
// one that is being written.
func assertionName(file os.DirEntry) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(file.Name(), ".lock"), "~")
	return name
}

func (a *assertion) path() string { return filepath.Join(a.dir, a.name) }

// variables are those by which Azure's libraries and Terraform find the file.
func (a *assertion) variables(of profile.Azure) []string {
	return []string{
		"AZURE_CLIENT_ID=" + of.ClientID, "AZURE_TENANT_ID=" + of.Tenant, "AZURE_FEDERATED_TOKEN_FILE=" + a.path(),
		"ARM_CLIENT_ID=" + of.ClientID, "ARM_TENANT_ID=" + of.Tenant, "ARM_USE_OIDC=true", "ARM_OIDC_TOKEN_FILE_PATH=" + a.path(),
	}
}

func notWritten(err error) error {
	if err == nil {
		return nil
	}
	return failure.New(failure.ExitUnexpected, err, "the token for Azure cannot be written to the state folder: "+err.Error()+".",
		"Check that the folder is yours, writable, and not full.")
}

// close ends the renewal, and removes the file and what a write that was killed has
// left of it.
func (a *assertion) close() {
	a.stop()
	left, _ := os.ReadDir(a.dir)
	for _, file := range left {
		if path := filepath.Join(a.dir, file.Name()); assertionName(file) == a.name && os.Remove(path) != nil {
			defer os.Remove(path) // Windows removes no file that is open, as the lock's is
		}
	}
	a.lock.Unlock()
}

// keepAssertion writes the first assertion, and from then on renews it.
func (s *session) keepAssertion(ctx context.Context, a *assertion, c process.Credentials) error {
	due, err := s.putAssertion(ctx, a, c)
	if err != nil {
		return err
	}
	// Signals are the command's from now on: they do not end the renewal.
	renewing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var renewal sync.WaitGroup
	renewal.Go(func() { s.renewAssertion(renewing, a, due) })
	a.stop = func() { cancel(); renewal.Wait() } // an exchange that has begun is finished
	return nil
}

// putAssertion replaces the assertion, so that a reader has the old one or the new one,
// and returns when four fifths of its life are over.
func (s *session) putAssertion(ctx context.Context, a *assertion, c process.Credentials) (due time.Time, err error) {
	token, err := s.Assertion(ctx, c)
	if err == nil {
		err = notWritten(cache.WriteFile(a.dir, a.name, []byte(token.Raw.Reveal())))
	}
	return token.Expires.Add(-token.Expires.Sub(s.env.Now()) / 5), err
}

// renewAssertion replaces the assertion when it is due, until ctx ends. Nobody is asked
// or told anything: the terminal is the command's.
func (s *session) renewAssertion(ctx context.Context, a *assertion, due time.Time) {
	s.Person, s.Waiting, s.Tell = nil, nil, nil
	for {
		// A timer stops while a laptop sleeps, and the life of the assertion does not.
		const longest = 30 * time.Second
		pause := due.Sub(s.env.Now())
		if pause > longest || pause <= 0 { // 0: the last try failed
			pause = longest
		}
		if s.env.Sleep(ctx, pause) != nil {
			return
		}
		if s.env.Now().Before(due) {
			continue
		}
		if c, err := s.Credentials(ctx, process.ForSession); err == nil {
			if next, err := s.putAssertion(ctx, a, c); err == nil {
				due = next
			}
		}
	}
}
