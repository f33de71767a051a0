package command

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"

	"github.com/daypass/daypass/failure"
)

// programPath returns a path of this program that will last in a credential_process:
// the one on PATH, with links unresolved, because an update replaces what a link leads
// to; else as it was typed. The error says why no path will do.
func (e *Environment) programPath() (string, error) {
	var paths []string
	for _, folder := range filepath.SplitList(e.Getenv("PATH")) {
		if filepath.IsAbs(folder) {
			paths = append(paths, filepath.Join(folder, executableName()))
		}
	}
	if strings.ContainsRune(filepath.ToSlash(e.Invoked), '/') {
		paths = append(paths, e.Invoked)
	}
	temporary := []string{"/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/var/folders", "/private/var/folders",
		e.Getenv("TMPDIR"), e.Getenv("TEMP"), e.Getenv("TMP")}
	self, _ := os.Stat(e.Executable)
	why := ""
	for _, path := range append(paths, e.Executable) {
		path, _ := filepath.Abs(path)
		// Another program may have that name: the caller chooses os.Args[0].
		if found, err := os.Stat(path); err != nil || !found.Mode().IsRegular() || !os.SameFile(found, self) {
			continue
		}
		fault := programFault(path, runtime.GOOS, temporary, e.Home)
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "go.mod")); err == nil && fault == "" {
			fault = "it is in the source folder, where it was built"
		}
		if fault == "" {
			return path, nil
		}
		why = cmp.Or(why, path+": "+fault)
	}
	remedy := "Copy it to /usr/local/bin/daypass, and run: /usr/local/bin/daypass configure"
	if runtime.GOOS == "windows" {
		remedy = `Copy daypass.exe to C:\daypass, and run: C:\daypass\daypass.exe configure`
	}
	return "", failure.New(failure.ExitUsage, nil, "the path of this program cannot be used in credential_process.",
		cmp.Or(why, "it is not known")+".", remedy)
}

func executableName() string {
	if runtime.GOOS == "windows" {
		return "daypass.exe"
	}
	return "daypass"
}

// programFault says why a credential_process should not name an absolute path, or "".
//
// botocore splits the line like a POSIX shell, on Windows by the rules of the C
// run-time; the other SDKs hand it to sh -c or cmd.exe /C. All of them read a path
// without spaces, quotes and shell characters in the same way. On Windows both take a
// backslash as it is, and cmd.exe takes a slash for the beginning of an option.
func programFault(path, goos string, temporary []string, home string) string {
	taken := "/._-+@,"
	if goos == "windows" {
		taken += `\:~` // ~ as in the short name PROGRA~1
	}
	for _, r := range path {
		switch {
		case r == ' ':
			return "some SDKs split the command at the space"
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(taken, r):
			return fmt.Sprintf("some SDKs run the command in a shell, which reads %q as more than a character", r)
		}
	}
	// Any backslash left separates folders.
	slashes := func(path string) string { return strings.ReplaceAll(path, `\`, "/") }
	if strings.Contains(slashes(path), "/go-build") {
		return "it is what go run builds and removes"
	}
	for _, folder := range temporary {
		folder = strings.TrimRight(slashes(folder), "/") + "/"
		// If the home folder is in it, so is the file that will name the path.
		if folder != "/" && strings.HasPrefix(slashes(path), folder) && !strings.HasPrefix(slashes(home), folder) {
			return "it is in a temporary folder"
		}
	}
	return ""
}
