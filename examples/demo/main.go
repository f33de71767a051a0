// Command demo shows the whole trip of daypass on this machine: a login, AWS
// credentials, and the same again from the cache. It runs the real daypass
// against a pretend identity provider and a pretend AWS STS on loopback, in a
// temporary home that it removes at the end. No account is needed.
//
//	go run ./examples/demo          approve the login in your browser
//	go run ./examples/demo --yes    the demo approves it, and does not wait
//	go run ./examples/demo --daypass /usr/bin/daypass    runs an installed daypass
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() { os.Exit(run()) }

func run() int {
	yes := flag.Bool("yes", false, "approve the login without a browser, and do not wait at the end")
	daypass := flag.String("daypass", "", "run this daypass `program` instead of building one")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q\n", flag.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	t := trip{out: os.Stdout, errs: os.Stderr, getenv: os.Getenv, environ: os.Environ(), yes: *yes, daypass: *daypass}
	if !*yes && term.IsTerminal(int(os.Stdin.Fd())) {
		t.enter = os.Stdin
	}
	err := t.run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; everything was removed.")
		return 130
	case err != nil:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// waitForEnter returns when a line was typed or ctx ends.
func waitForEnter(ctx context.Context, in io.Reader) error {
	typed := make(chan error, 1)
	go func() {
		// Byte by byte: what follows the line belongs to the shell.
		var one [1]byte
		for {
			if _, err := in.Read(one[:]); err != nil || one[0] == '\n' {
				typed <- err
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-typed:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}
