package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/handover"
	"github.com/daypass/daypass/secret"
)

// HandOver gives a secret URL to a browser without writing it into an argument
// list, which every user of the machine can read. It calls open with an address on
// loopback that leads to the URL once, for 30 seconds, and only for a program of our
// own user, see package handover, and returns when a browser has fetched it; that also
// ends open's context.
//
// Not a file that only we can read: browsers in a sandbox (snap, Flatpak) may not
// read it, and nobody sees when it may go.
//
// The error is a [*failure.Error].
func HandOver(ctx context.Context, to secret.String, open func(ctx context.Context, address string) error, sleep func(context.Context, time.Duration) error) error {
	const instead = "For the URL instead, repeat your command with --print."
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("the sign-in cannot be handed to a browser: %v.", err), instead)
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	fetched := make(chan error, 1)
	link := handover.New(listener.Addr().String(), to, func(err error) { fetched <- err; stop() })
	server := handover.Server(link)
	go func() { _ = server.Serve(listener) }()                           // until Close
	defer func() { _ = errors.Join(server.Close(), listener.Close()) }() // also if it has not begun

	if err := open(waiting, link.Address()); err != nil && link.Take() { // unless it was fetched all the same
		return failure.New(failure.ExitUsage, err, fmt.Sprintf("the browser did not start (%v).", err), instead)
	}
	_ = sleep(waiting, 30*time.Second) // until it is fetched, at the longest
	switch {
	case !link.Take(): // a browser has been answered, or is this moment
		err = <-fetched
	case ctx.Err() != nil:
		return failure.Interrupted(ctx.Err())
	default:
		return failure.New(failure.ExitNetwork, nil, "no browser opened the sign-in link within 30 s.", instead)
	}
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("%v, so nobody was signed in.", err), instead)
	}
	return nil
}
