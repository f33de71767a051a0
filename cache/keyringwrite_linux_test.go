//go:build e2e

package cache

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// unlockedWallet is a walletService that is unlocked.
func unlockedWallet(t *testing.T, answer string) *walletService {
	t.Helper()
	startDesktop(t)
	wallet := startWallet(t, answer)
	wallet.mu.Lock()
	wallet.locked = false
	wallet.mu.Unlock()
	return wallet
}

// What is lost when a process is killed between the provider's answer and its
// store is kept down to the time of one call.
func TestAnswerIsStoredInOneCall(t *testing.T) {
	wallet := unlockedWallet(t, "")
	process, closed := machine(t)
	auto := process()
	for name, store := range map[string]Store{"keyring": desktopKeyring(t), "auto": auto} {
		if name == "auto" && closed {
			continue
		}
		if _, err := store.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		if err := store.Set(t.Context(), "k", []byte("refresh started"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		wallet.since()
		if err := store.Set(t.Context(), "k", []byte("answer"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"CreateItem"}, wallet.since()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", name, diff)
		}
		if got, err := store.Get(t.Context(), "k"); err != nil || string(got) != "answer" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A service may want to be prompted before it writes. It is, as long as that does
// not ask for the keyring's password.
func TestWritePrompt(t *testing.T) {
	tests := []struct {
		answer  string
		locked  bool
		want    error
		prompts int
	}{
		{answer: "yes", prompts: 1},
		{answer: "no", want: ErrDismissed, prompts: 1},
		{answer: "", want: ErrUnanswered, prompts: 1},
		{answer: "yes", locked: true, want: errCollectionLocked},
	}
	for _, tt := range tests {
		wallet := unlockedWallet(t, tt.answer)
		t.Setenv("DISPLAY", ":0")
		store := desktopKeyring(t)
		if _, err := store.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		for call, f := range map[string]func(context.Context) error{
			"set":    func(ctx context.Context) error { return store.Set(ctx, "k", []byte("v"), time.Time{}) },
			"remove": func(ctx context.Context) error { return store.items.remove(ctx, "k") },
		} {
			wallet.mu.Lock()
			wallet.asks, wallet.locked, wallet.prompts, wallet.dismissed = true, tt.locked, 0, false
			wallet.mu.Unlock()
			wait := 300 * time.Millisecond
			if tt.want == nil {
				wait = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			err := f(ctx)
			cancel()
			if call == "remove" && tt.locked {
				continue // it finds nothing to delete
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, answer %q: %v, want %v", call, tt.answer, err, tt.want)
			}
			if prompts, dismissed := wallet.seen(); prompts != tt.prompts || dismissed {
				t.Errorf("%s, answer %q: %d prompts, dismissed %v, want %d and none dismissed", call, tt.answer, prompts, dismissed, tt.prompts)
			}
		}
	}
}
