//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"sync"
	"testing"
	"time"
)

// version1 is the document that credential_process prescribes:
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type version1 struct {
	Version         int
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	AccountId       string
}

// credentials reads the document that a successful daypass process printed.
func credentials(t *testing.T, r result) version1 {
	t.Helper()
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("exit code %d, standard error:\n%s", r.code, r.stderr)
	}
	var document version1
	if err := json.Unmarshal([]byte(r.stdout), &document); err != nil {
		t.Fatalf("standard output is no JSON document: %v", err)
	}
	if document.Version != 1 || document.AccessKeyId == "" || document.SecretAccessKey == "" ||
		document.SessionToken == "" || document.AccountId != "111122223333" ||
		time.Until(document.Expiration) < 30*time.Minute {
		t.Fatalf("document with version %d, account %q, expiration %s, or without a key",
			document.Version, document.AccountId, document.Expiration)
	}
	return document
}

// Terraform and IDEs start many at once: the person sees one tab, and the
// provider and AWS one request each.
func TestTwentyFiveColdProcessesLogInOnce(t *testing.T) {
	c := newComputer(t, options{})
	c.configure("dev")
	tabs := c.openDesktop("approve")

	results := make([]result, 25)
	var herd sync.WaitGroup
	for i := range results {
		herd.Go(func() { results[i] = c.process("dev") })
	}
	herd.Wait()

	first := credentials(t, results[0])
	for _, r := range results[1:] {
		if document := credentials(t, r); document != first {
			t.Errorf("credentials %s and %s, want the same for all", document.AccessKeyId, first.AccessKeyId)
		}
	}
	if n := c.provider.count("/device/auth", ""); n != 1 {
		t.Errorf("%d device authorizations, want 1", n)
	}
	if opened := tabs(); len(opened) != 1 {
		t.Errorf("%d tabs, want 1: %q", len(opened), opened)
	}
	if n := c.aws.Count("sts"); n != 1 {
		t.Errorf("%d requests to STS, want 1", n)
	}
}
