package profile

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/daypass/daypass/failure"
)

// Words splits a command line into words as a POSIX shell does, without expansions,
// and as botocore splits credential_process: on Windows a backslash is a plain
// character, for there it separates the parts of a path. The error says what is not
// closed.
func Words(line string) ([]string, error) { return splitWords(line, runtime.GOOS != "windows") }

// splitWords is Words with or without escapes. With them it is Python's
// shlex.split, with which botocore reads section headers on every system.
func splitWords(text string, escapes bool) (words []string, err error) {
	var word strings.Builder
	inWord := false // word counts, even while it is empty: ""
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if escapes && c == '\\' && (quote == 0 || quote == '"' && i+1 < len(text) && strings.IndexByte(`"\`, text[i+1]) >= 0) {
			if i++; i == len(text) {
				return nil, errors.New("it ends in a backslash")
			}
			word.WriteByte(text[i])
			inWord = true
			continue
		}
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote != 0 || !strings.ContainsRune(" \t\r\n", rune(c)):
			word.WriteByte(c)
			inWord = true
		case inWord:
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// Word returns a name as it is written in a command line or a header: in double
// quotes if it needs some, or in single ones if a shell reads more into it.
func Word(name string) string {
	switch quoted := strconv.Quote(name); {
	case CheckName(name) == nil:
		return name
	case runtime.GOOS == "windows" || !strings.ContainsAny(name, "$`\\\"!"):
		return quoted
	case strings.ContainsFunc(name, failure.Unseen): // nobody can copy it
		return SingleQuoted(quoted)
	}
	return SingleQuoted(name)
}

// CommandLine is the credential_process of a profile.
func CommandLine(program, name string) string { return program + " process --profile " + Word(name) }

// SingleQuoted is text as a word for a POSIX shell, which gives a meaning to the single
// quote alone between single quotes.
func SingleQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// CheckBrowserCommand refuses a command in which a program would read the address
// as a part of a script: "&" and "$(" are legal in a URL, and the provider chooses
// it. The address replaces "{url}" in the words.
func CheckBrowserCommand(words []string) error {
	holds := func(word string) bool { return strings.Contains(word, "{url}") }
	for i, word := range words {
		rest, script := words[i+1:], false
		name := strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/")))
		switch name = strings.TrimSuffix(name, ".exe"); name {
		// They join what follows for a shell: their own, or at the far end. wslview and
		// wsl-open give it to PowerShell.
		case "cmd", "powershell", "pwsh", "wsl", "wslview", "wsl-open", "ssh", "slogin", "autossh", "rsh", "plink", "dbclient", "adb":
			script = slices.ContainsFunc(rest, holds)
		case "sudo": // its shell expands variables
			shell := func(option string) bool {
				return option == "-i" || option == "-s" || option == "--login" || option == "--shell"
			}
			script = slices.ContainsFunc(rest, shell) && slices.ContainsFunc(rest, holds)
		case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "su", "runuser", "script":
			at := slices.IndexFunc(rest, func(option string) bool {
				return strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "--") && strings.Contains(option, "c") || option == "--command"
			})
			for at >= 0 && at+1 < len(rest) && strings.HasPrefix(rest[at+1], "-") {
				at++ // further options, sh -c -e SCRIPT
			}
			script = at >= 0 && at+1 < len(rest) && holds(rest[at+1])
			script = script || slices.ContainsFunc(rest, func(word string) bool { return strings.HasPrefix(word, "--command=") && holds(word) })
		}
		if script {
			return fmt.Errorf("%s would read the address as a part of a script", name)
		}
	}
	// Whatever takes a word of several parts takes it apart: env -S, xterm -e, tmux,
	// python -c, osascript -e.
	if slices.ContainsFunc(words, func(word string) bool { return holds(word) && strings.ContainsAny(word, " \t'\"`();|<>") }) {
		return fmt.Errorf("%s would read the address as a part of a script", path.Base(words[0]))
	}
	return nil
}
