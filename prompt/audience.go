package prompt

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Audience says how a person can be reached from here.
type Audience struct {
	Terminal bool // on the terminal device: OpenTerminal succeeds
	Browser  bool // a browser can be opened in front of the person

	// Why is set where neither is: the reason, to follow "profile dev needs a
	// login, and ".
	Why string
}

// Look finds out how a person can be reached from here.
//
// mode is the profile's prompt setting: "auto" (or ""), "terminal" (never a
// browser), "browser" (a browser also in an SSH session, besides the terminal
// where there is one) or "never". DAYPASS_PROMPT, if set, takes its place.
// Otherwise CI, set to anything but "false" or "0", means "never". A value that
// is none of these reaches nobody, and Why quotes it.
func Look(mode string, getenv func(string) string) Audience {
	t, err := OpenTerminal()
	if err == nil {
		err = t.Close()
	}
	return decide(mode, getenv, surroundings{os: runtime.GOOS, wsl: onWSL(getenv), noTerminal: err})
}

// surroundings is what Look learns about the machine.
type surroundings struct {
	os         string // as runtime.GOOS
	wsl        bool
	noTerminal error // why there is no terminal; nil if there is one
}

func decide(mode string, getenv func(string) string, here surroundings) Audience {
	setting := fmt.Sprintf("prompt = %s", mode)
	if override := getenv("DAYPASS_PROMPT"); override != "" {
		mode, setting = override, "DAYPASS_PROMPT="+override
	} else if ci := getenv("CI"); ci != "" && ci != "false" && ci != "0" {
		mode, setting = "never", "CI is set"
	}

	a := Audience{Terminal: here.noTerminal == nil}
	switch mode {
	case "", "auto":
		a.Browser = hasBrowser(getenv, here) && (getenv("SSH_CONNECTION") == "" || getenv("BROWSER") != "")
	case "terminal":
	case "browser":
		// Who asks for the browser in so many words has his display forwarded,
		// or sits at the screen of the machine he is logged in to.
		a.Browser = hasBrowser(getenv, here)
	case "never":
		return Audience{Why: "nobody may be asked (" + setting + ")"}
	default:
		return Audience{Why: fmt.Sprintf("%q is no way to ask (auto, terminal, browser, never)", Clean(setting))}
	}
	if !a.Terminal && !a.Browser {
		a.Why = here.noTerminal.Error()
	}
	return a
}

// hasBrowser reports whether a browser that starts here would be seen.
func hasBrowser(getenv func(string) string, here surroundings) bool {
	return here.os == "darwin" || here.os == "windows" || here.wsl ||
		getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "" || getenv("BROWSER") != ""
}

// onWSL reports whether this is Windows Subsystem for Linux, with Windows
// programs in reach.
//
// A cron job there lacks the variable. A container there has the same kernel,
// but cannot start Windows programs: the kernel's handler for them is missing.
func onWSL(getenv func(string) string) bool {
	if runtime.GOOS != "linux" {
		return false
	}
	if getenv("WSL_DISTRO_NAME") != "" {
		return true
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil || !strings.Contains(strings.ToLower(string(release)), "microsoft") {
		return false
	}
	_, err = os.Stat("/proc/sys/fs/binfmt_misc/WSLInterop")
	return err == nil
}
