package command

import (
	"context"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
)

// The links at AWS.

func (x *examination) checkSTS(ctx context.Context) finding {
	address := x.session.Profile.STSURL()
	if err := x.session.Reach(ctx, address); err != nil {
		return brokenBy(err)
	}
	return ok(address + " answers")
}

// checkRole assumes the role for real.
func (x *examination) checkRole(ctx context.Context) finding {
	session, err := x.session.TryRole(ctx)
	if err != nil {
		return brokenBy(err)
	}
	return ok("assumed as " + session)
}

func (x *examination) checkConsole(ctx context.Context) finding {
	p := x.session.Profile
	address := p.SigninEndpoint
	if address == "" {
		place := console.Place{Partition: p.Partition, Region: p.Region, Account: p.AccountID, UseFIPS: p.UseFIPS}
		endpoint, err := place.Endpoint()
		if err != nil {
			return broken(failure.ExitUsage, err.Error()+".", "Credentials work all the same; daypass console does not.")
		}
		address = endpoint
	}
	if err := x.session.Reach(ctx, address); err != nil {
		return brokenBy(err)
	}
	return ok(address + " answers")
}
