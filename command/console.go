package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daypass/daypass/console"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
	"github.com/daypass/daypass/prompt"
)

func newConsole(e *Environment) *cobra.Command {
	var name string
	var printURL, signOutFirst bool
	cmd := &cobra.Command{
		Use:   "console [DESTINATION] [-p PROFILE]",
		Short: "Open the AWS console",
		Long: `Opens the AWS console in the browser, signed in as the profile's role.
DESTINATION is a service, a path of the console, or a whole console address of
the same partition. With --print, and on a terminal without a browser, it prints
the URL that signs in: whoever opens that within 15 minutes is signed in.

The session ends with the credentials, or after --duration. Where AWS refuses a
duration, the terminal says so and the session ends with the credentials.

A browser holds one console session, unless AWS's multi-session support is
switched on in it. A profile or container for each account is another way: set
browser_command, in which {profile} stands for the profile's name.
--sign-out-first leads the browser through AWS's sign-out, which ends the
session it has, on to the new one. AWS does not document that. It is known to
work in partition aws, where it goes through us-east-1, and in browsers without
multi-session support; with it, it can end on an error page.

Services: ` + serviceLines(console.Services()),
		Example: "  daypass console --profile dev\n" +
			"  daypass console s3 --profile dev\n" +
			"  daypass console '/lambda/home#/functions' --duration 8h",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return console.Services(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			duration, err := consoleDuration(cmd)
			if err != nil {
				return err
			}
			src := e.source(cmd)
			// Here it is the console session's; the role's stays as it is configured,
			// or the credentials in the cache would not serve.
			delete(src.Flags, "duration")
			p, err := loadProfile(src, name)
			if err != nil {
				return err
			}
			place := console.Place{Partition: p.Partition, Region: p.Region, Account: p.AccountID, UseFIPS: p.UseFIPS}
			options := console.Options{Issuer: p.IDP.Issuer, Duration: duration, SignOutFirst: signOutFirst}
			what := ""
			if len(args) == 1 {
				what = args[0]
			}
			if options.Destination, err = place.Destination(what); err != nil {
				return err
			}
			client, err := e.consoleClient(p, place, signOutFirst)
			if err != nil {
				return err
			}
			s, err := e.session(p)
			if err != nil {
				return err
			}
			defer s.close()
			if here := s.audience(); !printURL && !here.Browser && !here.Terminal {
				// The URL is a secret: it goes into no log of a build that nobody asked.
				return &failure.Error{Exit: failure.ExitUsage,
					Lines: []string{"here is neither a browser nor a terminal.", "For the URL, which is a secret for 15 minutes, run: " + s.printCommand()}}
			}
			return s.console(cmd.Context(), client, options, printURL)
		},
	}
	cmd.Flags().StringVarP(&name, "profile", "p", "", "the profile (default: AWS_PROFILE, else default, else the only one)")
	cmd.Flags().BoolVar(&printURL, "print", false, "print the URL that signs in, and open nothing")
	cmd.Flags().BoolVar(&signOutFirst, "sign-out-first", false, "end the browser's console session first, see above")
	addSettings(cmd)
	duration := cmd.Flags().Lookup("duration")
	duration.Hidden, duration.Usage = false, "of the console session: 15m to 12h, or seconds (default: as long as the credentials)"
	return cmd
}

// serviceLines is the names in lines that fit a terminal, behind "Services: ".
func serviceLines(names []string) string {
	var text strings.Builder
	column := len("Services: ")
	for i, name := range names {
		if i > 0 {
			text.WriteString(",")
			column++
			if column+1+len(name) >= 79 {
				text.WriteString("\n")
				column = 0
			} else {
				text.WriteString(" ")
				column++
			}
		}
		text.WriteString(name)
		column += len(name)
	}
	return text.String() + "."
}

// consoleDuration reads --duration; zero: none was asked for. The bounds are
// those of AWS's SessionDuration.
func consoleDuration(cmd *cobra.Command) (time.Duration, error) {
	flag := cmd.Flags().Lookup("duration")
	if !flag.Changed {
		return 0, nil
	}
	text := flag.Value.String()
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 15*time.Minute || d > 12*time.Hour || d%time.Second != 0 {
		return 0, fmt.Errorf("--duration %q: want 15m to 12h, or whole seconds", flag.Value)
	}
	return d, nil
}

// consoleClient is the client of the sign-in endpoint that the profile names, or
// else of the partition's own.
func (e *Environment) consoleClient(p profile.Profile, place console.Place, signOutFirst bool) (*console.Client, error) {
	endpoint, err := strings.TrimSuffix(p.SigninEndpoint, "/"), error(nil)
	switch {
	case endpoint != "":
	case signOutFirst:
		endpoint, err = place.SignOutEndpoint()
	default:
		endpoint, err = place.Endpoint()
	}
	if err != nil {
		return nil, err
	}
	transport, err := console.NewTransport(p.AWSCABundle)
	if err != nil {
		return nil, &failure.Error{Exit: failure.ExitUsage, Err: err,
			Lines: []string{fmt.Sprintf("AWS_CA_BUNDLE: %v.", err), "Point it at a PEM file, or unset it."}}
	}
	return &console.Client{Endpoint: endpoint, Transport: transport, Sleep: e.Sleep}, nil
}

// console signs in and hands the URL to the browser, or prints it.
func (s *session) console(ctx context.Context, client *console.Client, o console.Options, printURL bool) error {
	credentials, err := s.Credentials(ctx, process.ForSession)
	if err != nil {
		return err
	}
	in, err := client.SignIn(ctx, console.Session{
		AccessKeyID: credentials.AccessKeyID, SecretAccessKey: credentials.SecretAccessKey, SessionToken: credentials.SessionToken,
	}, o)
	if err != nil {
		return s.explainSignIn(err)
	}
	now := s.env.Now()
	until := credentials.Expires
	if o.Duration > 0 && !in.DurationRefused {
		until = now.Add(o.Duration)
	}
	if in.DurationRefused {
		s.tell("daypass: AWS takes no --duration here: the console session ends with the credentials, at " + clock(until, now) + ".")
	}
	if printURL || !s.audience().Browser {
		return s.env.print([]byte(in.URL.Reveal() + "\n"))
	}
	err = console.HandOver(ctx, in.URL, func(address string) error {
		if err := prompt.OpenBrowser(s.env.Executable, s.Profile.IDP.BrowserCommand, address, s.Profile.Name, s.env.Getenv); err != nil {
			return &failure.Error{Exit: failure.ExitUsage, Err: err,
				Lines: []string{fmt.Sprintf("no browser can be opened: %v.", err), "For the URL instead, run: " + s.printCommand()}}
		}
		s.tell(fmt.Sprintf("daypass: opening the console of %s, %s, signed in until %s.", s.Profile.RoleName, s.Profile.AccountID, clock(until, now)))
		return nil
	}, s.env.Sleep)
	return s.explainHandOver(err)
}

// explainHandOver explains why no browser got the URL; nil stays nil.
func (s *session) explainHandOver(err error) error {
	var failed *failure.Error
	switch {
	case err == nil, errors.As(err, &failed):
		return err
	case errors.Is(err, context.Canceled):
		return interrupted(err)
	case errors.Is(err, console.ErrNotFetched):
		return &failure.Error{Exit: failure.ExitNetwork, Err: err,
			Lines: []string{"no browser came for the sign-in within 30 s.", "For the URL instead, run: " + s.printCommand()}}
	}
	return &failure.Error{Exit: failure.ExitUnexpected, Err: err,
		Lines: []string{fmt.Sprintf("the sign-in cannot be handed to a browser: %v.", err), "For the URL instead, run: " + s.printCommand()}}
}

// explainSignIn explains why AWS sign-in gave no token.
func (s *session) explainSignIn(err error) error {
	var (
		refused     *console.RefusedError
		unavailable *console.UnavailableError
		answer      *console.AnswerError
	)
	fail := func(exit int, lines ...string) error {
		return &failure.Error{Exit: exit, Err: err, Lines: lines}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return interrupted(err)
	case errors.As(err, &refused):
		text := fmt.Sprintf("status %d", refused.Status)
		if refused.Said != "" {
			text += ": " + refused.Said
		}
		return fail(failure.ExitAWS,
			"AWS sign-in refused the credentials of role "+s.Profile.RoleARN+" ("+text+").",
			"Asked was "+refused.Host+". Does AWS take them elsewhere? aws sts get-caller-identity"+s.profileFlag(),
			s.Profile.IDP.Support)
	case errors.As(err, &unavailable):
		return fail(failure.ExitNetwork,
			fmt.Sprintf("cannot reach AWS sign-in: %s does not answer (%d tries: %v).", unavailable.Host, unavailable.Tries, unavailable.Err),
			"Your login is kept. Try again later.")
	case errors.As(err, &answer):
		return fail(failure.ExitNetwork,
			fmt.Sprintf("%s does not answer as AWS sign-in does: %s.", answer.Host, answer.Problem),
			"Is there a proxy or a login page in between?")
	}
	return fail(failure.ExitUnexpected, "the sign-in to the console went wrong: "+err.Error()+".")
}

func interrupted(err error) error {
	return &failure.Error{Exit: failure.ExitInterrupt, Err: err, Lines: []string{"interrupted."}}
}

func (s *session) profileFlag() string {
	if s.Profile.Name == "" {
		return ""
	}
	return " --profile " + s.Profile.Name
}

func (s *session) printCommand() string { return "daypass console --print" + s.profileFlag() }
