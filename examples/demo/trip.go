package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
	"github.com/daypass/daypass/prompt"
)

// trip is one run of the demo.
type trip struct {
	out, errs io.Writer
	getenv    func(string) string
	environ   []string  // of the user
	yes       bool      // approve without a person
	enter     io.Reader // waited for at the end; nil: do not wait
	daypass   string    // path of the program; "" builds one
}

func (t trip) run(ctx context.Context) (err error) {
	t.say("daypass demo: from a login to AWS credentials, all on this machine.")

	h, err := newHome(t.environ)
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := h.remove(); removeErr != nil {
			err = removeErr // what stays behind matters more than why the trip ended
		}
	}()

	if t.daypass != "" {
		h.daypass = t.daypass
	} else {
		t.step("Build daypass into a temporary folder")
		t.say("  go build -o %s github.com/daypass/daypass", h.daypass)
		if err := h.build(ctx); err != nil {
			return err
		}
	}

	t.step("Start the pretend parts")
	pretend, err := sandbox.Start(sandbox.Options{Rotate: true})
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	defer pretend.Close()
	t.say("  identity provider  %s", pretend.Issuer)
	t.say("  AWS STS            %s", pretend.STSEndpoint)

	t.step("Write a profile")
	text, err := h.writeProfile(pretend)
	if err != nil {
		return err
	}
	t.say("  %s:", h.config)
	t.quote(text)

	if err := t.login(ctx, h, pretend); err != nil {
		return err
	}

	t.step("Ask for credentials, as the AWS CLI and SDKs do")
	first, err := t.process(ctx, h, pretend)
	if err != nil {
		return err
	}
	masked, err := mask(first)
	if err != nil {
		return err
	}
	t.quote(masked)

	t.step("Ask again: now the answer comes from the cache")
	second, err := t.process(ctx, h, pretend)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) {
		return errors.New("the second answer differs from the first: it did not come from the cache")
	}
	t.say("  the same credentials")

	t.step("Check every link: daypass doctor --profile demo")
	if err := h.run(ctx, t.out, t.errs, "doctor", "--profile", "demo"); err != nil {
		return err
	}

	t.step("Try the rest in another window, while the demo runs: first these lines")
	t.quote(h.settings())
	t.say("  then, for example:")
	t.quote("aws sts get-caller-identity --profile demo --endpoint-url " + pretend.STSEndpoint)
	for _, command := range []string{"status", "console --print", "exec -- env", "logout"} {
		t.quote(h.daypass + " " + command)
	}
	t.say("\n  For your own provider: daypass configure. The manual begins in docs/README.md.")
	if t.enter == nil {
		t.say("  (With a terminal and without --yes, the demo waits here.)")
		t.say("\nRemoving the temporary folder.")
		return nil
	}
	t.say("  Enter ends the demo here and removes everything.")
	return waitForEnter(ctx, t.enter)
}

// login runs daypass login, and has its code approved in the user's browser or
// by the demo itself.
func (t trip) login(ctx context.Context, h *home, pretend *sandbox.Sandbox) error {
	t.step("Log in: daypass login --profile demo")
	browser := !t.yes && prompt.Look("auto", t.getenv).Browser
	switch {
	case browser:
		t.say("  Approve it in the tab that opens: compare the code, and type any name.")
	case t.yes:
		t.say("  The demo approves the code itself (--yes).")
	default:
		t.say("  There is no browser to open: the demo approves the code itself.")
	}
	t.say("")

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- t.approve(ctx, h, pretend, browser) }()
	before := len(pretend.Requests())
	err := h.run(ctx, t.out, t.errs, "login", "--profile", "demo")
	cancel()
	// What went wrong with the approval explains why the login failed.
	if approveErr := <-answered; approveErr != nil && !errors.Is(approveErr, context.Canceled) {
		return approveErr
	}
	if err != nil {
		return err
	}
	t.say("  requests: %s", tally(pretend.Requests()[before:]))
	return nil
}

// approve waits for a code. It opens the page that asks for its approval, or
// approves it when the person has had time to see the prompt.
func (t trip) approve(ctx context.Context, h *home, pretend *sandbox.Sandbox, browser bool) error {
	code, err := openCode(ctx, pretend)
	if err != nil {
		return err
	}
	if browser {
		// The demo opens the tab, not daypass: daypass runs in the temporary home,
		// where a browser would start with an empty profile.
		chosen := strings.Fields(strings.ReplaceAll(t.getenv("BROWSER"), "%s", "{url}"))
		tab := prompt.Browser{Command: chosen, Self: h.daypass, Getenv: t.getenv, Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
			case <-time.After(d):
			}
			return ctx.Err()
		}}
		return tab.Open(ctx, pretend.VerificationURI+"?user_code="+code)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(1500 * time.Millisecond):
		return pretend.Approve(code, "demo")
	}
}

// openCode waits until daypass has opened a device authorization.
func openCode(ctx context.Context, pretend *sandbox.Sandbox) (string, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if open := pretend.OpenCodes(); len(open) > 0 {
			return open[0], nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

// process runs what credential_process names, and says how long that took.
func (t trip) process(ctx context.Context, h *home, pretend *sandbox.Sandbox) ([]byte, error) {
	before := len(pretend.Requests())
	start := time.Now()
	var document bytes.Buffer
	if err := h.run(ctx, &document, t.errs, "process", "--profile", "demo"); err != nil {
		return nil, err
	}
	took := time.Since(start)
	t.say("  daypass process --profile demo    %d ms, requests: %s", took.Milliseconds(), tally(pretend.Requests()[before:]))
	return document.Bytes(), nil
}

func (t trip) step(title string) { t.say("\n* %s", title) }

func (t trip) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format+"\n", args...) // if nobody can read it, what is left to do is done all the same
}

// quote shows a text indented.
func (t trip) quote(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		t.say("%s", strings.TrimRight("    "+line, " \n"))
	}
}

// run runs daypass in the temporary home. Its stdin stays closed; it asks on the
// terminal device.
func (h *home) run(ctx context.Context, out, errs io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, h.daypass, args...)
	cmd.Env = h.environ
	cmd.Stdout, cmd.Stderr = out, errs
	// An exchange with the provider that has begun is finished first.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("daypass %s: %w", args[0], err)
	}
	return nil
}
