package profile

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// browserCommand splits the command that opens addresses, and expands ~/ in it as
// a shell would.
func (s *settings) browserCommand() []string {
	got := s.get("browser_command")
	if got.value == "" {
		return nil
	}
	words, err := Words(got.value)
	if err != nil {
		s.fail(got.wrong("", "%v", err))
		return nil
	}
	if len(words) == 1 && strings.ContainsAny(words[0], " \t") {
		s.fail(got.wrong("Leave them out, or put them around single words.", "has quotes around it, which make it one word"))
	}
	for i := range words {
		words[i] = s.src.expandHome(words[i])
	}
	if !strings.Contains(got.value, "{url}") && !strings.Contains(got.value, "{url_encoded}") {
		s.fail(got.wrong("", "want a command that holds {url}, as in: firefox -P work {url}"))
	}
	if err := CheckBrowserCommand(words, "{url}"); err != nil {
		s.fail(got.wrong("Write the browser alone, as in: firefox {url}", "%v", err))
	}
	return words
}

// CheckBrowserCommand refuses a command in which a shell would read the address
// as a part of its script: "&" and "$(" are legal in a URL, and the provider
// chooses it. placeholder is what the address replaces in the words: "{url}", or
// "%s" as in BROWSER.
func CheckBrowserCommand(words []string, placeholder string) error {
	holds := func(word string) bool { return strings.Contains(word, placeholder) }
	for i, word := range words {
		rest := words[i+1:]
		name := strings.ToLower(path.Base(strings.ReplaceAll(word, `\`, "/")))
		script := false
		switch name = strings.TrimSuffix(name, ".exe"); name {
		case "cmd", "powershell", "pwsh": // they join all that follows
			script = slices.ContainsFunc(rest, holds)
		case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "su", "script":
			at := slices.IndexFunc(rest, func(option string) bool {
				return strings.HasPrefix(option, "-") && !strings.HasPrefix(option, "--") && strings.Contains(option, "c") || option == "--command"
			})
			for at >= 0 && at+1 < len(rest) && strings.HasPrefix(rest[at+1], "-") {
				at++ // further options, sh -c -e SCRIPT
			}
			script = at >= 0 && at+1 < len(rest) && holds(rest[at+1])
			script = script || slices.ContainsFunc(rest, func(word string) bool { return strings.HasPrefix(word, "--command=") && holds(word) })
		case "env": // env -S splits its argument into a command of its own
			script = slices.ContainsFunc(rest, func(word string) bool { return holds(word) && strings.ContainsAny(word, " \t") })
		}
		if script {
			return fmt.Errorf("%s would read the address as a part of a script", name)
		}
	}
	return nil
}
