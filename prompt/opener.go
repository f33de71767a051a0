package prompt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/pkg/browser"
)

// OpenBrowser starts a program that shows address in a browser, and returns at
// once. That program gets the null device on all three descriptors, no other
// descriptor, and its own session: SDKs wait until the last holder of our
// stdout is gone, and Ctrl-C here must not end a browser.
//
// In this order: command, the profile's browser_command; the programs of
// $BROWSER; on WSL, Windows' own opener; else this executable, self, as
// "self open-browser address", which has to call RunOpener.
//
// command is a template for arguments, split as a POSIX shell would but never
// run by one. {url} and {profile} are replaced in each argument; without {url}
// the address is put at the end.
func OpenBrowser(self, command, address, profile string, getenv func(string) string) error {
	if err := CheckURL(address); err != nil {
		return err
	}
	if command != "" {
		argv, err := commandArguments(command, address, profile, runtime.GOOS != "windows")
		if err != nil {
			return fmt.Errorf("browser_command %q: %w", command, err)
		}
		if _, err := StartDetached(argv); err != nil {
			return fmt.Errorf("browser_command %q does not start: %w", command, err)
		}
		return nil
	}
	if list := getenv("BROWSER"); list != "" {
		return startFirst(list, address)
	}
	argv, err := systemArguments(self, address, onWSL(getenv))
	if err != nil {
		return err
	}
	_, err = StartDetached(argv)
	return err
}

// RunOpener opens address with the system's program for it, and returns when
// that program ends, which can be when the browser is closed. It is for a
// process of its own, that nobody waits for.
func RunOpener(address string) error {
	if err := CheckURL(address); err != nil {
		return err
	}
	// As nil they become the null device. Any other writer becomes a pipe whose
	// end is waited for, and by default they are our stdout and stderr.
	browser.Stdout, browser.Stderr = nil, nil
	if err := browser.OpenURL(address); err != nil {
		return fmt.Errorf("cannot open a browser: %w", err)
	}
	return nil
}

// commandArguments returns what the template command stands for.
func commandArguments(command, address, profile string, escapes bool) ([]string, error) {
	argv, err := splitCommand(command, escapes)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(command, "{url}") {
		argv = append(argv, "{url}")
	}
	// One pass over each argument: a profile's name is not a template.
	values := strings.NewReplacer("{url}", address, "{profile}", Clean(profile))
	for i := range argv {
		argv[i] = values.Replace(argv[i])
	}
	return argv, nil
}

// startFirst starts the first program of list that can be started. list has the
// form of $BROWSER: commands with %s for the address, or without it, separated
// as in $PATH.
func startFirst(list, address string) error {
	err := errors.New("it is empty")
	for command := range strings.SplitSeq(list, string(os.PathListSeparator)) {
		var argv []string
		if argv, err = browserArguments(command, address); err == nil {
			_, err = StartDetached(argv)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("no program of BROWSER=%q starts: %w", list, err)
}

// browserArguments returns what one command of $BROWSER stands for. One without
// %s can be the path of a program, with spaces in it.
func browserArguments(command, address string) ([]string, error) {
	if _, err := exec.LookPath(command); err == nil {
		return []string{command, address}, nil
	}
	argv, err := splitCommand(command, runtime.GOOS != "windows")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(command, "%s") {
		return append(argv, address), nil
	}
	values := strings.NewReplacer("%s", address, "%%", "%")
	for i := range argv {
		argv[i] = values.Replace(argv[i])
	}
	return argv, nil
}

// systemArguments returns what opens address where nobody chose a program.
func systemArguments(self, address string, wsl bool) ([]string, error) {
	if wsl {
		if program := windowsOpener(); program != "" {
			return []string{program, "url.dll,FileProtocolHandler", address}, nil
		}
	}
	if err := checkSystemOpener(); err != nil {
		return nil, err
	}
	return []string{self, "open-browser", address}, nil
}

// windowsOpener returns the Windows program that WSL opens addresses with, ""
// if Windows' programs are not in reach.
//
// It takes the address as an argument. cmd.exe and PowerShell, and so wslview,
// read it as a part of a program: "&" and "$(" are legal in a URL.
func windowsOpener() string {
	const usual = "/mnt/c/Windows/System32/rundll32.exe"
	if _, err := os.Stat(usual); err == nil {
		return usual
	}
	program, err := exec.LookPath("rundll32.exe") // drives can be mounted elsewhere
	if err != nil {
		return ""
	}
	return program
}

// checkSystemOpener returns an error if RunOpener would find no program, for
// nobody sees how that ends.
func checkSystemOpener() error {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return nil
	}
	programs := []string{"xdg-open", "x-www-browser", "www-browser"} // those of pkg/browser
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no program opens a browser here (looked for %s)", strings.Join(programs, ", "))
}

// StartDetached starts a program that may outlive us: in its own session, with
// the null device on all three descriptors and no other. The channel is closed
// when it has ended.
func StartDetached(argv []string) (ended <-chan struct{}, err error) {
	cmd := exec.Command(argv[0], argv[1:]...) // nil descriptors are the null device
	undo, err := detach(cmd)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	undo()
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // leaves no zombie while we go on
	}()
	return done, nil
}
