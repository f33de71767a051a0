// Package command is the command line of daypass, with one file for each subcommand.
//
// Every command keeps these rules of output:
//   - stdout holds the named product of the command, built whole and written once;
//   - stderr stays empty on success, except for the warnings of trust-policy, and
//     holds at most three lines on failure;
//   - what a person must act on goes to the terminal device, because SDKs hide stderr
//     or mix it with other output.
package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/user"
	"strings"
	"syscall"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daypass/daypass/cache"
	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/prompt"
)

// Environment is what the commands touch outside. As a parameter, it lets tests run
// whole command lines.
type Environment struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string
	Home           string // the user's home folder
	Executable     string // this program, to be started again; "" if not known
	Invoked        string // this program as it was called: a path, or a name on PATH
	Now            func() time.Time
	Sleep          func(context.Context, time.Duration) error
	// CatchSignals makes signals end the command's context from now on, and not the
	// process; nil: they do that already. It can be called again.
	CatchSignals func()
	// Keyrings are where logins are kept; nil: this system's.
	Keyrings []cache.Keyring
	// Clouds leads to Entra ID and Key Vault; nil: this machine's network does.
	Clouds http.RoundTripper

	// Opened with the first session, for all sessions of the command.
	storages   *cache.Storages
	stateDir   string
	noStateDir error // why nothing can be kept

	unprinted error // why cobra could not print
}

// OS is the real environment.
func OS() Environment {
	home, err := os.UserHomeDir()
	if err != nil { // cron and systemd can start programs without HOME
		if me, err := user.Current(); err == nil {
			home = me.HomeDir
		}
	}
	self, _ := os.Executable()
	return Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Environ: os.Environ, Home: home, Executable: self, Invoked: os.Args[0], Now: time.Now, Sleep: sleep,
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Signal is the cause of a context that a signal has ended.
type Signal struct{ syscall.Signal }

func (s Signal) Error() string { return s.String() }

// Tree is every subcommand, for the man pages.
func Tree() *cobra.Command {
	e := OS()
	return newRoot(&e, subcommands()...)
}

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, e Environment) int {
	if e.CatchSignals == nil {
		e.CatchSignals = func() {}
	}
	root := newRoot(&e, asked(e.Args)...)
	root.SetArgs(e.Args)
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		if name := cmd.Name(); name != "process" && name != "exec" { // which have nothing to lose yet
			e.CatchSignals()
		}
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err = cmp.Or(err, e.unprinted); err == nil {
		return 0
	}
	if child, ok := errors.AsType[*childExit](err); ok {
		return child.code
	}
	failed := asFailure(cmd, err, e.Args)
	if by, ok := context.Cause(ctx).(Signal); ok && failed.Exit == failure.ExitInterrupt {
		failed.Exit = 128 + int(by.Signal) // as shells count
	}
	if forGoogle(e.Args) {
		return e.failForGoogle(failed)
	}
	return fail(e.Stderr, failed)
}

// fail prints why a command failed, and returns the exit code.
func fail(w io.Writer, failed *failure.Error) int {
	columns := 0 // on anything but a terminal, lines stay whole
	if f, ok := w.(*os.File); ok {
		columns, _, _ = term.GetSize(int(f.Fd()))
	}
	text, before := "", "daypass: "
	for _, line := range failed.Lines {
		text += fit(before+prompt.Clean(line), columns) + "\n"
		before = ""
	}
	_, _ = io.WriteString(w, text) // if it fails, there is nobody to tell
	return failed.Exit
}

// fit breaks a line that is longer than so many columns between words; 0: no limit. A
// command at its end stays whole, to be copied.
func fit(line string, columns int) string {
	if columns <= 0 || utf8.RuneCountInString(line) <= columns {
		return line
	}
	text := strings.TrimLeft(line, " ")
	first := line[:len(line)-len(text)]
	if at := max(strings.Index(text, "Run: "), strings.LastIndex(text, ": daypass ")); at >= 0 {
		text = text[:at] + strings.ReplaceAll(text[at:], " ", "\x00")
	}
	return strings.ReplaceAll(prompt.Wrap(first, text, "  ", columns), "\x00", " ")
}

// subcommand makes a subcommand when it is needed.
type subcommand struct {
	name string // the first word of its Use
	make func(*Environment) *cobra.Command
}

func subcommands() []subcommand {
	return []subcommand{
		{"process", newProcess}, {"login", newLogin}, {"logout", newLogout}, {"console", newConsole}, {"exec", newExec},
		{"token", newToken}, {"azure-token", newAzureToken}, {"status", newStatus}, {"doctor", newDoctor}, {"trust-policy", newTrustPolicy}, {"version", newVersion},
		{"gcp-config", newGCPConfig}, {"configure", newConfigure}, {"open-browser", newOpenBrowser}, {"browser-login", newBrowserLogin},
		{"settings", newSettings},
	}
}

// asked returns the one subcommand that the first argument names, else all of them.
// Making them all takes longer than a cached answer.
func asked(args []string) []subcommand {
	all := subcommands()
	for i, sub := range all {
		if len(args) > 0 && args[0] == sub.name {
			return all[i : i+1]
		}
	}
	return all
}

func newRoot(e *Environment, subs ...subcommand) *cobra.Command {
	root := &cobra.Command{
		Use:   "daypass",
		Short: "AWS credentials from your company login",
		Long: `daypass gives AWS credentials to everybody who can log in at the company's
identity provider. Name it as credential_process in ~/.aws/config; log in once,
and every aws command, SDK and Terraform run works.`,
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // ours fit into one line, see asFailure
		// A single subcommand answers sooner without it.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: len(subs) == 1},
	}
	version := root.Flags().BoolP("version", "v", false, "print the version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *version {
			return e.printVersion()
		}
		return cmd.Help()
	}
	for _, sub := range subs {
		root.AddCommand(sub.make(e))
	}
	root.SetOut(output{e})
	root.SetErr(e.Stderr)
	if len(subs) > 1 {
		finish(e, root)
	}
	return root
}

// output is stdout for cobra, which takes no error of help for one.
type output struct{ *Environment }

func (o output) Write(text []byte) (int, error) {
	o.unprinted = cmp.Or(o.unprinted, o.print(text))
	return len(text), nil
}

// print writes a command's product to stdout in one write.
func (e *Environment) print(product []byte) error {
	if _, err := e.Stdout.Write(product); err != nil {
		return failure.New(failure.ExitUnexpected, err, fmt.Sprintf("cannot write to standard output: %v.", err))
	}
	return nil
}

// printJSON prints a value as indented JSON in which no character can change what a
// terminal shows: what prompt.Clean would take out is escaped.
func (e *Environment) printJSON(value any) error {
	var b, safe bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	for _, r := range b.String() {
		if text := string(r); r == '\n' || prompt.Clean(text) == text {
			safe.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&safe, `\u%04x`, unit)
		}
	}
	return e.print(safe.Bytes())
}
