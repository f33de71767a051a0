package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDemo makes the whole trip, with the real daypass.
func TestDemo(t *testing.T) {
	nothingIsLeft(t)
	var out, errs bytes.Buffer
	demo := trip{out: &out, errs: &errs, getenv: os.Getenv, environ: os.Environ(), yes: true}
	if err := demo.run(t.Context()); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	for _, want := range []string{
		"logged in to sandbox as demo@example.com",
		"requests: 1 AssumeRoleWithWebIdentity",
		`"SessionToken": "[900 characters, hidden]"`,
		"requests: 0",
		"get-caller-identity --profile demo",
		"ok    console             http://127.0.0.1:",
		"daypass console --print\n",
		"daypass configure",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
	for _, text := range []string{out.String(), errs.String()} {
		for _, prefix := range []string{"IQoJb3JpZ2luX2Vj", "eyJ", "rt-", "at-"} { // how the sandbox's secrets begin
			for word := range strings.FieldsSeq(text) {
				if strings.HasPrefix(strings.Trim(word, `",`), prefix) {
					t.Errorf("output has a secret that begins with %q", prefix)
				}
			}
		}
	}
}

func TestAnInterruptedTripCleansUp(t *testing.T) {
	nothingIsLeft(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := interrupter{at: "Log in", cancel: cancel}
	demo := trip{out: out, errs: io.Discard, getenv: os.Getenv, environ: os.Environ(), yes: true}
	if err := demo.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

// nothingIsLeft fails the test if its trip leaves something in the temporary folder.
func nothingIsLeft(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("TMP", temporary) // Windows
	t.Cleanup(func() {
		if left, _ := filepath.Glob(filepath.Join(temporary, "daypass-demo-*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// interrupter interrupts the trip when a text is printed.
type interrupter struct {
	at     string
	cancel context.CancelFunc
}

func (i interrupter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.at) {
		i.cancel()
	}
	return len(p), nil
}

func TestIsolated(t *testing.T) {
	dir := t.TempDir()
	got := isolated([]string{"PATH=/bin", "HOME=/home/taro", "AWS_PROFILE=prod", "aws_region=x", "localappdata=C:\\x", "DAYPASS_DEBUG=/x", "HTTPS_PROXY=http://proxy"}, dir)
	if diff := cmp.Diff([]string{"PATH=/bin", "HTTPS_PROXY=http://proxy"}, got[:2]); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, variable := range got[2:] {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(value, dir) && name != "DAYPASS_PROMPT" {
			t.Errorf("%s leads out of the temporary home", variable)
		}
	}
}

func TestWaitForEnter(t *testing.T) {
	in := strings.NewReader("\nls\n")
	if err := waitForEnter(t.Context(), in); err != nil || in.Len() != 3 {
		t.Errorf("error %v, %d bytes left, want the next line untouched", err, in.Len())
	}
	never, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := waitForEnter(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want %v", err, context.DeadlineExceeded)
	}
}
