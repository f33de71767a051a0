package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newConsole(e *Environment) *cobra.Command {
	var name string
	var printURL bool
	cmd := &cobra.Command{
		Use:   "console [DESTINATION] [-p PROFILE]",
		Short: "Open the AWS console",
		Long: `Opens the AWS console in the browser, signed in as the profile's role.
DESTINATION is a service, a path of the console, the ARN of a resource, or a
whole console address of the same partition. With --print, and on a terminal
without a browser, it prints the URL that signs in: whoever opens that within 15
minutes is signed in.

The session ends with the credentials, or after --duration. If AWS refuses a
duration, the terminal says so and the session ends with the credentials.

A browser holds one console session, unless AWS's multi-session support is
switched on in it. A profile or container for each account is another way: set
browser_command, in which {profile} stands for the profile's name.

` + prompt.Wrap("", "Services: "+strings.Join(console.Services(), ", ")+".", "", 78),
		Example: "  daypass console --profile dev\n" +
			"  daypass console s3 --profile dev\n" +
			"  daypass console '/lambda/home#/functions' --duration 8h",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return console.Services(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && !slices.Contains(console.Services(), args[0]) && e.isProfile(args[0]) {
				return meantProfile(args[0])
			}
			src := e.source(cmd)
			p, err := loadProfile(src, name)
			if err != nil {
				return err
			}
			in := &console.SignIn{Issuer: p.IDP.Issuer}
			if src.Flags["duration"] != "" {
				// Here it is that of the console session. The role's stays as configured, so
				// that cached credentials serve.
				in.Duration = p.Duration
				delete(src.Flags, "duration")
				if p, err = loadProfile(src, name); err != nil {
					return err
				}
			}
			if in.Destination, err = consolePlace(p).Destination(strings.Join(args, "")); err != nil {
				return err
			}
			if in.Endpoint, err = consolePlace(p).Endpoint(); err != nil {
				return err
			}
			return e.withSession(p, func(s *session) (err error) {
				if in.Client, err = s.AWS(); err != nil {
					return err
				}
				return s.Fill(s.console(cmd.Context(), in, printURL))
			})
		},
	}
	profileFlag(cmd, &name)
	cmd.Flags().BoolVar(&printURL, "print", false, "print the URL that signs in, and open nothing")
	addSettings(cmd, "region")
	duration := cmd.Flags().Lookup("duration")
	duration.Hidden, duration.Usage = false, "of the console session: 15m to 12h, or seconds (default: as long as the credentials)"
	return cmd
}

func (s *session) console(ctx context.Context, in *console.SignIn, printURL bool) error {
	here := s.audience()
	if !printURL && !here.Browser && !here.Terminal {
		// The URL is a secret: it must not get into the log of an unattended build.
		return failure.New(failure.ExitUsage, nil, "the console cannot be opened here: "+here.Why+".",
			"For the URL, which is a secret for 15 minutes, repeat your command with --print.")
	}
	credentials, err := s.Credentials(ctx, process.ForSession)
	if err != nil {
		return err
	}
	asked := in.Duration
	if s.Profile.Source != nil {
		in.Duration = 0 // AWS takes none for a chained role
	}
	url, durationRefused, err := in.URL(ctx, credentials.AccessKeyID, credentials.SecretAccessKey, credentials.SessionToken)
	if err != nil {
		return err
	}
	now, until := s.env.Now(), credentials.Expires
	switch {
	case durationRefused, asked != in.Duration:
		s.tell("daypass: AWS does not accept --duration for these credentials: the console session ends with them, at " + failure.Clock(until, now) + ".")
	case in.Duration > 0:
		until = now.Add(in.Duration)
	}
	if printURL || !here.Browser {
		return s.env.print([]byte(url.Reveal() + "\n"))
	}
	return console.HandOver(ctx, url, func(ctx context.Context, address string) error {
		if err := s.env.openBrowser(ctx, s.Profile, address); err != nil {
			return err
		}
		s.tell(fmt.Sprintf("daypass: opening the console of %s, %s, signed in until %s.", s.Profile.RoleName, s.Profile.AccountID, failure.Clock(until, now)))
		return nil
	}, s.env.Sleep)
}

// consolePlace is where the console of a profile's role is.
func consolePlace(p profile.Profile) console.Place {
	at, _ := address.PartitionNamed(p.Partition)
	return console.Place{Partition: at, Region: p.Region, Account: p.AccountID, UseFIPS: p.UseFIPS, Signin: p.SigninEndpoint}
}
