package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
	"github.com/daypass/daypass/secret"
)

// helperTime is how long a helper may take until it has said what it has to say.
const helperTime = 20 * time.Second

// helperOrder is what a helper of the browser flow reads on its standard input. It
// may hold a secret: argument lists and environments are public, a pipe is not.
type helperOrder struct {
	Profile      profile.Profile
	ClientSecret secret.Kept
}

// newBrowserLogin is what daypass runs itself again as, to wait for the answer of a
// browser: whoever started daypass may kill it before the person is done.
func newBrowserLogin(e *Environment) *cobra.Command {
	return &cobra.Command{
		Use:    "browser-login",
		Short:  "Wait for the answer of a browser",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var order helperOrder
			out, ok := e.Stdout.(io.WriteCloser)
			if err := json.NewDecoder(e.Stdin).Decode(&order); err != nil || !ok {
				return errors.New("daypass runs this command itself")
			}
			order.Profile.IDP.ClientSecret = order.ClientSecret.String
			return e.withSession(order.Profile, func(s *session) error {
				s.Person, s.Tell = nil, nil
				return s.Listen(cmd.Context(), func(err error) error {
					var failed *failure.Error // null says that all is well
					if err != nil {
						failed = failure.From(err)
					}
					return errors.Join(json.NewEncoder(out).Encode(failed), out.Close())
				})
			})
		},
	}
}

// startHelper starts a helper in its own session, and waits until it is ready. It holds
// the ends of two pipes that are closed then, and none of our other descriptors: SDKs
// wait until the last holder of our stdout is gone.
func (s *session) startHelper() error {
	order, err := json.Marshal(helperOrder{s.Profile, secret.Keep(s.Profile.IDP.ClientSecret)})
	cmd := exec.Command(s.env.Executable, "browser-login")
	cmd.Stdin = bytes.NewReader(order)
	out, noPipe := cmd.StdoutPipe()
	var refused *failure.Error
	if err = cmp.Or(err, noPipe); err == nil {
		err = prompt.Start(cmd)
	}
	if err == nil {
		hanging := time.AfterFunc(helperTime, func() { _ = cmd.Process.Kill() })
		err = json.NewDecoder(io.LimitReader(out, 1<<20)).Decode(&refused)
		hanging.Stop()
		go func() { _ = cmd.Wait() }() // leaves no zombie while we go on
	}
	if refused != nil {
		return refused
	}
	if err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("the login in the browser cannot be started: %v.", err), "Repeat your command.")
	}
	return nil
}

// paste asks for the address where a browser on another machine ended up. It holds
// the code of the login.
func (s *session) paste(ctx context.Context) (secret.String, error) {
	return s.tty().AskSecret(ctx, "Address where the browser ended up")
}
