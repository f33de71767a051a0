package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/daypass/daypass/failure"
	"github.com/daypass/daypass/profile"
)

// The links on this machine: files, environment, keyring, and the way to a person.

func (x *examination) checkConfiguration(context.Context) finding {
	p, err := loadProfile(x.src, x.name)
	if err != nil {
		return brokenBy(err)
	}
	if x.session, err = x.env.session(p); err != nil {
		return brokenBy(err)
	}
	if p.Name == "" {
		return ok("from flags, role " + p.RoleARN)
	}
	return ok(fmt.Sprintf("profile %s in %s, role %s", p.Name, x.src.ConfigFile(), p.RoleARN))
}

// checkCredentialProcess checks that every SDK can run the line: they split it in
// three different ways (as Python's shlex, by sh, by cmd.exe), so it must mean
// the same to all.
func (x *examination) checkCredentialProcess(context.Context) finding {
	name := x.session.Profile.Name
	if name == "" {
		return unchecked("everything came as flags; SDKs read profiles")
	}
	line, err := profile.CredentialProcess(x.src, name)
	if err != nil {
		return brokenBy(err)
	}
	advice := "Write into [profile " + name + "]:\ncredential_process = " + x.program() + " process --profile " + name
	if line == "" {
		return broken(failure.ExitUsage, "profile "+name+" has no credential_process, so no SDK runs daypass.", advice)
	}
	if problem := x.lineProblem(line); problem != "" {
		return broken(failure.ExitUsage, "credential_process = "+line+": "+problem, advice)
	}
	return ok(line)
}

// program is daypass's path as it is shown in advice.
func (x *examination) program() string {
	if path, err := x.env.programPath(); err == nil {
		return path
	}
	return "/usr/local/bin/daypass"
}

// lineProblem says what is wrong with a credential_process line, or "".
func (x *examination) lineProblem(line string) string {
	special := "\"'`~$|;&<>()*?%\\"
	if runtime.GOOS == "windows" {
		special = "\"'`$|;&<>()*?%^"
	}
	if at := strings.IndexAny(line, special); at >= 0 {
		return fmt.Sprintf("SDKs do not agree on what %c means in it.", line[at])
	}
	words := strings.Fields(line)
	path := words[0]
	if !filepath.IsAbs(path) {
		return fmt.Sprintf("%s is no absolute path, so it depends on where the SDK runs.", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Sprintf("there is no file %s (SDKs end the path at the first space).", path)
	case info.IsDir() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Sprintf("%s cannot be run: it is no executable file.", path)
	}
	if self, err := os.Stat(x.env.Executable); err == nil && !os.SameFile(info, self) {
		return fmt.Sprintf("that is another program than this daypass, %s.", x.env.Executable)
	}
	named := slices.ContainsFunc(words, func(word string) bool {
		return word == "--profile" || strings.HasPrefix(word, "--profile=") || strings.HasPrefix(word, "--issuer")
	})
	switch {
	case !slices.Contains(words, "process"):
		return "it does not run daypass process."
	case !named:
		return "it does not say --profile, and an SDK does not pass on which profile it reads."
	case slices.ContainsFunc(words, func(word string) bool { return word[0] == '#' }):
		return "the AWS CLI takes the comment at its end for arguments."
	}
	return ""
}

// checkOtherKeys looks for credentials that SDKs take instead of daypass's. Of
// them only the names are looked at.
func (x *examination) checkOtherKeys(context.Context) finding {
	var set []string
	for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if x.env.Getenv(variable) != "" {
			set = append(set, variable)
		}
	}
	if set != nil {
		advice := "Run: unset " + strings.Join(set, " ")
		if runtime.GOOS == "windows" {
			advice = "Remove them from the environment, and open a new window."
		}
		return broken(failure.ExitUsage, "the environment has "+strings.Join(set, ", ")+".", "SDKs take these instead of the profile.", advice)
	}
	name := x.session.Profile.Name
	if name == "" {
		return ok("none in the environment")
	}
	shadows, err := profile.Shadows(x.src, name)
	if err != nil {
		return brokenBy(err)
	}
	if shadows == nil {
		return ok("none in the environment or in files")
	}
	var places []string
	for _, s := range shadows {
		places = append(places, s.Where+" has "+strings.Join(s.Keys, ", "))
	}
	return broken(failure.ExitUsage, strings.Join(places, "; ")+".",
		"SDKs take these instead of credential_process. Remove them, or rename the section.")
}

func (x *examination) checkKeyring(ctx context.Context) finding {
	if err := x.session.CheckStorage(ctx); err != nil {
		return brokenBy(err)
	}
	return ok(x.session.Store.Name() + " keeps records and returns them")
}

// checkPrompt comes after the login, for nobody need be asked while it renews.
func (x *examination) checkPrompt(context.Context) finding {
	a := x.session.audience()
	switch {
	case a.Terminal && a.Browser:
		return ok("on the terminal and in a browser")
	case a.Terminal:
		return ok("on the terminal")
	case a.Browser:
		return ok("in a browser")
	case x.identity != nil && x.identity.Renews:
		return ok("nobody can be asked here; not needed while it renews")
	}
	return broken(failure.ExitLogin, a.Why+".", "Log in by hand, in a terminal, as the same user, before each login ends:",
		"daypass login"+x.session.profileFlag())
}
