package prompt

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pkg/browser"

	"github.com/daypass/daypass/address"
	"github.com/daypass/daypass/failure"
)

// Browser is the program that opens addresses.
type Browser struct {
	// Command is a template for arguments, which no shell reads. {url},
	// {url_encoded} (for a query) and {profile} are replaced in each of them; if
	// none holds the address, it is put at the end. Without a Command the system's
	// own opener is run: on WSL that of Windows, else what [RunOpener] finds.
	Command []string
	Profile string // for {profile}, or ""
	// Self is this executable. It is run as "Self open-browser ADDRESS", which has to
	// call RunOpener.
	Self   string
	Getenv func(string) string
	// Sleep waits for d or until ctx ends.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Open starts the program, and watches it for two seconds. One that cannot be
// started, or ends with an error within that time, is an error that says so in a few
// words: nobody claims a tab that is not there.
//
// It gets the null device on all three descriptors, no other descriptor, and its
// own session: SDKs wait until the last holder of our stdout is gone, and Ctrl-C
// here must not end a browser.
func (b Browser) Open(ctx context.Context, target string) error {
	if err := address.Check(target, true); err != nil {
		return err
	}
	argv, name, err := b.find(target)
	if err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...) // nil descriptors are the null device
	if err := Start(cmd); err != nil {
		return notStarted(name, err)
	}
	starting, ended := context.WithCancelCause(ctx)
	go func() { ended(cmd.Wait()) }() // leaves no zombie while we go on
	_ = b.Sleep(starting, 2*time.Second)
	if failed := new(exec.ExitError); errors.As(context.Cause(starting), &failed) {
		return fmt.Errorf("%s: it ended at once (%w)", name, failed)
	}
	return nil
}

// Start starts a program that outlives this one: with a session of its own and none of
// our other descriptors.
func Start(cmd *exec.Cmd) error {
	defer detach(cmd)()
	return cmd.Start()
}

// Find returns the error with which Open would fail because there is no such program.
func (b Browser) Find() error {
	_, _, err := b.find("")
	return err
}

// find returns what to run to open an address, and what errors call it.
func (b Browser) find(target string) (argv []string, name string, err error) {
	if len(b.Command) == 0 {
		argv, err = b.systemArguments(target)
		return argv, "the system's browser", err
	}
	argv, name = b.arguments(target), strconv.Quote(strings.Join(b.Command, " "))
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, "", notStarted(name, err)
	}
	// cmd.exe runs batch files, and takes "&" in an address for the end of a command.
	if kind := strings.ToLower(filepath.Ext(path)); runtime.GOOS == "windows" && (kind == ".bat" || kind == ".cmd") {
		return nil, "", fmt.Errorf("%s: a batch file cannot be given an address safely; name the program itself", name)
	}
	return argv, name, nil
}

// notStarted is why a program did not start, without its path.
func notStarted(name string, err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: not found in PATH", name)
	}
	return fmt.Errorf("%s: %w", name, failure.Bare(err))
}

// RunOpener opens an address with the system's program for it, and returns when that
// program ends, perhaps when the browser is closed. It is for a process of its own.
func RunOpener(target string) error {
	if err := address.Check(target, true); err != nil {
		return err
	}
	if err := browser.OpenURL(target); err != nil {
		return fmt.Errorf("cannot open a browser: %w", err)
	}
	return nil
}

// arguments returns what the template stands for.
func (b Browser) arguments(target string) []string {
	// One pass over each argument: a profile's name is not a template.
	values := strings.NewReplacer("{url}", target, "{url_encoded}", url.QueryEscape(target), "{profile}", Clean(b.Profile))
	var argv []string
	for _, word := range b.Command {
		argv = append(argv, values.Replace(word))
	}
	if whole := strings.Join(b.Command, " "); !strings.Contains(whole, "{url}") && !strings.Contains(whole, "{url_encoded}") {
		argv = append(argv, target)
	}
	return argv
}

// systemArguments returns what opens an address if nobody chose a program.
func (b Browser) systemArguments(target string) ([]string, error) {
	if onWSL(b.Getenv) {
		// Windows' own program takes the address as an argument. cmd.exe and PowerShell,
		// and so wslview, read it as a part of a program: "&" and "$(" are legal in a URL.
		// Drives can be mounted elsewhere.
		for _, name := range []string{"/mnt/c/Windows/System32/rundll32.exe", "rundll32.exe"} {
			if program, err := exec.LookPath(name); err == nil {
				return []string{program, "url.dll,FileProtocolHandler", target}, nil
			}
		}
	}
	programs := []string{"xdg-open", "x-www-browser", "www-browser"} // those of pkg/browser
	exists := func(program string) bool { _, err := exec.LookPath(program); return err == nil }
	if runtime.GOOS == "linux" && !slices.ContainsFunc(programs, exists) {
		return nil, fmt.Errorf("no program opens a browser here (looked for %s)", strings.Join(programs, ", "))
	}
	return []string{b.Self, "open-browser", target}, nil
}
